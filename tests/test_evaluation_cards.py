"""Model cards: every number in them is the record's or the probes', and limits are told from the figures."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog import hub
from biglog.errors import InputError
from biglog.evaluation.cards import card_pictures, read_record, render_model_card
from biglog.evaluation.figures.learning import HEADLINES, headline_cells, who
from biglog.evaluation.left_out import gather
from biglog.evaluation.probes.cells import beaten, cells, ours_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "data" / "results"
RECORD = read_record(RESULTS / "pretrain.json")
PROBES = json.loads((RESULTS / "probes.json").read_text(encoding="utf-8"))
OLD = read_record(RESULTS / "pretrain_before_objectives.json")
NAME = "tiny-biglog"
COLD = {
    "contenders": {NAME: {"lines_per_cpu_second": 2519.0, "times_minilm": 31.4, "times_minilm_least": 29.6}}
}
CARD = render_model_card(RECORD, PROBES, COLD)
WITHOUT = render_model_card(RECORD, None, COLD)

FIXED = {"2023", "10.1109", "57198.2023.10188759", "256", "10.0.0.7", "22", "1", "2", "2.0", "6"}
FIXED |= {"10.1002", "202100707", "12", "0.3725", "1.67", "475"}
"""Numbers of the card's own words: paper, examples, Loghub's 2k samples, licence, MiniLM-L6, SHA-256; what
the estimate of carbon assumes (`biglog.evaluation.card_cost`), and where that is from."""

CHANGED = [
    ("model", "parameters"),
    ("model", "megabytes"),
    ("model", "hidden_size"),
    ("masking_version",),
    ("training", "steps"),
    ("training", "tokens"),
    ("training", "cpu_seconds"),
    ("training", "wall_seconds"),
    ("training", "tokens_per_cpu_second"),
    ("arguments", "seed"),
    ("arguments", "temperature"),
    ("arguments", "learning_rate"),
    ("arguments", "identity_weight"),
    ("arguments", "severity_weight"),
    ("arguments", "teacher_weight"),
    ("arguments", "tokens_weight"),
    ("arguments", "masking"),
    ("arguments", "held_out_share"),
    ("data", "train_normal_forms"),
    ("data", "train_tokens"),
    ("data", "cut_lines"),
    ("data", "sources", 3, "sha256"),
    ("data", "domains", 5, "forms"),
    ("tokenizer", "domains", 2, "tokens_per_line"),
    ("objectives", "statements"),
    ("objectives", "taught_texts"),
    ("objectives", "teacher", "sha256"),
    ("statements", "near_left_out"),
    ("statements", "projects", 0, "licence"),
    ("statements", "projects", 1, "statements"),
    ("statements", "sha256", "statements.csv"),
    ("evaluation", "domains", "HPC", "model", "accuracy"),
    ("evaluation", "domains", "Mac", "bigram", "bits_per_byte"),
    ("evaluation", "average_over_domains", "unigram", "accuracy"),
    ("evaluations", -1, "loss"),
    ("hardware", "processor"),
    ("hardware", "torch_threads"),
    ("versions", "torch"),
    ("git", "commit"),
    ("finished",),
]
"""Where the record has what the card says."""


def changed(record: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    found = copy.deepcopy(record)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = change(place[path[-1]])
    return found


def numbers(card: str) -> set[str]:
    """Numbers outside code, checksums, dates and versions, whose digits are everywhere."""
    prose = re.sub(
        r"```.*?```|`[^`]*`|\d{4}-\d\d-\d\d\S*|(?:biglog|torch|transformers) [\d.]+\S*", "", card, flags=re.S
    )
    return set(re.findall(r"\d+(?:[.,]\d+)*", prose))


@given(path=st.sampled_from(CHANGED), amount=st.integers(7, 10**6))
@settings(max_examples=50, deadline=None)
def test_when_the_record_changes_the_card_changes(path: tuple[Any, ...], amount: int) -> None:
    other = changed(
        RECORD, path, lambda value: f"x{amount}{value}" if isinstance(value, str) else value + amount
    )
    assert render_model_card(other, None, COLD) != WITHOUT


def shifted(value: Any, start: Iterator[int], key: str = "") -> Any:
    """The same with other numbers everywhere, in texts too."""
    if isinstance(value, dict):
        return {k: shifted(v, start, k) for k, v in value.items()}
    if isinstance(value, list):
        return [shifted(one, start, key) for one in value]
    if isinstance(value, str):
        return value if key in ("name", "remove") else re.sub(r"\d+", lambda d: f"77{d[0]}", value)
    if isinstance(value, bool) or value is None:
        return value
    return (value * 1.37 + 5003.13) if isinstance(value, float) else value + 40_009 + next(start)


def test_no_number_in_a_card_is_typed_by_hand() -> None:
    counter = iter(range(0, 10**7, 7))
    record = shifted(RECORD, counter)
    card = render_model_card(record, None, shifted(COLD, counter))
    derived = {str(len(RECORD["data"]["domains"]) - 1)}  # statements are none
    same = numbers(card) & numbers(WITHOUT)
    assert same <= FIXED | derived, same - FIXED - derived


def test_the_card_names_data_statements_teacher_and_objectives() -> None:
    for source in RECORD["data"]["sources"]:
        assert source["sha256"] in CARD
    assert "| Apache-2.0 | 2 | 10 |" in CARD
    assert "| apache/kafka | Apache-2.0 | 5 |" in CARD
    assert "none of its weights are here" in CARD
    assert re.search(r"\| severity \| whether 10 statements .* \| 0.5 \|", CARD)
    assert "Energy was not measured" in CARD
    assert "research or academic work" in CARD
    assert "**mean of known domains**" in CARD


def test_the_probes_are_marked_as_those_of_other_models_or_of_this_one() -> None:
    assert "4 models of tiny-biglog's recipe, training seed 0" in CARD
    assert "they are not the shipped model" in CARD
    itself = changed(PROBES, ("systems", NAME, "checkpoints"), lambda given: [given[0] | {"tested": None}])
    assert "**which has been trained on the tested domains**" in render_model_card(RECORD, itself)


def test_every_figure_in_which_a_baseline_is_above_is_in_the_card() -> None:
    baselines = {name for name, about in PROBES["systems"].items() if about["is_baseline"]}
    lost = 0
    for cell in cells(PROBES):
        if NAME not in cell.scores:
            continue
        ours = cell.scores[NAME].value
        above = {n for n in baselines & cell.scores.keys() if cell.scores[n].value > ours}
        rows = re.findall(
            rf"^\| {cell.probe}, {re.escape(cell.table)}: {re.escape(cell.measure)} \| (.*) \| (\S+) \|$",
            CARD,
            re.MULTILINE,
        )
        assert bool(rows) == bool(above), cell
        if rows:
            assert {re.sub(r" [\d.]+$", "", one) for one in rows[0][0].split(", ")} == above
            assert rows[0][1] == f"{ours:.4f}"
        lost += bool(above)
    assert f"**In {lost} of " in CARD
    assert lost == len(beaten(PROBES, NAME)) > 10


def test_a_model_above_every_baseline_is_told_so() -> None:
    best = json.loads(json.dumps(PROBES))
    for probe in ("events", "alerts"):
        for systems in best[probe]["scores"].values():
            systems[NAME] = json.loads(json.dumps(systems[NAME]), parse_float=lambda _: 1.5)
    for mode in best["severity"]["modes"].values():
        mode["scores"][NAME] = json.loads(json.dumps(mode["scores"][NAME]), parse_float=lambda _: 1.5)
    card = render_model_card(RECORD, best)
    assert "is a baseline above it." in card
    assert "<summary>Every figure of the probes" not in card


def test_means_are_over_the_domains_that_all_systems_have() -> None:
    (mean,) = [c for c in cells(PROBES) if c.table == "from log statements" and "mean" in c.measure]
    scores = PROBES["severity"]["modes"]["statements"]["scores"]
    asked = [name for name in scores[NAME]["sets"] if "alert" not in name]
    assert len(asked) < len(scores["character TF-IDF"]["sets"]) - 1
    values = [scores["character TF-IDF"]["sets"][name]["value"] for name in asked]
    assert mean.scores["character TF-IDF"].value == pytest.approx(sum(values) / len(values))
    assert mean.scores[NAME].value == pytest.approx(scores[NAME]["mean"]["value"])


def test_pictures_of_the_card_are_drawn_and_lie_where_it_says() -> None:
    named = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", CARD))
    assert named == set(card_pictures(RECORD, PROBES)) == {"curves.svg", "probes.svg"}
    there = render_model_card(RECORD, PROBES, pictures="tiny-biglog/")
    assert "](tiny-biglog/curves.svg)" in there
    drawn = card_pictures(RECORD, PROBES)
    for words in ("Identity of events", "Severity of statements", "Meaning", "Held-out accuracy", "training"):
        assert words in drawn["curves.svg"]
    assert all(title.partition("\n")[0] in drawn["probes.svg"] for title in HEADLINES.values())
    assert len(headline_cells(PROBES)) == len(HEADLINES)


def test_pictures_change_with_the_figures() -> None:
    drawn = card_pictures(RECORD, PROBES)
    slower = changed(RECORD, ("curve", 3, "loss_identity"), lambda loss: loss + 1)
    assert card_pictures(slower, PROBES)["curves.svg"] != drawn["curves.svg"]
    way = ("alerts", "scores", "content", "character TF-IDF", "unseen", "f1", "mean")
    better = changed(PROBES, way, lambda score: score + 0.1)
    assert card_pictures(RECORD, better)["probes.svg"] != drawn["probes.svg"]


def test_a_record_from_before_objectives_says_nothing_of_them() -> None:
    card = render_model_card(OLD)
    assert "### Log statements" not in card
    assert "### Teacher" not in card
    assert "### Frozen line embeddings" not in card
    assert "### Speed" not in card
    assert "bigram" not in card
    assert "| masked tokens | 15 % of the tokens of a row, pieces at a time | 1 |" in card
    assert "| BGL_100k-test (`anomaly/bgl/BGL_100k.log.gz#60001-`" in card  # exclusions and their proof
    assert "curves.svg" in card_pictures(OLD)


def test_left_out_domains_stand_apart() -> None:
    given = copy.deepcopy(RECORD)
    given["data"]["left_out"] = [{"domain": "BGL", "forms": 1234, "lines": 5000}]
    given["evaluation"]["domains"]["left_out/BGL"] = given["evaluation"]["domains"]["HPC"]
    average = given["evaluation"]["average_over_domains"]
    given["evaluation"]["average_over_left_out_domains"] = average
    card = render_model_card(given)
    assert "**Left out of training**, with every normal form that occurs in their lines: BGL (1,234" in card
    assert "| left out: BGL | 2 |" in card
    assert "**mean of left-out domains**" in card


def fold(seed: int, names: tuple[str, ...], accuracy: float) -> dict[str, Any]:
    """The record of a run that left domains out."""
    given = copy.deepcopy(RECORD)
    domains = given["evaluation"]["domains"]
    for name in names:
        domains[f"left_out/{name}"] = domains.pop(name)
        domains[f"left_out/{name}"]["model"]["accuracy"] = accuracy
    given["arguments"]["seed"], given["held_out_domains"] = seed, list(names)
    return given | {"name": f"fold{names[0]}-seed{seed}"}


def test_domains_left_out_of_fold_models_are_put_together() -> None:
    records = [
        fold(seed, names, accuracy)
        for seed, accuracy in ((0, 0.5), (1, 0.7))
        for names in (("HPC", "Mac"), ("Android",))
    ]
    found = gather(records, NAME)
    assert list(found["domains"]) == ["Android", "HPC", "Mac"]
    assert found["average_over_left_out_domains"]["model"]["accuracy"] == pytest.approx(0.6)
    assert found["seed_sd"]["accuracy"] == pytest.approx(0.2 / 2**0.5)
    assert found["seed_sd"]["bits_per_byte"] == 0
    hpc = RECORD["evaluation"]["domains"]["HPC"]
    assert found["domains"]["HPC"]["bigram"]["bits_per_byte"] == hpc["bigram"]["bits_per_byte"]
    card = render_model_card(RECORD, left_out=found)
    assert "Of 4 other models of this recipe (2 training seeds)" in card
    assert "| **mean of left-out domains** |  | **0.600** |" in card
    assert "On systems never seen, masked tokens are guessed at 0.600" in card
    assert render_model_card(RECORD, left_out=found | {"name": "other"}) == render_model_card(RECORD)
    assert gather(records[:2], NAME)["seed_sd"] is None


def test_records_that_left_nothing_out_are_refused() -> None:
    with pytest.raises(InputError, match="no record"):
        gather([], NAME)
    with pytest.raises(InputError, match=r"tiny-biglog.*no domain out"):
        gather([RECORD], NAME)


@pytest.mark.parametrize("lost", ["training", "evaluation", "hardware", "tokenizer", "curve", "arguments"])
def test_a_record_that_lacks_something_is_a_clear_error(lost: str) -> None:
    given = {key: value for key, value in RECORD.items() if key != lost}
    write = card_pictures if lost == "curve" else render_model_card
    with pytest.raises(InputError, match="lacks what"):
        write(given)


def test_a_run_without_evaluation_on_the_way_has_a_card_without_that_table() -> None:
    given = RECORD | {"evaluations": []}
    card = render_model_card(given)
    assert "The curve on held-out lines as numbers" not in card
    assert "Masked tokens" in card_pictures(given)["curves.svg"]


def test_another_models_probes_are_not_this_cards() -> None:
    assert render_model_card(RECORD | {"name": "other"}, PROBES) == render_model_card(
        RECORD | {"name": "other"}
    )
    assert ours_of(PROBES) == [NAME]
    assert who(PROBES, NAME).startswith("4 models")


def test_the_cards_own_code_runs(tmp_path: Path) -> None:
    folder = hub.save(tmp_path / "saved", checkpoint=TINY)
    blocks = re.findall(r"```python\n(.*?)```", CARD, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks[:2]:  # sentence-transformers is tried with the checkpoints themselves
        code = block.replace("<owner>/biglog", str(folder))
        exec(compile(code, "card", "exec"), {})


def test_pictures_travel_with_a_saved_checkpoint(tmp_path: Path) -> None:
    source = hub.save(tmp_path / "source", checkpoint=TINY)
    for name, drawn in card_pictures(RECORD, PROBES).items():
        (source / name).write_text(drawn, encoding="utf-8")
    saved = hub.save(tmp_path / "saved", checkpoint=source)
    for name, drawn in card_pictures(RECORD, PROBES).items():
        assert (saved / name).read_text(encoding="utf-8") == drawn
