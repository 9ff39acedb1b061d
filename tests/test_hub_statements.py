"""The table of statements on a loopback Hub: built from sources, published, and loaded back elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hub_server import HubServer
from test_hub_datasets import REPO, USERS, build_tiny, here, load_elsewhere

from biglog.data.archives.published import CITATION, NOTICE
from biglog.data.schema import SPLITS
from biglog.data.statements import build_statements, split_of_project
from biglog.data.statements.sources import Project, SourceTree
from biglog.dataset_repository import assemble_datasets, publish_datasets

__all__ = ["here"]  # a fixture

CODE = 'import logging\nlog = logging.getLogger(__name__)\nlog.warning("lost %s, trying again", peer)\n'
NAMES = [next(f"project-{n}" for n in range(99) if split_of_project(f"project-{n}") == s) for s in SPLITS]


@pytest.fixture
def server():
    with HubServer(USERS) as running:
        yield running


def build(place: Path) -> Path:
    trees = []
    for name in NAMES:
        (place / name).mkdir(parents=True)
        (place / name / "link.py").write_text(CODE.replace("peer", name.replace("-", "_")))
        trees.append(SourceTree(place / name, Project(name, "1.0", "MIT")))
    build_statements(trees, place / "tables", forms=["nothing like it"])
    return place / "tables"


def test_published_and_loaded_back(here: HubServer, tmp_path: Path):
    tables = build(tmp_path / "sources")
    result = publish_datasets(tables, REPO)
    assert result.changed
    names = [file.path for file in result.files]
    assert names == [
        "LICENSE",
        "README.md",
        *(f"data/statements/statements/{split}-00000-of-00001.parquet" for split in sorted(SPLITS)),
    ]
    loaded = load_elsewhere(here, tmp_path / "elsewhere", tables, "statements")
    rows = {f"statements/{split}": 1 for split in SPLITS}
    assert loaded == {"configs": ["statements"], "default": "statements", "tables": rows}


def test_beside_domains(tmp_path: Path):
    tables = build(tmp_path / "sources")
    build_tiny(("BGL",), tmp_path)
    for folder in (tmp_path / "tables").iterdir():
        folder.rename(tables / folder.name)
    repo = assemble_datasets(tables, tmp_path / "repo")
    text = (repo / "README.md").read_text(encoding="utf-8")
    configs = {config["config_name"] for config in yaml.safe_load(text.split("---")[1])["configs"]}
    assert {"BGL", "statements"} <= configs
    assert "3 log statements from the sources of 3 projects" in text
    for part in (NOTICE.strip(), "column\n`licence`"):
        assert part in (repo / "LICENSE").read_text(encoding="utf-8")
    assert CITATION.strip() in text
    assert (repo / "CITATION").is_file()


def test_statements_alone_are_not_called_logs(tmp_path: Path):
    repo = assemble_datasets(build(tmp_path / "sources"), tmp_path / "repo")
    text = (repo / "README.md").read_text(encoding="utf-8")
    assert "# Log statements of source code" in text
    assert "Loghub" not in text
    assert not (repo / "CITATION").exists()
    assert all(name in text for name in NAMES)
