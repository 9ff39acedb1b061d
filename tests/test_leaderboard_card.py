"""Cards say what a model does on tasks beside baselines, in words and in metadata, and what training cost."""

from __future__ import annotations

import copy
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoints import TINY
from huggingface_hub import ModelCard
from leaderboard_samples import detection, models, renamed

from biglog import hub
from biglog.evaluation.card_cost import cost, cost_words
from biglog.evaluation.cards import card_pictures, read_record, render_model_card
from biglog.evaluation.leaderboard import Entry
from biglog.evaluation.results import ModelResults

RECORD = read_record(Path(__file__).parent / "data" / "results" / "pretrain.json")
NAME = RECORD["name"]


@pytest.fixture(scope="module")
def board() -> list[Entry]:
    mini, *others = models()
    seen = replace(detection(0.99, protocol="another"), exposure="test")
    mini = replace(renamed(mini, NAME), results=(*mini.results, seen))
    return [Entry(one) for one in (mini, *others)]


def lines_of(card: str) -> list[list[str]]:
    found = card.partition("### On tasks, beside baselines")[2].partition("###")[0]
    rows = [line.strip("| ").split(" | ") for line in found.splitlines() if line.startswith("| ")]
    return rows[2:]


def test_a_card_has_every_result_beside_the_best_baseline(board) -> None:
    card = render_model_card(RECORD, board=board)
    rows = lines_of(card)
    assert len(rows) == len(board[0].results.results)
    (one_class,) = [row for row in rows if row[3] == "0.941 ± 0.004"]
    assert one_class[2] == "domain left out"
    assert one_class[4] == "0.939 ± 0.012 (TF-IDF + isolation forest)"
    assert one_class[6] == "1 of 4"
    (unranked,) = [row for row in rows if row[-1] == "not ranked"]
    assert unranked[2:4] == ["test seen", "0.990"]


def test_metadata_have_the_ranked_results_as_a_hub_reads_them(board) -> None:
    card = ModelCard(render_model_card(RECORD, board=board))
    told = card.data.eval_results or []
    assert card.data.model_name == NAME
    ranked = [row for row in board[0].results.results if row.exposure != "test"]
    assert len(told) == len(ranked)
    assert sorted(one.metric_value for one in told) == sorted(
        round(row.metrics[row.main_metric].mean, 4) for row in ranked
    )
    assert {one.dataset_type for one in told} == {row.task for row in ranked}


def test_a_card_without_results_says_nothing_of_tasks(board) -> None:
    assert render_model_card(RECORD, board=board[1:]) == render_model_card(RECORD)
    assert "model-index" not in render_model_card(RECORD)


def test_when_a_result_changes_the_card_changes(board) -> None:
    card = render_model_card(RECORD, board=board)
    for at, entry in enumerate(board[:3]):
        first, *rest = entry.results.results
        figures = {name: replace(one, mean=one.mean / 2) for name, one in first.metrics.items()}
        worse: ModelResults = replace(entry.results, results=(replace(first, metrics=figures), *rest))
        assert render_model_card(RECORD, board=[*board[:at], Entry(worse), *board[at + 1 :]]) != card


def test_a_picture_of_the_tasks_is_drawn_and_travels(board, tmp_path: Path) -> None:
    drawn = card_pictures(RECORD, board=board)
    assert "](there/tasks.svg)" in render_model_card(RECORD, board=board, pictures="there/")
    cells = ET.fromstring(drawn["tasks.svg"]).iter()
    words = [one.text for one in cells if one.text and one.text.strip()]
    assert {"bgl-windows-20", "hdfs", NAME, "counts of events", "0.94"} <= set(words)
    assert "bgl-in-time" not in words  # false alarms are no share
    assert "tasks.svg" not in card_pictures(RECORD) | card_pictures(RECORD, board=board[:0])
    source = hub.save(tmp_path / "source", checkpoint=TINY)
    (source / "tasks.svg").write_text(drawn["tasks.svg"])
    assert (hub.save(tmp_path / "saved", checkpoint=source) / "tasks.svg").is_file()


def test_carbon_follows_from_the_times_of_the_run() -> None:
    once = cost(RECORD)
    twice = copy.deepcopy(RECORD)
    for name in ("cpu_seconds", "wall_seconds"):
        twice["training"][name] *= 2
    double = cost(twice)
    assert once is not None
    assert double is not None
    assert double.grams == pytest.approx(2 * once.grams)
    by_hand = (3.84 / 3600 * 12 + RECORD["training"]["wall_seconds"] / 3600 * 23.5 * 0.3725) * 1.67 / 1000
    assert once.kilowatt_hours == pytest.approx(by_hand)
    assert f"{once.grams:.2g} g CO2e" in cost_words(RECORD)
    assert cost_words(twice) != cost_words(RECORD)


@pytest.mark.parametrize(
    ("device", "watts"), [("NVIDIA H100 80GB HBM3", 700), ("NVIDIA A100-SXM4-40GB", 400)]
)
def test_accelerators_count_by_the_clock(device: str, watts: int) -> None:
    given = json.loads(json.dumps(RECORD))
    given["hardware"]["accelerators"] = [device, device]
    plain, found = cost(RECORD), cost(given)
    assert plain is not None
    assert found is not None
    more = 2 * watts * RECORD["training"]["wall_seconds"] / 3600 * 1.67 / 1000
    assert found.kilowatt_hours - plain.kilowatt_hours == pytest.approx(more)
    assert f"{2 * watts} W for the accelerators" in cost_words(given)


def test_an_unknown_accelerator_has_no_estimate() -> None:
    given = json.loads(json.dumps(RECORD))
    given["hardware"]["accelerators"] = ["Abacus 9"]
    assert cost(given) is None
    card = render_model_card(given)
    assert "is not known here: no estimate" in card
    assert not re.search(r"CO2e\b", card)
