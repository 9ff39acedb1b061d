"""The README's figures and docs/figures.md: what is there is shown, what is missing is left out and named."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from biglog.data.statements import build_statements
from biglog.data.statements.record import write_record
from biglog.errors import InputError
from biglog.evaluation.figures import learning, reading, speed
from biglog.evaluation.figures.markdown import joined, table
from biglog.evaluation.figures.page import SECTIONS, between, figures, figures_page, missing

ROOT = Path(__file__).resolve().parents[1]
PROBES = Path(__file__).parent / "data" / "results" / "probes.json"
OPTIONAL = list(dict.fromkeys(section.file for section in SECTIONS if not section.is_needed))
ABLATION: dict[str, Any] = {
    "schema": "biglog-ablation/1",
    "steps": 800,
    "fold": ["BGL", "HPC"],
    "seeds": [0],
    "variants": {
        "full": {
            "what": "the recipe",
            "probes": {"1-shot events": 0.981, "unseen alerts, F1": 0.9},
            "cpu_seconds": 300.0,
        },
        "no teacher": {
            "what": "no teacher at all",
            "probes": {"1-shot events": 0.984},
            "cpu_seconds": 240.0,
        },
    },
}
COLD: dict[str, Any] = {
    "unit": "lines per CPU second",
    "lines": 2430,
    "tokens_per_line": 21.5,
    "contenders": {
        "MiniLM-L6": {
            "parameters": 22_713_216,
            "lines_per_cpu_second": 51.2,
            "times_minilm": 1.0,
            "times_minilm_least": 1.0,
        },
        "biglog-mini": {
            "parameters": 1_269_760,
            "lines_per_cpu_second": 2519.0,
            "times_minilm": 49.2,
            "times_minilm_least": 47.6,
        },
        "2x128": {
            "parameters": 1_269_760,
            "lines_per_cpu_second": 2498.0,
            "times_minilm": 48.8,
            "times_minilm_least": 47.0,
        },
    },
}
TRAINING: dict[str, Any] = {
    "unit": "real tokens per CPU second",
    "tokens_per_line": 22.25,
    "ways": {
        "authors, padded to 150": {
            "tokens_per_cpu_second": 1010.0,
            "times_padded_to_150": 1.0,
            "times_padded_to_150_least": 1.0,
        },
        "packed, 256": {
            "tokens_per_cpu_second": 11_110.0,
            "times_padded_to_150": 11.0,
            "times_padded_to_150_least": 10.4,
            "times_padded_to_longest": 3.1,
            "times_padded_to_longest_least": 2.9,
        },
    },
}

LEFT_OUT: dict[str, Any] = {
    "name": "biglog-mini",
    "models": [{"name": "fold0-seed0", "seed": 0, "left_out": ["BGL"]}],
    "domains": {"BGL": {}},
    "average_over_left_out_domains": {
        "model": {"accuracy": 0.51, "bits_per_byte": 1.25},
        "bigram": {"accuracy": 0.42, "bits_per_byte": 1.5},
    },
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The results that have to be there, and no others."""
    for section in SECTIONS:
        if section.is_needed:
            shutil.copy(ROOT / "results" / section.file, tmp_path)
    return tmp_path


PARSING_SPEED: dict[str, Any] = {
    "lines": {"Mac": 2_000, "Thunderbird": 100},
    "domains": {
        "Mac": {
            "Drain3": {"lines_per_cpu_second": 10.2},
            "BigLog": {"lines_per_cpu_second": 40.0, "times_drain3": 4.0, "peak_gb": 0.1},
            "BigLog, with parameters": {"lines_per_cpu_second": 30.0, "times_drain3": 3.0, "peak_gb": 0.2},
        }
    },
}


def write(results: Path, name: str, content: dict[str, Any]) -> None:
    (results / name).write_text(json.dumps(content), encoding="utf-8")


def test_what_is_missing_is_left_out_and_named(results: Path) -> None:
    assert missing(results) == OPTIONAL
    page, short = figures_page(results), figures(results)
    assert "## Probes" not in page
    assert "## Pretraining" in page
    for text in (page, short):
        assert "**Line embeddings**" in text
        assert "Lines never seen before" not in text


def test_what_is_there_is_shown(results: Path) -> None:
    shutil.copy(PROBES, results / "probes_biglog-mini.json")
    write(results, "cold_embeddings.json", COLD)
    write(results, "training_efficiency.json", TRAINING)
    write(results, "pretraining_ablation.json", ABLATION)
    write(results, "left_out_biglog-mini.json", LEFT_OUT)
    write(results, "benchmark_parsing.json", PARSING_SPEED)
    left_out = ["parsing.json", "anomaly.json", "benchmark_detection.json", "failure.json"]
    left_out += ["tokenizers.json", "adaptation_modes.json", "adaptation_speed.json", "statements.json"]
    left_out += ["reproduction.json"]
    studies = ("zero_shot", "few_shot", "transfer", "data_size", "model_size")
    assert missing(results) == left_out + [f"study_{name}.json" for name in studies]
    assert "| Mac | 10 | **40** | 4.0 × | 30 | 3.0 × | 0.20 GB |" in figures_page(results)
    page, short = figures_page(results), figures(results)
    for title in ("Probes", "Lines never seen before", "Training efficiency", "Ablation of the recipe"):
        assert f"## {title}\n" in page
    assert "**Masked tokens of 1 domains left out of training**" in page
    assert "| masked bigram | 0.420 | 1.500 |" in page
    anchors = re.findall(r"\]\(#([^)]+)\)", page)
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert [heading.lower().replace(" ", "-") for heading in headings] == anchors
    assert "biglog-mini embeds 2,519 lines per CPU second, 49 × MiniLM-L6" in short
    assert "](model_cards/tiny-biglog/probes.svg)" in short
    assert len(short) < len(page) / 3  # the README keeps what sells
    assert "tiny-biglog is above every baseline in 1 of these 8 figures" in short


def test_every_section_says_where_it_comes_from(results: Path) -> None:
    page = figures_page(results)
    for section in SECTIONS:
        assert (f"`results/{section.file}`" in page) == section.is_needed


@pytest.mark.parametrize("name", ["reading.json", "benchmark_embeddings.json", "cold_embeddings.json"])
def test_a_damaged_result_is_named(results: Path, name: str) -> None:
    (results / name).write_text('{"logs": {', encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name}.*cannot be read"):
        figures(results)
    write(results, name, {"rounds": 3})
    with pytest.raises(InputError, match=rf"results/{name}.*lacks"):
        figures(results)


def test_a_result_that_changes_changes_its_figure(results: Path) -> None:
    before = figures(results)
    log = json.loads((results / "benchmark_analyze.json").read_text(encoding="utf-8"))
    log["logs"]["BGL"]["wall_seconds"] = 1234.5
    write(results, "benchmark_analyze.json", log)
    changed = [line for line in figures(results).splitlines() if line not in before.splitlines()]
    assert len(changed) == 1
    assert "1234.5 s" in changed[0]


def test_embeddings_in_short_are_medians_and_ranges() -> None:
    names = ("ours_mini", "ratio_mini", "ratio_mini_contents", "ratio_minilm", "ratio_drain3")
    domains = {f"d{i}": dict.fromkeys(names, float(i)) for i in (1, 2, 9)}
    domains["d9"]["ratio_base"] = 500.0
    lines = speed.embedding_in_short({"torch_threads": 2, "domains": domains}).splitlines()
    assert lines[-3:] == [
        "| median of 3 domains | 2 | 2 × | 2 × | 500 × | 2 × | 2.0 × |",
        "| least | 1 | 1 × | 1 × | 500 × | 1 × | 1.0 × |",
        "| most | 9 | 9 × | 9 × | 500 × | 9 × | 9.0 × |",
    ]


def test_ablation_shows_differences_to_the_full_recipe() -> None:
    lines = learning.ablation(ABLATION).splitlines()
    assert lines[-2] == "| full: the recipe | 0.981 | 0.900 | 5.0 |"
    assert lines[-1] == "| no teacher: no teacher at all | 0.984 (+0.003) |  | 4.0 |"
    assert "one training seed" in lines[0]
    assert "means of 2 training seeds" in learning.ablation(ABLATION | {"seeds": [0, 1]})
    with pytest.raises(InputError, match="this version"):
        learning.ablation(ABLATION | {"schema": "biglog-ablation/9"})


def test_training_and_cold_tables_have_a_row_for_each() -> None:
    assert "| packed, 256 | 11,110 | 11.0 × (10.4) | 3.1 × (2.9) |" in speed.training(TRAINING)
    assert "| authors, padded to 150 | 1,010 | 1.0 × (1.0) |  |" in speed.training(TRAINING)
    assert "| **biglog-mini** | 1,269,760 | 2,519 | 49.2 × (least 47.6) |" in speed.cold(COLD)
    assert "| 2x128 | 1,269,760 | 2,498 |" in speed.cold(COLD)


def test_statements_are_shown_by_language_and_licence(tmp_path: Path) -> None:
    for name, level in (("alpha", "warning"), ("beta", "error")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1.0"\nlicense = "MIT"\n', encoding="utf-8"
        )
        code = f'import logging\nlog = logging.getLogger("x")\nlog.{level}("lost connection {name} %s", a)\n'
        (folder / "link.py").write_text(code, encoding="utf-8")
    report = build_statements([tmp_path / "alpha", tmp_path / "beta"], tmp_path / "out.parquet")
    write_record(tmp_path / "statements.json", report)
    record = json.loads((tmp_path / "statements.json").read_text(encoding="utf-8"))
    text = reading.statements(record)
    assert (
        "**Log statements** of source code: 2 in 2 projects, 2 distinct templates out of 2 log calls" in text
    )
    assert "2 of python" in text
    (row,) = text.splitlines()[4:]
    assert row.endswith("| 2 | 2 |")


def test_text_between_marks_is_written_anew() -> None:
    assert between("a\n<!-- x -->\nold\n<!-- /x -->\nb", "x", "new") == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
    for text in ("no marks", "<!-- x -->\nno end", "<!-- /x -->\n<!-- x -->\n"):
        with pytest.raises(InputError, match="marks of 'x'"):
            between(text, "x", "new")


def test_markdown_is_as_it_should_be() -> None:
    assert table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
    assert [joined(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_the_command_says_what_is_left_out(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["render_docs.py", "--check"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "recipes" / "render_docs.py"), run_name="__main__")
    assert stop.value.code in (0, 1)
    assert set(re.findall(r"no results/(\S+)", capsys.readouterr().err)) == set(missing(ROOT / "results"))
