"""Pretraining with line order: the curve, the checkpoint and what the record says."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_path import LINES
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer, pipeline

from biglog.data.collators import MaskedLanguageCollator, Row
from biglog.errors import InputError
from biglog.training.arguments import PretrainArguments
from biglog.training.initial import initial_model
from biglog.training.prepared import prepare
from biglog.training.pretrain import pretrain
from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "recipes/configs/pretrain/smoke.yaml"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Logs with an order: of each domain its real lines, over and over, now and then one twice."""
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    for file in LINES.glob("*.log"):
        lines = file.read_bytes().splitlines(keepends=True)
        lines[-1] = lines[-1].rstrip(b"\n") + b"\n"
        times = rng.choice([1, 2], p=[0.8, 0.2], size=40 * len(lines))
        (folder / file.name).write_bytes(b"".join(lines[i % len(lines)] * n for i, n in enumerate(times)))
    return folder


def settings(logs, output, **changes):
    run = {"output_path": str(output), "train_data": [f"{logs}/*.log"], "threads": 0, "max_steps": 8}
    run |= {"save_steps": 4, "logging_steps": 1, "eval_steps": 0, "line_order_weight": 5.0}
    # So many held-out forms leave the short cycles without windows.
    run |= {"masking": "terms", "held_out_share": 0.05}
    return PretrainArguments.from_yaml(SMOKE, **(run | changes))


@pytest.fixture(scope="module")
def run(logs, tmp_path_factory):
    """A finished run: its folder and its record."""
    output = tmp_path_factory.mktemp("run")
    return output, pretrain(settings(logs, output, eval_steps=4))


def test_the_checkpoint_is_one_for_every_use(run):
    folder = run[0] / "tiny-biglog"
    encoding = AutoTokenizer.from_pretrained(folder)("session opened for user root", return_tensors="pt")
    assert AutoModel.from_pretrained(folder)(**encoding).pooler_output.shape == (1, 32)
    masked, report = BigLogForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    both = AutoModelForPreTraining.from_pretrained(folder)
    assert isinstance(both, BigLogForPreTraining)
    torch.testing.assert_close(both(**encoding).prediction_logits, masked(**encoding).logits)
    assert isinstance(AutoModelForMaskedLM.from_pretrained(folder), BigLogForMaskedLM)
    assert len(pipeline("fill-mask", model=str(folder))("session [MASK] for user root")) == 5


def test_the_record_says_how_well_order_is_told_beside_the_trivial_rule(run):
    record = run[1]["line_order"]
    assert record["window_lines"] == 2
    assert sum(record["distinct_windows"].values()) > 20
    assert record["domains"].keys() <= record["distinct_windows"].keys()
    for score in record["domains"].values():
        assert 0 < score["windows"] <= 200
        assert 0 <= score["accuracy"] <= 1
        # Two lines in turn have no order, three or more go round.
        assert 0.5 <= score["transitions"] <= 1
    assert record["average_over_domains"]["transitions"] > 0.7
    assert {"accuracy", "transitions"} <= record["average_over_domains"].keys()
    assert [e["step"] for e in run[1]["evaluations"]] == [4, 8]
    assert all("line_order_accuracy" in e for e in run[1]["evaluations"])


@pytest.mark.slow
def test_order_is_learnt(logs, tmp_path):
    changes = {"max_steps": 600, "save_steps": 600, "eval_lines": 30, "learning_rate": 5e-3}
    changes |= {"mlm_probability": 0.05, "line_order_weight": 20.0, "window_share": 1.0}
    mean = pretrain(settings(logs, tmp_path, **changes))["line_order"]["average_over_domains"]
    # Logs of two known lines in turn have no order to tell; the rule's share is the most there is.
    assert mean["accuracy"] > mean["transitions"] - 0.1 > 0.65


def test_accumulated_batches_give_the_curve_and_weights_of_large_ones(run, logs, tmp_path):
    changes = {"batch_size": 1, "gradient_accumulation_steps": 4, "eval_steps": 4}
    record = pretrain(settings(logs, tmp_path, **changes))
    assert losses(record) == pytest.approx(losses(run[1]), rel=1e-4)
    assert_same_weights(tmp_path, run[0])


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one_at_the_same_global_batch(run, logs, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    command += [str(ROOT / "recipes/pretrain_mlm.py"), "--config", str(SMOKE)]
    arguments = settings(logs, tmp_path, batch_size=2).to_dict()
    told = (
        "output_path",
        "train_data",
        "max_steps",
        "save_steps",
        "logging_steps",
        "eval_steps",
        "batch_size",
    )
    for name in (*told, "line_order_weight", "masking", "held_out_share"):
        value = arguments[name]
        command += [f"--{name}", ",".join(value) if isinstance(value, list) else str(value)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "record.json").read_text())
    assert losses(record) == pytest.approx(losses(run[1]), rel=1e-4)
    assert_same_weights(tmp_path, run[0])


def losses(record):
    return [point["loss"] for point in record["curve"]]


def assert_same_weights(one, other):
    mine, theirs = (
        BigLogForPreTraining.from_pretrained(f / "tiny-biglog").state_dict() for f in (one, other)
    )
    for name, weight in mine.items():
        torch.testing.assert_close(weight, theirs[name], atol=2e-4, rtol=1e-3, msg=name)


def test_an_interrupted_run_goes_on_and_another_order_is_refused(run, logs, tmp_path):
    copy = tmp_path / "logs"
    copy.mkdir()
    for file in logs.glob("*.log"):
        (copy / file.name).write_bytes(file.read_bytes())
    output = tmp_path / "run"
    # The folders differ, the domains and lines do not.
    pretrain(settings(copy, output))
    (output / "record.json").unlink()
    lines = (copy / "HDFS.log").read_bytes().splitlines(keepends=True)
    (copy / "HDFS.log").write_bytes(b"".join(reversed(lines)))
    with pytest.raises(InputError, match="training lines differ"):
        pretrain(settings(copy, output, resume=True))
    (copy / "HDFS.log").write_bytes(b"".join(lines))
    forget_last(output)
    record = pretrain(settings(copy, output, resume=True))
    assert losses(record) == pytest.approx(losses(run[1]), rel=1e-6)


def forget_last(output):
    """Leaves the checkpoint of step 4 as the last one."""
    (output / "checkpoint-8" / "clock.json").unlink()


def test_domains_left_out_are_evaluated_apart(logs, tmp_path):
    prepared = prepare(settings(logs, tmp_path, leave_out=["HDFS"]))
    domains = prepared.line_order.held_out.domains
    assert "HDFS" not in domains
    assert domains["left_out/HDFS"].unseen.all()
    assert "HDFS" not in prepared.line_order.windows.by_domain


def test_logs_in_order_may_be_others_than_those_of_single_lines(logs, tmp_path):
    prepared = prepare(settings(logs, tmp_path, window_data=[f"{logs}/HDFS.log"]))
    assert prepared.line_order.windows.by_domain.keys() == {"HDFS"}


def test_switched_off_a_run_is_of_masked_lines_alone(logs, tmp_path):
    """The first loss is that of the model and batch made by hand, and nothing of line order is there."""
    arguments = settings(logs, tmp_path, line_order_weight=0.0, masking="pieces", max_steps=1, save_steps=1)
    record = pretrain(arguments)
    assert "line_order" not in record
    torch.manual_seed(arguments.seed)
    prepared = prepare(arguments)
    model = initial_model(arguments, prepared.tokenizer).train()
    assert type(model) is BigLogForMaskedLM
    assert prepared.line_order is None
    assert prepared.fingerprint == prepared.corpus.fingerprint
    cumulative = np.cumsum(prepared.weights / prepared.weights.sum())
    rows = [packed(prepared.segments, cumulative, arguments, draw) for draw in range(4)]
    batch = MaskedLanguageCollator(prepared.tokenizer)(rows)
    assert set(batch) == {"input_ids", "labels", "attention_mask", "position_ids"}
    assert record["curve"][0]["loss"] == pytest.approx(model(**batch).loss.item(), rel=1e-5)


def packed(segments, cumulative, arguments, draw):
    """A row as rows have always been drawn."""
    rng = np.random.default_rng([arguments.seed, draw])
    row = Row(segments=[], draw=draw)
    while True:
        segment = segments[int(np.searchsorted(cumulative, rng.random(), side="right"))]
        if sum(map(len, row["segments"])) + len(segment) > arguments.row_length and row["segments"]:
            return row
        row["segments"].append(segment)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"line_order_weight": -1}, "must not be negative"),
        ({"window_lines": 3}, "window_lines must be even"),
        ({"window_share": 0}, "window_share must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        PretrainArguments.from_mapping(values)
