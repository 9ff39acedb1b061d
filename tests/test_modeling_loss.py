"""Losses: what they divide by, and that no way of cutting a step into batches or processes changes them."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
import trainer_run
from tiny import HEADS, build, inputs_for, labels_for, lines
from torch.nn import functional

from modeling_biglog import (
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForWindowClassification,
)

NAMES = [cls.__name__ for cls in HEADS]


def assert_same_run(run, reference):
    np.testing.assert_allclose(run["losses"], reference["losses"], rtol=2e-5)
    assert run["weights"].keys() == reference["weights"].keys()
    for name, sums in reference["weights"].items():
        np.testing.assert_allclose(run["weights"][name], sums, rtol=2e-5, atol=2e-5, err_msg=name)


@pytest.fixture(scope="module")
def whole_steps():
    """Two optimizer steps of eight rows, each in one batch, for every class."""
    return {name: trainer_run.run(name, 8, 1) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("micro_batch", "accumulation"), [(2, 4), (1, 8)])
def test_gradient_accumulation_changes_nothing(name, micro_batch, accumulation, whole_steps):
    assert_same_run(trainer_run.run(name, micro_batch, accumulation), whole_steps[name])


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The same two steps in two processes of two micro-batches of two rows each."""
    folder = tmp_path_factory.mktemp("two_processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    command += [trainer_run.__file__, "2", "2", str(folder / "runs.json"), *NAMES]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command, check=True, cwd=folder, env=environment, timeout=250)
    return json.loads((folder / "runs.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_change_nothing(name, whole_steps, two_processes):
    assert two_processes["processes"] == 2
    assert_same_run(two_processes[name], whole_steps[name])


def test_two_processes_evaluate_alike(two_processes):
    # Two rows a process and batch: what is averaged is the mean over the four rows of both.
    alone = trainer_run.run("BigLogForMaskedLM", 4, 1)["eval_loss"]
    assert two_processes["BigLogForMaskedLM"]["eval_loss"] == pytest.approx(alone, rel=2e-5)


def expected_token_loss(model, row, items):
    labels = row["labels"]
    logits = model(input_ids=row["input_ids"][None]).logits[0]
    return functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum") / items


def test_losses_and_evaluation_are_the_means_over_labelled_tokens(whole_steps):
    """Against sums taken row by row: the first step's loss, and the evaluation of two batches of eight."""
    model, data = build(BigLogForMaskedLM), trainer_run.rows("BigLogForMaskedLM")
    means = []
    for batch in (data[:8], data[8:]):
        items = sum(int(row["labels"].ne(-100).sum()) for row in batch)
        means.append(sum(expected_token_loss(model, row, items) for row in batch).item())
    run = whole_steps["BigLogForMaskedLM"]
    assert run["losses"][0] == pytest.approx(means[0], rel=1e-5)
    assert run["eval_loss"] == pytest.approx(sum(means) / 2, rel=1e-5)


def test_prediction_gathers_whole_logits(tmp_path):
    subject = trainer_run.trainer("BigLogForMaskedLM", 4, 1, str(tmp_path))
    predictions = subject.predict(trainer_run.rows("BigLogForMaskedLM"))
    assert predictions.predictions.shape == (trainer_run.ROWS, 8, 64)
    assert predictions.label_ids.shape == (trainer_run.ROWS, 8)


@pytest.mark.parametrize("cls", HEADS)
def test_without_the_trainer_a_loss_is_the_mean_over_its_own_labels(cls):
    model = build(cls)
    inputs = inputs_for(model)
    inputs |= labels_for(model, inputs)
    plain = model(**inputs).loss
    items = int(inputs["labels"].ne(-100).sum())
    torch.testing.assert_close(model(**inputs, num_items_in_batch=items).loss, plain)
    twice = model(**inputs, num_items_in_batch=torch.tensor(2 * items)).loss
    torch.testing.assert_close(2 * twice, plain)


@pytest.mark.parametrize("cls", HEADS)
def test_a_batch_without_labels_has_loss_zero_and_finite_gradients(cls):
    model = build(cls).train()
    inputs = inputs_for(model)
    labels = {name: torch.full_like(value, -100) for name, value in labels_for(model, inputs).items()}
    loss = model(**inputs, **labels).loss
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_sparse_prediction_changes_shape_and_nothing_else():
    inputs = lines()
    results = []
    for sparse in (True, False):
        model = build(BigLogForMaskedLM, sparse_prediction=sparse).train()
        inputs |= labels_for(model, inputs)
        output = model(**inputs)
        output.loss.backward()
        labelled = inputs["labels"].ne(-100)
        logits = output.logits if sparse else output.logits[labelled]
        results.append((output.loss, logits, {n: p.grad for n, p in model.named_parameters()}))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)
    model.eval()
    assert model(**inputs).logits.shape == (*inputs["input_ids"].shape, 64)


def test_the_pretraining_loss_shares_one_denominator():
    model = build(BigLogForPreTraining, line_order_weight=2.0)
    inputs = lines()
    labels = labels_for(model, inputs)
    output = model(**inputs, **labels)
    tokens = functional.cross_entropy(
        output.prediction_logits.flatten(0, 1), labels["labels"].flatten(), reduction="sum"
    )
    orders = functional.cross_entropy(output.line_order_logits, labels["line_order_labels"], reduction="sum")
    items = labels["labels"].ne(-100).sum()
    torch.testing.assert_close(output.loss, (tokens + 2 * orders) / items)
    alone = model(**inputs, line_order_labels=labels["line_order_labels"]).loss
    torch.testing.assert_close(alone, orders / len(labels["line_order_labels"]))
    assert model(**inputs).loss is None


def test_regression_and_several_classes_at_once():
    inputs = lines()
    rows = len(inputs["input_ids"])
    numbers = torch.linspace(-1, 1, rows)
    model = build(BigLogForSequenceClassification, num_labels=1)
    output = model(**inputs, labels=numbers)
    assert model.config.problem_type == "regression"
    torch.testing.assert_close(output.loss, functional.mse_loss(output.logits[:, 0], numbers))
    several = (torch.arange(rows * 3).view(rows, 3) % 2).float()
    model = build(BigLogForSequenceClassification, num_labels=3)
    output = model(**inputs, labels=several)
    assert model.config.problem_type == "multi_label_classification"
    expected = functional.binary_cross_entropy_with_logits(output.logits, several)
    torch.testing.assert_close(output.loss, expected)


def test_a_window_of_several_classes_leaves_out_unknown_ones():
    model = build(BigLogForWindowClassification, num_labels=3)
    inputs = inputs_for(model)
    labels = torch.tensor([[1.0, 0.0, -100.0], [0.0, -100.0, -100.0], [1.0, 1.0, 0.0]])
    output = model(**inputs, labels=labels)
    kept = labels != -100
    expected = functional.binary_cross_entropy_with_logits(output.logits[kept], labels[kept])
    torch.testing.assert_close(output.loss, expected)
