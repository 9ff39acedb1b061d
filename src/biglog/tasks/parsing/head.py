"""What a parser has learnt, as files beside a checkpoint: arrays and JSON, no pickle.

``parser.safetensors`` holds the judges' trees and the lexicon's counts, ``parser_config.json`` what they were
learnt from and which versions they fit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from biglog.data.kept_files import write_whole
from biglog.errors import CheckpointError, OutputError
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.parsing.columns import FEATURES_VERSION
from biglog.tasks.parsing.learning import Judges
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.trees import Forest

SCHEMA: Final = "biglog-parser/1"
CONFIG, WEIGHTS = "parser_config.json", "parser.safetensors"
HEAD_FILES: Final = (CONFIG, WEIGHTS)

_COUNTERS = ("words", "tokens", "before", "values_before", "after", "values_after")
_JUDGES = ("divides", "is_value")
_Arrays = dict[str, NDArray[Any]]


def save_head(parser: ZeroShotParser, folder: Path, record: Mapping[str, Any]) -> None:
    """Writes a parser's files.

    Args:
        parser: As learnt on logs; judges that labels taught are not saved.
        folder: Where to; files of other names stay.
        record: What it was learnt from, as JSON has it.

    Raises:
        OutputError: They cannot be written.
    """
    from safetensors.numpy import save

    arrays: _Arrays = {}
    for name in _JUDGES:
        judge = getattr(parser.judges, name)
        if not isinstance(judge, Forest):
            raise TypeError(f"{name} is a {type(judge).__name__}, no forest")
        arrays |= {f"{name}.{part}": array for part, array in judge.arrays().items()}
    for name in _COUNTERS:
        counter: Counter[str] = getattr(parser.lexicon, name)
        keys = sorted(counter)
        arrays[f"lexicon.{name}.keys"] = np.frombuffer("\n".join(keys).encode(), dtype=np.uint8)
        arrays[f"lexicon.{name}.counts"] = np.array([counter[key] for key in keys], dtype=np.int32)
    config = {
        "schema": SCHEMA,
        "masking_version": MASKING_VERSION,
        "features_version": FEATURES_VERSION,
        **record,
    }
    packed = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the parser cannot be written ({error.strerror or error})"
        raise OutputError(problem, where=folder, remedy="Check folder and space") from error
    write_whole(folder / WEIGHTS, lambda to: to.write_bytes(packed))
    write_whole(
        folder / CONFIG, lambda to: to.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    )


def load_head(folder: Path) -> ZeroShotParser:
    """Reads a parser's files.

    Args:
        folder: Where they are.

    Raises:
        CheckpointError: They are missing, damaged, or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for name in HEAD_FILES:
        if not (folder / name).is_file():
            problem = f"this checkpoint has no parser: {name} is missing"
            remedy = "Leave the model out to use the embedded one"
            raise CheckpointError(problem, where=folder, remedy=remedy)
    path = folder / CONFIG
    try:
        _check(json.loads(path.read_text(encoding="utf-8")), folder)
        path = folder / WEIGHTS
        arrays = load_file(path)
        judges = Judges(*(_forest(arrays, name) for name in _JUDGES))
        lexicon = Lexicon(*(_counter(arrays, name) for name in _COUNTERS))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        problem, remedy = f"the parser cannot be loaded: {error}", "Fetch or save it again"
        raise CheckpointError(problem, where=path, remedy=remedy) from error
    return ZeroShotParser(lexicon, judges)


def _check(config: object, folder: Path) -> None:
    known = config if isinstance(config, dict) else {}
    wanted = {"schema": SCHEMA, "masking_version": MASKING_VERSION, "features_version": FEATURES_VERSION}
    for name, value in wanted.items():
        if known.get(name) != value:
            raise CheckpointError(
                f"{name} is {known.get(name)!r}, and this version of BigLog reads {value!r}",
                where=folder / CONFIG,
                remedy="Take the checkpoint that belongs to this version",
            )


def _forest(arrays: Mapping[str, NDArray[Any]], name: str) -> Forest:
    prefix = f"{name}."
    return Forest.from_arrays({k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})


def _counter(arrays: Mapping[str, NDArray[Any]], name: str) -> Counter[str]:
    text = arrays[f"lexicon.{name}.keys"].tobytes().decode()
    counts = arrays[f"lexicon.{name}.counts"].tolist()
    return Counter(dict(zip(text.split("\n") if counts else (), counts, strict=True)))
