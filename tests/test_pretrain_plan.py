"""What a pretraining run would do, told before it begins."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from data_path import LINES
from rich.console import Console

from biglog.data.shards import Shards
from biglog.plan_terminal import print_plan
from biglog.training.arguments import PretrainArguments
from biglog.training.plan import plan_run
from biglog.training.prepared import prepare
from biglog.training.pretrain import pretrain

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "recipes/configs/pretrain/smoke.yaml"
TOKENIZER = str(Path(__file__).parent / "tiny-biglog")


def arguments(output, **changes):
    given = {"data_root": str(LINES), "train_data": ["*.log"], "output_path": str(output), "threads": 0}
    return PretrainArguments.from_yaml(SMOKE, **(given | changes))


def biglog(*words):
    code = "import sys; from biglog.cli import main; sys.argv[0] = 'biglog'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "pretrain", *words], capture_output=True, text=True, cwd=ROOT
    )


def test_a_plan_tells_what_the_run_then_does(tmp_path):
    run = arguments(
        tmp_path / "run",
        tokenizer=TOKENIZER,
        leave_out=["BGL"],
        exclude=["Mac.log"],
        max_steps=0,
        epochs=1,
        eval_steps=0,
    )
    plan = plan_run(run)
    prepared = prepare(run)
    assert plan["totals"]["tokens"] == prepared.training_tokens
    assert plan["totals"]["forms"] == len(prepared.corpus.train)
    assert plan["fingerprint"] == prepared.corpus.fingerprint
    assert sum(row["share"] for row in plan["domains"]) == pytest.approx(1)
    assert [e["remaining"] for e in plan["exclusions"]] == [0] * len(plan["exclusions"])
    assert plan["left_out"][0]["domain"] == "BGL"
    assert not (tmp_path / "run").exists()
    record = pretrain(run)
    assert plan["training"]["steps"] == record["training"]["steps"]
    assert record["training"]["tokens"] <= plan["training"]["tokens_at_most"]
    assert plan["training"]["seconds"] is None


def test_without_a_tokenizer_tokens_are_unknown_and_steps_are_those_asked_for(tmp_path):
    plan = plan_run(arguments(tmp_path))
    assert plan["totals"]["tokens"] is None
    assert plan["training"]["steps"] == 60
    assert plan_run(arguments(tmp_path, max_steps=0))["training"]["steps"] is None


def test_warnings(tmp_path):
    (tmp_path / "one.log").write_text(
        "".join(f"{'abcdefgh'[i % 8] * 3} {'qrstuvwx'[i // 8] * 4} is up\n" for i in range(64))
    )
    plan = plan_run(arguments(tmp_path, data_root=str(tmp_path), train_data=["one.log"]))
    assert plan["warnings"] == ["there is one domain: temperature changes nothing"]
    plan = plan_run(
        arguments(tmp_path, data_root=str(tmp_path), train_data=["one.log"], exclude=[f"{LINES}/BGL.log"])
    )
    assert plan["warnings"][1] == "BGL (BGL.log) shares no normal form with the sources"


def test_a_plan_is_printed(tmp_path):
    plan = plan_run(arguments(tmp_path, tokenizer=TOKENIZER, leave_out=["BGL"]))
    console = Console(width=120, record=True, file=io.StringIO())
    print_plan(plan, console)
    text = console.export_text()
    for words in (
        "Corpus",
        "Left out",
        "Kept from training",
        "60 steps of 4 rows",
        "time unknown",
        "OpenSSH",
    ):
        assert words in text, text


def test_the_command_prints_a_plan_and_writes_shards(tmp_path):
    words = ["--config", str(SMOKE), "--output_path", str(tmp_path / "run")]
    done = biglog(*words, "--plan", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert len(plan["domains"]) == 16
    assert not (tmp_path / "run").exists()
    done = biglog(*words, "--write-shards", str(tmp_path / "shards"))
    assert done.returncode == 0, done.stderr
    assert Shards.open(tmp_path / "shards").record["train_normal_forms"] == plan["totals"]["forms"]
    done = biglog(*words, "--json")
    assert done.returncode == 2
    assert "--json is for --plan alone" in done.stderr
