"""Parsers of another environment: what they wrote, read again, and each line's template in its place."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from biglog.errors import InputError
from biglog.evaluation.peer_templates import SCHEMA, describe, peer_parsers, read_peer_templates

CONTENTS = {"A": ["up 1", "up 2"], "B": ["down"]}
TEMPLATES = {"A": ["up <*>", "up <*>"], "B": ["down"]}


def result() -> dict[str, Any]:
    parsers = {name: {"seconds": 0.1, "templates": dict(TEMPLATES)} for name in ("Drain", "Spell")}
    described = {domain: describe(lines) for domain, lines in CONTENTS.items()}
    return {"schema": SCHEMA, "ground_truths": {"truth": {"contents": described, "parsers": parsers}}}


def written(folder: Path, found: Any) -> Path:
    path = folder / "templates.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def test_templates_are_read_by_parser_and_domain(tmp_path: Path) -> None:
    path = written(tmp_path, result())
    assert read_peer_templates(path, "truth") == {"Drain": TEMPLATES, "Spell": TEMPLATES}


def test_templates_are_systems_of_the_domains_asked_for(tmp_path: Path) -> None:
    contents = {"A": pl.Series(CONTENTS["A"])}
    systems = peer_parsers(written(tmp_path, result()), "truth", contents)
    assert {name: list(domains) for name, domains in systems.items()} == {"Drain": ["A"], "Spell": ["A"]}
    assert systems["Drain"]["A"](contents["A"]).to_list() == TEMPLATES["A"]
    with pytest.raises(ValueError, match="1 contents for 2 templates"):
        systems["Drain"]["A"](contents["A"].head(1))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ({"C": ["up"]}, "no templates of C for ground truth truth"),
        ({"A": ["up 1"]}, "templates of A are of other contents"),
        ({"A": ["up 1", "up 3"]}, "templates of A are of other contents"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, lines: dict[str, list[str]], problem: str) -> None:
    contents = {domain: pl.Series(texts) for domain, texts in lines.items()}
    with pytest.raises(InputError, match=rf"templates\.json: {problem}\. `make peers`"):
        peer_parsers(written(tmp_path, result()), "truth", contents)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read\. `make peers` writes it anew"):
        read_peer_templates(tmp_path / "templates.json", "truth")
    for found in ([], {"schema": "biglog-parsing/1"}):
        with pytest.raises(InputError, match=f"schema is .*, not '{SCHEMA}'"):
            read_peer_templates(written(tmp_path, found), "truth")
    path = written(tmp_path, result())
    with pytest.raises(InputError, match="ground_truths has no 'another'"):
        read_peer_templates(path, "another")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"templates\.json: is not JSON"):
        read_peer_templates(path, "truth")


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ({"A": TEMPLATES["A"]}, "templates are missing: truth, Spell, B"),
        (TEMPLATES | {"B": ["down", "down"]}, "2 templates for 1 lines: truth, Spell, B"),
        (TEMPLATES | {"B": [7]}, "templates are no list of texts: truth, Spell, B"),
        (None, "field 'templates' is missing or no object: Spell"),
    ],
)
def test_an_incomplete_file_is_refused(tmp_path: Path, templates: Any, problem: str) -> None:
    found = result()
    found["ground_truths"]["truth"]["parsers"]["Spell"]["templates"] = templates
    with pytest.raises(InputError, match=problem):
        read_peer_templates(written(tmp_path, found), "truth")


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    """The script that runs in the environment of logparser3; it can be loaded without."""
    path = Path(__file__).parents[1] / "benchmarks" / "peer_parsers_worker.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows_are_found_again_by_their_content(worker: ModuleType) -> None:
    contents = ["up 1", " dropped ", "été 2\nmore", "up 3", "lost"]
    rows = [("up 1", "up <*>"), ("<NASCII>t<NASCII> 2 more", "<NASCII>t<NASCII> <*> more"), ("up 3", None)]
    aligned = ["up <*>", " dropped ", "<NASCII>t<NASCII> <*> more", "up 3", "lost"]
    assert worker.aligned(contents, rows) == aligned
    for wrong in ([("up 2", "up <*>")], [("up 3", ""), ("up 1", "")]):
        with pytest.raises(ValueError, match="is of no line"):
            worker.aligned(contents, wrong)


class LastLineFirst:
    """A parser in the manner of logparser3: it skips a line, numbers the rest and writes them backwards."""

    def __init__(self, log_format: str, indir: str, outdir: str, rex: list[str], word: str) -> None:
        assert log_format == "<Content>"
        assert rex
        self.folders, self.word = (Path(indir), Path(outdir)), word

    def parse(self, name: str) -> None:
        text = (self.folders[0] / name).read_text(encoding="utf-8")
        kept = [line for line in text.splitlines() if self.word not in line]
        rows = [f'{n},"{line}",E{n},"<*> of {line}"' for n, line in enumerate(kept, 1)]
        table = "\n".join(["LineId,Content,EventId,EventTemplate", *reversed(rows)])
        (self.folders[1] / f"{name}_structured.csv").write_text(table + "\n", encoding="utf-8")


def test_each_content_has_its_own_template_in_order(worker: ModuleType) -> None:
    contents = ["null", "", "a skip", "b\r\nb", "  ", " c,d "]
    parsed = worker.parse(LastLineFirst, {"word": "skip"}, contents)
    assert parsed == ["<*> of null", "", "a skip", "<*> of b b", "  ", "<*> of c,d"]
    assert worker.parse(LastLineFirst, {"word": "skip"}, ["", " "]) == ["", " "]
