"""Evaluation of parsing: truths, baselines, and what a result says."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, needs_data

from biglog.data.statements import read_statements
from biglog.errors import InputError
from biglog.evaluation import parsing
from biglog.evaluation.figures import parsing as figures
from biglog.tasks.parsing import schooling
from biglog.tasks.parsing.lexicon import Lexicon

STATEMENTS = DATA / "statements" / "statements.csv.gz"


@needs_data
def test_truths_say_their_version() -> None:
    version, contents, templates = parsing.read_truth("Apache", DATA, parsing.GROUND_TRUTHS["loghub-2.0"])
    assert version == "loghub-2.0"
    assert len(contents) == len(templates) == 2000
    assert (
        parsing.read_truth("Android", DATA, parsing.GROUND_TRUTHS["loghub-2.0"])[0] == "logparser-corrected"
    )
    with pytest.raises(InputError, match="no ground truth of Apache"):
        parsing.read_truth("Apache", DATA, ["another"])


def test_baselines_write_a_template_for_each_line() -> None:
    lines = [f"user {name} logged in from 10.0.0.{i}" for i, name in enumerate("abcdefg")] + [
        "",
        "port 7 shut",
    ]
    contents = pl.Series(lines, dtype=pl.String)
    assert parsing.by_normal_form(contents).to_list() == [
        *(f"user {name} logged in from <*>" for name in "abcdefg"),
        "",
        "port <*> shut",
    ]
    assert parsing.by_rule(contents).to_list() == [
        *["user <*> logged in from <*>"] * 7,
        "",
        "port <*> shut",
    ]


def test_drain3_is_run_with_the_masks_of_its_readme() -> None:
    pytest.importorskip("drain3")
    lines = ["took 7 ms on 10.0.0.1", "took 8 ms on 10.0.0.2", "link 0xff down"]
    found = parsing.by_drain3(pl.Series(lines)).to_list()
    assert found == ["took <*> ms on <*>"] * 2 + ["link <*> down"]


def test_scores_with_and_without_corrections() -> None:
    found = parsing.scored(["blk_<*> up", "blk_<*> up"], ["<*> up", "<*> up"])
    assert found["none"]["GA"] == found["all"]["GA"] == 1
    assert (found["none"]["PA"], found["all"]["PA"]) == (0, 1)


def test_means_are_over_domains_and_spread_over_seeds() -> None:
    def run(first: float, second: float) -> dict[str, dict[str, dict[str, float]]]:
        return {
            name: {rules: {"GA": value} for rules in parsing.CORRECTIONS}
            for name, value in (("A", first), ("B", second))
        }

    found = parsing.means([run(1.0, 0.0), run(1.0, 0.5)])
    assert found["none"]["GA"] == {"mean": 0.625, "sd": 0.125}


@needs_data
def test_a_result_has_every_system_and_says_what_it_was_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schooling, "MADE_LOGS", 2)
    monkeypatch.delitem(parsing.BASELINES, "Drain3")
    folds, said = [["Apache"], ["HDFS", "Zookeeper"]], []
    result = parsing.evaluate_parsing(DATA, [STATEMENTS], folds, [0], ["loghub-2.0"], said.append)
    told = result["ground_truths"]["loghub-2.0"]
    labelled = {way + rest for way in parsing.LABELLED for rest in parsing.RESTS}
    assert set(told["systems"]) == {"BigLog, zero-shot", "rule", "normal forms", *labelled}
    assert set(told["versions"].values()) == {"loghub-2.0"}
    assert len(said) == 4 + len(labelled)
    assert 0.9 < told["steadiness"]["shuffled"]["BigLog"] <= 1
    assert 0.9 < told["steadiness"]["streamed"]["BigLog"] <= 1
    told = told["systems"]
    assert result["folds"] == folds
    assert result["statements"]["kept"] < result["statements"]["rows"]
    ours = told["BigLog, zero-shot"]
    assert set(ours["domains"]) == {"Apache", "HDFS", "Zookeeper"}
    assert ours["means"]["none"]["GA"]["mean"] > told["normal forms"]["means"]["none"]["GA"]["mean"] - 0.2
    whole, short = figures.parsing(result), figures.parsing_in_short(result)
    for way in parsing.LABELLED:
        assert told[way]["means"]["none"]["GA"]["mean"] >= ours["means"]["none"]["GA"]["mean"] - 0.05
        assert f"| {way} |" in short
    assert whole.count("\n| BigLog, zero-shot |") == len(parsing.CORRECTIONS)
    assert short.count("\n| BigLog, zero-shot |") == 1
    assert f"{ours['means']['none']['PA']['mean']:.3f}" in short
    assert f"| HDFS | {ours['domains']['HDFS']['none']['GA']:.3f} |" in whole


@needs_data
def test_a_parser_has_not_been_taught_by_its_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schooling, "MADE_LOGS", 1)
    seen = []
    real = schooling.learn

    def watched(taught, **options):  # type: ignore[no-untyped-def]
        seen.append([len(one.dividing) for one, _ in taught])
        return real(taught, trees=1, **options)

    monkeypatch.setattr(schooling, "learn", watched)
    domains, table = ("Apache", "HDFS", "Zookeeper"), read_statements(STATEMENTS)
    truths = {domain: parsing.read_truth(domain, DATA, ["loghub-2.0"])[1:] for domain in domains}
    own = {d: len(schooling.lessons(*truths[d], Lexicon.of(["x <*>"])).dividing) for d in truths}
    parsing.taught_parsers(truths, [["Apache"], ["HDFS", "Zookeeper"]], table, 0)
    assert [row[:-1] for row in seen] == [[own["HDFS"], own["Zookeeper"]], [own["Apache"]]]


def test_lines_to_label_are_found_in_the_log() -> None:
    contents = pl.Series(["b", "a", None, "b", "a", "c"])
    assert parsing.first_distinct(contents, 3) == [0, 1, 2]


def test_a_baseline_that_is_not_installed_is_told_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "drain3", None)
    with pytest.raises(InputError, match=r"Drain3 is not installed. .*biglog\[bench\]"):
        parsing.evaluate_parsing(tmp_path, [], [["Apache"]], [0], ["loghub-2.0"])
