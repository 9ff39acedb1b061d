"""What is written by command is up to date: the README's tree and figures, and the model cards."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from biglog.errors import InputError
from biglog.evaluation.cards import read_record, render_model_card
from biglog.evaluation.documents import documents
from biglog.evaluation.figures.page import figures
from biglog.evaluation.tree import FOLDERS, tree

ROOT = Path(__file__).resolve().parents[1]


def test_documents_are_as_the_command_writes_them() -> None:
    stale = [
        path.name
        for path, text in documents(ROOT).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make docs`"


def test_the_tree_names_every_file_with_a_line() -> None:
    lines = tree(ROOT).splitlines()[1:-1]
    names = [line.split()[0] for line in lines]
    for file in (ROOT / "src" / "biglog").rglob("*.py"):
        assert file.name in names
    files = [line for line in lines if not line.split()[0].endswith("/")]
    silent = {line.split()[0] for line in files if not re.search(r"\S\s{2,}\S", line)}
    assert silent <= {"py.typed", "__init__.py"}
    assert all((ROOT / folder).is_dir() for folder in FOLDERS)


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_commands_of_the_readme_exist(monkeypatch, capsys) -> None:
    from biglog import cli

    for name in sorted(set(re.findall(r"`biglog (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))):
        monkeypatch.setattr(sys, "argv", ["biglog", name, "--help"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        capsys.readouterr()


def test_a_record_that_lacks_something_is_an_error() -> None:
    record = read_record(ROOT / "results" / "pretrain_biglog-mini.json")
    del record["training"]
    with pytest.raises(InputError, match="lacks"):
        render_model_card(record)


def test_a_missing_result_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make bench"):
        figures(tmp_path)


def test_links_of_the_figures_and_the_cards_lead_somewhere() -> None:
    for page in (ROOT / "docs" / "figures.md", *(ROOT / "model_cards").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
