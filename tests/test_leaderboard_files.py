"""The leaderboard's files: what is read and refused, and what Markdown, Space and command line say."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from leaderboard_samples import HOSTILE, models, write_models

from biglog import cli
from biglog.errors import InputError, OutputError
from biglog.evaluation.leaderboard import collect, render_markdown, tables
from biglog.evaluation.leaderboard.describing import titles
from biglog.evaluation.leaderboard.joining import template
from biglog.evaluation.results import METRICS, parse_results
from biglog.leaderboard_page import write_space


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("results"))


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["biglog", "leaderboard", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_every_figure_is_in_the_text_and_links_lead_to_its_file(folder: Path) -> None:
    text = render_markdown(collect([folder]), folder.parent)
    for one in models():
        for row in one.results:
            for metric, figure in row.metrics.items():
                assert f"{figure.mean:.{2 if metric == 'false_alarms_per_day' else 3}f}" in text
    files = re.findall(r"\[JSON\]\(([^)]+)\)", text)
    assert len(files) == sum(len(one.results) for one in models())
    assert {(folder.parent / file).resolve() for file in files} == set(folder.resolve().iterdir())
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == anchors
    assert all(f"`{name}`" in text for name in METRICS)
    assert "<img" not in text
    assert "&lt;img src=x" in text
    assert "](javascript" not in text.replace("\\]", "")


def test_a_file_is_read_once_and_a_folder_alone(folder: Path) -> None:
    named = sorted(folder.iterdir())[0]
    assert len(collect([folder, named, folder / ".." / folder.name])) == len(models())
    assert [one.results.name for one in collect([folder])] == sorted(one.name for one in models())


def test_the_form_passes_its_own_check() -> None:
    assert parse_results(json.loads(template())).name == "My model"


def test_a_stranger_joins_a_table_with_one_file(folder: Path, tmp_path: Path) -> None:
    told = json.loads(template()) | {"name": "Stranger"}
    like = models()[0].results[0]
    names = ("task", "task_version", "split", "protocol", "ground_truth_version", "data")
    told["results"][0] |= {name: getattr(like, name) for name in names}
    told["results"][0]["metrics"]["average_precision"] = {"mean": 0.96}
    (tmp_path / "stranger.json").write_text(json.dumps(told))
    first = tables(collect([folder, tmp_path]))[0].rows[0]
    assert (first.model.name, first.rank) == ("Stranger", 1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": "biglog.result/0"}, "schema is 'biglog.result/0'"),
        ({"url": "javascript:alert(1)"}, "url is 'javascript:alert"),
        ({"date": 3}, "date is 3, and no text"),
        ({"kind": "oracle"}, "kind is 'oracle'"),
        ({"colour": 1}, "colour is no field"),
        ({"data": ["a"]}, r"results\[0\].data is \['a'\], and no object"),
        ({"data": {"a": 3}}, r"results\[0\].data.a is 3, and no checksum"),
        ({"seeds": []}, r"results\[0\].seeds has no seed"),
        ({"lines": -1}, r"results\[0\].lines is -1"),
        ({"wall_seconds": "long"}, r"results\[0\].wall_seconds is 'long'"),
        ({"wall_seconds": -1.0}, r"results\[0\].wall_seconds is -1.0, and no time"),
        ({"metrics": {"f1": {"mean": 87.1}}}, r"results\[0\].metrics.f1.mean is 87.1, out of 0 to 1"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    told = json.loads(template())
    of_row = change.keys() <= told["results"][0].keys()
    (told["results"][0] if of_row else told).update(change)
    if "metrics" in change:
        told["results"][0]["main_metric"] = "f1"
    (tmp_path / "mine.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=rf"mine.json: {problem}"):
        collect([tmp_path])


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        collect([tmp_path / "none"])
    with pytest.raises(InputError, match="holds no results"):
        collect([tmp_path])


def test_a_space_has_all_that_it_links_to(folder: Path, tmp_path: Path) -> None:
    entries = collect([folder])
    space = tmp_path / "space"
    first = write_space(entries, space)
    assert {path.name for path in space.iterdir()} == {"README.md", "index.html", "data.json", "results"}
    front = yaml.safe_load((space / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (front["sdk"], front["app_file"]) == ("static", "index.html")
    data = json.loads((space / "data.json").read_text(encoding="utf-8"))
    for table in data["tables"]:
        for row in table["rows"]:
            told = json.loads((space / row["result"]).read_text(encoding="utf-8"))
            assert told["name"] == row["model"]
    links = re.findall(r'href="(results/[^"]+)"', (space / "index.html").read_text(encoding="utf-8"))
    assert len(links) == sum(len(one.results) for one in models())
    assert all((space / link).is_file() for link in links)
    before = {path: path.read_bytes() for path in first}
    assert {path: path.read_bytes() for path in write_space(entries[:-1] + entries[-1:], space)} == before
    write_space(entries[:2], space)
    assert len(list((space / "results").iterdir())) == 2


def test_a_folder_of_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something other than a leaderboard"):
        write_space(collect([folder]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command_writes_all_three(folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    out, page, space = tmp_path / "L.md", tmp_path / "page" / "index.html", tmp_path / "space"
    assert run(monkeypatch, folder, "--out", out, "--html", page, "--space", space) == 0
    assert capsys.readouterr().out.splitlines() == [str(out), str(page), str(space)]
    text = render_markdown(collect([folder]), tmp_path, titles(), picture_name="L.svg")
    assert out.read_text(encoding="utf-8") == text
    assert "biglog-mini" in (tmp_path / "L.svg").read_text(encoding="utf-8")
    assert 'href="../' in page.read_text(encoding="utf-8")


def test_the_command_checks_and_gives_a_form(tmp_path: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "--template") == 0
    (tmp_path / "mine.json").write_text(capsys.readouterr().out)
    assert run(monkeypatch, "--check", tmp_path / "mine.json") == 0
    assert "My model, 1 results, no fault found" in capsys.readouterr().out
    (tmp_path / "mine.json").write_text(template().replace('"one-class"', '""'))
    assert run(monkeypatch, "--check", tmp_path / "mine.json") == 2
    assert "results[0].protocol is ''" in capsys.readouterr().err
    assert run(monkeypatch) == 2
    assert "nothing to rank" in capsys.readouterr().err


def test_the_command_prints_tables_or_json(folder: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, folder) == 0
    assert "### parsing/hdfs" in capsys.readouterr().out
    assert run(monkeypatch, folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "biglog.leaderboard/1"
    (first, *_) = told["tables"]
    assert [row["rank"] for row in first["rows"]] == [1, 2, 2, 4, None]
    assert first["rows"][-1]["model"] == HOSTILE
