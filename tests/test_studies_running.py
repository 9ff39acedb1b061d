"""Studies as a command: results and pictures on small real data, and clear errors."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from checkpoints import TINY
from command import failed, runner
from data_path import DATA, needs_data

from biglog.errors import InputError
from biglog.evaluation.ablation import Plan, Variant
from biglog.evaluation.anomaly import learning
from biglog.evaluation.anomaly.systems import OURS, Embedders
from biglog.evaluation.charts import Block, Panel, Series, curves, heat
from biglog.evaluation.figures import studies as figures
from biglog.evaluation.studies import few_shot, pictures, transfer
from biglog.evaluation.studies.pairs import Domain
from biglog.evaluation.studies.registry import STUDIES, Workplace, drawn, run_study, study_pictures
from biglog.evaluation.studies.sizes import sizes

ROOT = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
SMALL = ("Apache", "HDFS", "OpenStack")
PLAN = Plan(
    "base.yaml", ("BGL",), 10, (0, 1), {"one": Variant("small", {"w": 1}), "two": Variant("large", {"w": 2})}
)


def trained(name: str, changes: Any, seed: int) -> dict[str, Any]:
    """Stands for minutes of training: the more, the better, and seeds differ."""
    probes = {"1-shot novel keys": 0.8 + 0.05 * changes["w"] + 0.01 * seed, "severity, AUC": 0.6}
    facts = {"training_forms": 1e3 * changes["w"], "parameters": 1e6 * changes["w"]}
    facts |= {"cold_lines_per_cpu_second": 5e3, "cpu_seconds": 9.0}
    origin = {"files": {name: "ab"}, "ground_truth_versions": {"BGL": "loghub-2.0"}, "fingerprint": name}
    return {"probes": probes, "facts": facts, "origin": origin}


def workplace(folder: Path, **given: Any) -> Workplace:
    told: dict[str, Any] = {"data": DATA, "results": folder, "seeds": [0], "folds": [SMALL[:1], SMALL[1:]]}
    return Workplace(**told | {"embedders": lambda: Embedders(lambda *_: tiny())} | given)


def tiny() -> Any:
    from biglog.inference.encoder import LogEncoder

    return LogEncoder.from_pretrained(TINY).encode_normal_forms


def words(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def transferred() -> dict[str, Any]:
    """Three domains; MiniLM is stood for by lengths of forms, which need no weights."""

    class Lengths(Embedders):
        def minilm(self) -> Any:
            return lambda forms: np.array([[len(form), 1] for form in forms], np.float32)

    embedders = Lengths(lambda *_: tiny())
    return transfer.transfer(DATA, embedders, [SMALL[:1], SMALL[1:]], [0, 1], domains=SMALL)


@needs_data
def test_transfer_fills_the_matrix_but_for_its_diagonal(transferred: dict[str, Any]) -> None:
    systems = transferred["systems"]
    assert list(systems) == [OURS, transfer.WORDS, transfer.CHARACTERS, transfer.MINILM, transfer.TRIVIAL]
    for row in (*systems.values(), *transferred["with_shape"]["systems"].values()):
        assert {(s, t) for s, cells in row["matrix"].items() for t in cells} == {
            (s, t) for s in SMALL for t in SMALL if s != t
        }
        means = [cell["f1"] for cells in row["matrix"].values() for cell in cells.values()]
        assert row["mean"] == pytest.approx(np.mean(means))
    assert list(systems[OURS]["by_target_strict"]) == list(SMALL[1:]), "the first is alone in its fold"
    assert transferred["ground_truth_versions"]["HDFS"] == "loghub-2.0"
    assert all(len(one) == 64 for one in transferred["data"].values())


@needs_data
def test_a_source_without_two_forms_of_an_event_teaches_never(transferred: dict[str, Any]) -> None:
    assert transferred["domains"]["Apache"]["same"] == 0
    row = transferred["systems"][OURS]["matrix"]["Apache"]
    assert [row[target]["f1"] for target in SMALL[1:]] == [0, 0]


@needs_data
def test_wins_are_counted_target_by_target(transferred: dict[str, Any]) -> None:
    ours, rival = (transferred["systems"][name]["by_target"] for name in (OURS, transfer.WORDS))
    above = [target for target in SMALL if ours[target]["f1"] > rival[target]["f1"]]
    wins = transferred["wins"]["f1"]
    assert wins[transfer.WORDS] == above
    assert set(wins["both rivals"]) == set(wins[transfer.WORDS]) & set(wins[transfer.MINILM])
    assert transferred["bar"]["found"] == len(wins["both rivals"])
    assert not transferred["bar"]["holds"]


@needs_data
def test_transfer_is_drawn_and_told(transferred: dict[str, Any]) -> None:
    found = words(pictures.transfer(transferred))
    assert found.count("HDFS") == 2, "as source and as target"
    text = figures.transfer(transferred | {"seeds": [0, 1]})
    assert "does not hold" in text
    assert "in Apache" in text
    assert "(studies/transfer.svg)" in text


def test_the_unlearnt_rule_asks_for_first_word_and_number_of_words() -> None:
    forms = ["a b", "a c", "a b c", "d b"]
    domain = Domain("x", forms, np.arange(4), np.arange(4), np.arange(4))
    assert transfer.shape(domain).tolist() == [[1, 1], [1, 0], [0, 1], [1, 0], [0, 1], [0, 0]]


def test_drawn_groups_are_half_anomalous() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    for count in few_shot.COUNTS[:-1]:
        rows = learning.drawn(labels, 3, count)
        assert len(rows) == len(set(rows.tolist())) == count
        assert labels[rows].sum() == count // 2


@needs_data
def test_no_validation_part_has_a_group_of_a_test() -> None:
    tests, parts = learning.labelled_cases(DATA), few_shot.validation_cases(DATA)
    assert list(parts) == list(tests)
    whole = tests["HDFS_100k"][0]
    assert sum(len(part.labels) for part in parts["HDFS_100k"][:2]) == len(whole.labels)
    assert len(parts["BGL, windows of 20"][1].labels) == 1000
    assert parts["HDFS"][1].labels.mean() == 0.5


@pytest.mark.slow
@needs_data
def test_parsers_that_are_told_all_know_at_least_what_those_told_nothing_know(tmp_path: Path) -> None:
    verbs, nouns = (
        ("open", "close", "drop", "send", "read", "lost", "keep"),
        ("file", "block", "peer", "key", "job", "node"),
    )
    rows = [
        {"project": project, "template": f"{verb} {noun} <*> of {project}", "level": "INFO"}
        for project in ("first", "second")
        for verb in verbs
        for noun in nouns
    ]
    table = tmp_path / "statements.csv"
    pl.DataFrame(rows).write_csv(table)
    told = few_shot.few_shot_parsing(DATA, [table], [("Apache",), ("HDFS",)], [0], None)
    for way in (few_shot.FIRST, few_shot.PROPOSED):
        curve = told["curves"][way]
        assert list(curve) == ["0", *map(str, few_shot.COUNTS), few_shot.ALL]
        assert curve[few_shot.ALL]["FTA"]["mean"] >= curve["0"]["FTA"]["mean"]
        assert told["share"][way][few_shot.ALL] == dict.fromkeys(few_shot.METRICS, 1.0)
    bar = told["bar"][few_shot.PROPOSED]["FTA"]
    assert bar["holds"] == (bar["share"] >= few_shot.WANTED)


def few_shot_result() -> dict[str, Any]:
    counts = ["0", *map(str, few_shot.COUNTS), few_shot.ALL]
    curve = {n: {m: {"mean": 0.9, "sd": 0.0} for m in few_shot.METRICS} for n in counts}
    shares = {n: dict.fromkeys(few_shot.METRICS, 0.97) for n in counts}
    ways = (few_shot.FIRST, few_shot.PROPOSED)
    parsing = {"curves": dict.fromkeys(ways, curve), "share": dict.fromkeys(ways, shares)}
    parsing["bar"] = {few_shot.PROPOSED: {m: {"share": 0.97, "holds": True} for m in few_shot.METRICS}}
    three = (few_shot.PROPOSED, few_shot.ALONE, few_shot.DRAWN)
    one = {
        "curves": {way: {n: {"mean": 0.8, "sd": 0.0} for n in counts[1:]} for way in three},
        "share": {way: dict.fromkeys(counts[1:], 0.9) for way in three},
    }
    bar = {"way": few_shot.ALONE, "sets": {"HDFS": {"share": 0.9, "holds": False}}}
    return {
        "counts": list(few_shot.COUNTS),
        "parsing": parsing,
        "detection": {"sets": {"HDFS": one}, "bar": bar},
    }


def test_few_labels_are_drawn_and_what_misses_the_bar_is_said() -> None:
    svg = pictures.few_shot(few_shot_result())
    assert "Detection, HDFS" in words(svg)
    assert svg.count('class="goal"') == 5
    assert "not on HDFS (90.0%)" in figures.few_shot(few_shot_result())


def test_ways_to_adapt_are_drawn_beside_the_most_frequent_class() -> None:
    row = {"metrics": {"macro_f1": {"mean": 0.7, "sd": 0.1}}, "points_below_full": 0.0, "seconds": 1.0}
    task = {"head": "sequence", "modes": {"frozen": row, "full": row}, "majority": {"macro_f1": 0.5}}
    result = {"main_metric": "macro_f1", "seeds": [0, 1], "tasks": {"alerts of templates": task}}
    found = words(pictures.adaptation(result))
    assert {"frozen", "full", "most frequent class", "alerts", "0.500"} <= set(found)
    assert "| alerts of templates, full | 0.700 ± 0.100 | 0.0 | 1.0 |" in figures.adaptation(result)


def test_sizes_average_seeds_and_are_drawn(tmp_path: Path) -> None:
    told = sizes(PLAN, trained)
    assert told["variants"]["two"]["probes"]["1-shot novel keys"]["mean"] == pytest.approx(0.905)
    assert told["variants"]["two"]["probes"]["1-shot novel keys"]["sd"] == pytest.approx(0.005)
    assert told["steps"] == 10
    assert told["data"] == {"one": "ab", "two": "ab"}
    assert told["variants"]["two"]["fingerprints"] == ["two", "two"]
    assert "1" in words(pictures.data_size(told))
    assert "Speed" in words(pictures.model_size(told))
    assert "far fewer" in figures.model_size(told)
    at = workplace(tmp_path, plan=lambda name: PLAN, train=lambda plan, name: trained)
    result = run_study("data_size", at, tmp_path / "pictures")
    kept = json.loads((tmp_path / "study_data_size.json").read_text())
    assert kept["variants"] == json.loads(json.dumps(result["variants"]))
    assert {"hardware", "versions", "git", "schema"} <= kept.keys()
    assert ET.parse(tmp_path / "pictures" / "data_size.svg").getroot().tag == f"{SVG}svg"
    with pytest.raises(InputError, match="trains encoders"):
        run_study("model_size", workplace(tmp_path), tmp_path)


@pytest.mark.parametrize("name", STUDIES)
def test_committed_results_are_drawn_and_told(name: str) -> None:
    source = ROOT / "results" / STUDIES[name].source
    if not source.is_file():
        pytest.skip(f"there is no {source.name}")
    result = json.loads(source.read_text(encoding="utf-8"))
    assert len(words(drawn(name, result, source))) > 20
    assert f"(studies/{name}.svg)" in getattr(figures, name)(result)


def test_pictures_of_all_results_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "study_data_size.json").write_text(json.dumps(sizes(PLAN, trained)))
    assert list(study_pictures(tmp_path)) == ["data_size.svg"]


def test_what_is_wrong_is_said_in_a_line(capfd, monkeypatch, tmp_path: Path) -> None:
    run = runner(capfd, monkeypatch, "study")
    assert "transfer" in run("--list").out
    failed(run("nix"), "'nix'", "transfer")
    failed(run(), "no study is named")
    failed(run("online", "transfer"), "what is 'transfer'?")
    failed(run("online", "--seeds", 0, "x"), "no integers")
    failed(run("online", "--results", tmp_path, "--pictures", tmp_path), "anomaly.json", "anomalies.py")
    failed(run("transfer", "--draw", "--results", tmp_path), "no result of transfer")
    (tmp_path / "study_transfer.json").write_text('{"domains": {}}')
    failed(run("transfer", "--draw", "--results", tmp_path, "--pictures", tmp_path), "lacks", "'systems'")
    failed(
        run("transfer", "--data", DATA, "--models", tmp_path, "--results", tmp_path), "leave_domains_out.py"
    )
    failed(run("data_size", "--plans", tmp_path, "--results", tmp_path), "data_size.yaml")
    assert not list(tmp_path.glob("*.svg"))


def test_all_draws_what_was_measured(capfd, monkeypatch, tmp_path: Path) -> None:
    at = workplace(tmp_path, plan=lambda name: PLAN, train=lambda plan, name: trained)
    run_study("data_size", at, tmp_path / "first")
    outcome = runner(capfd, monkeypatch, "study")(
        "all", "--results", tmp_path, "--pictures", tmp_path / "all"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [str(tmp_path / "all" / "data_size.svg")]
    assert (tmp_path / "all" / "data_size.svg").read_text() == (
        tmp_path / "first" / "data_size.svg"
    ).read_text()


def test_a_matrix_has_a_cell_for_each_value_and_marks_the_best() -> None:
    rows = {"one": {"a": 0.5, "b": 1.0}, "two": {"a": 0.7}}
    svg = heat([Block("rows", rows, mark_best=True, own="two")], ["a", "b"], title="t")
    cells = [one for one in ET.fromstring(svg).iter(f"{SVG}rect") if one.get("class") == "cell"]
    assert [float(one.get("fill-opacity", "")) for one in cells] == pytest.approx([0.3, 0.6, 0.42])
    bold = [t.text for t in ET.fromstring(svg).iter(f"{SVG}text") if "strong" in (t.get("class") or "")]
    assert bold == ["1.00", "two", "0.70"]
    with pytest.raises(InputError, match="no value"):
        heat([Block("rows", {})], ["a"], title="t")
    with pytest.raises(InputError, match=r"is 1\.5"):
        heat([Block("rows", {"one": {"a": 1.5}})], ["a"], title="t")


def test_a_logarithmic_axis_places_equal_ratios_equally_far_apart() -> None:
    panel = Panel("t", "u", (Series("s", [1, 10, 100], [1, 1, 1]),), x_log=True, x_labels={1: "1"}, dots=True)
    svg = ET.fromstring(curves([panel], title="t"))
    dots = [float(one.get("cx", "")) for one in svg.iter(f"{SVG}circle")]
    assert len(dots) == 3
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1], abs=0.2)
    assert math.isclose(dots[2], 880 - 16 - 12, abs_tol=0.2)
