"""A parser in files: it comes back as it was, and what is damaged or of another version is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from biglog.checkpoints import checkpoint_path
from biglog.errors import CheckpointError
from biglog.tasks.parsing.head import CONFIG, HEAD_FILES, WEIGHTS, load_head, save_head
from biglog.tasks.parsing.learning import Judges, learn, lessons
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.stream import ParseStream

STATEMENTS = ["user <*> logged in", "größe <*> überschritten", "lost connection to <*>: <*>"]
LINES = [f"user u{n} logged {way} from 10.0.0.{n}" for n in range(12) for way in ("in", "out")]
TEMPLATES = [f"user <*> logged {way} from <*>" for _ in range(12) for way in ("in", "out")]


@pytest.fixture(scope="module")
def parser() -> ZeroShotParser:
    lexicon = Lexicon.of(STATEMENTS)
    taught = lessons(pl.Series(LINES), TEMPLATES, lexicon)
    names = lessons(pl.Series(["at a", "at b", "up"]), ["at <*>", "at <*>", "up"], lexicon)
    return ZeroShotParser(lexicon, learn([(taught, 1.0), (names, 1.0)], trees=5))


@pytest.fixture
def folder(parser: ZeroShotParser, tmp_path: Path) -> Path:
    save_head(parser, tmp_path, {"taught_by": {"made": "up"}})
    return tmp_path


def change(folder: Path, **values: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | values))


def test_a_parser_comes_back_as_it_was(parser: ZeroShotParser, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(HEAD_FILES)
    back = load_head(folder)
    assert back.lexicon == parser.lexicon
    table = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32).tolist()
    assert np.array_equal(back.judges.divides(table), parser.judges.divides(table))
    assert np.array_equal(back.judges.is_value(table), parser.judges.is_value(table))
    rows = [ParseStream(each).parse_whole(pl.Series(LINES)) for each in (parser, back)]
    assert rows[0].equals(rows[1])
    assert json.loads((folder / CONFIG).read_text())["taught_by"] == {"made": "up"}


def test_an_empty_lexicon_comes_back(parser: ZeroShotParser, tmp_path: Path) -> None:
    save_head(ZeroShotParser(Lexicon(), parser.judges), tmp_path, {})
    assert load_head(tmp_path).lexicon == Lexicon()
    blank = Lexicon(words=Counter({"": 2, "a": 1}))
    save_head(ZeroShotParser(blank, parser.judges), tmp_path, {})
    assert load_head(tmp_path).lexicon == blank


def test_only_forests_are_saved(parser: ZeroShotParser, tmp_path: Path) -> None:
    judges = Judges(parser.judges.divides, lambda rows: np.zeros(len(rows)))
    with pytest.raises(TypeError, match="is_value is a function, no forest"):
        save_head(ZeroShotParser(parser.lexicon, judges), tmp_path, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", HEAD_FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing. Leave the model out") as caught:
        load_head(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"\x00" * 9])
@pytest.mark.parametrize("name", HEAD_FILES)
def test_a_damaged_file_is_an_error(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(
        CheckpointError, match=f"{name}: .*cannot be loaded.*Fetch or save it again"
    ) as caught:
        load_head(folder)
    assert str(folder) in str(caught.value)


def test_a_file_cut_short_is_an_error(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_head(folder)


def test_arrays_that_lack_something_are_an_error(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    whole = load_file(folder / WEIGHTS)
    for name in ("divides.child", "lexicon.words.counts", "is_value.roots"):
        save_file({key: array for key, array in whole.items() if key != name}, folder / WEIGHTS)
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            load_head(folder)
    save_file(whole | {"lexicon.words.counts": whole["lexicon.words.counts"][:-1]}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_head(folder)


@pytest.mark.parametrize("name", ["schema", "masking_version", "features_version"])
def test_another_version_is_an_error(folder: Path, name: str) -> None:
    change(folder, **{name: "of tomorrow"})
    with pytest.raises(CheckpointError, match=rf"{CONFIG}: {name} is 'of tomorrow'.*belongs to this version"):
        load_head(folder)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"a"', "{}"])
def test_json_that_is_no_config_is_an_error(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=f"{CONFIG}: schema is None"):
        load_head(folder)


def test_a_folder_is_no_file(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()
    with pytest.raises(CheckpointError, match=f"{WEIGHTS} is missing"):
        load_head(folder)


def test_the_embedded_parser_needs_no_framework() -> None:
    code = "import sys\nfrom biglog import LogParser\n"
    code += "rows = LogParser.from_pretrained().parse(['user ann logged in', 'user bob logged in'])\n"
    code += "assert rows['template'].to_list() == ['user <*> logged in'] * 2, rows\n"
    code += "print(sorted({'torch', 'sklearn', 'transformers', 'scipy', 'plotly'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_embedded_parser_is_whole() -> None:
    assert {path.name for path in checkpoint_path().iterdir()} >= set(HEAD_FILES)
    assert load_head(checkpoint_path()).lexicon.words["error"] > 0
