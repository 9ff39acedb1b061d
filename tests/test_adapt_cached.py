"""Frozen training on forms computed once is the ordinary loop: the same head, the same answers."""

import numpy as np
import pytest
import torch
from adapt_samples import QUICK, TABLES, examples_of, fitted, lines
from checkpoints import TINY
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from biglog.errors import InputError
from biglog.training.adapt import RECORD, AdaptArguments, adapt, classify, load_adapted
from biglog.training.adaptation.order import epoch_order

WITHOUT_GRADIENT = ("pooling.bias", "key.bias")
"""A softmax does not see them: their gradient is rounding, which AdamW makes as large as any other."""


def head_of(found):
    return {k: v for k, v in found.model.state_dict().items() if k.startswith("classifier.")}


@pytest.mark.parametrize("head", list(TABLES))
def test_both_loops_give_the_same_head_and_the_same_answers(head, tmp_path):
    """Rounding is all that differs: weights by 1e-5, logits by 1e-5."""
    table = TABLES[head]()
    given = {"head": head, "mode": "frozen", "epochs": 3, "batch_size": 8, "class_weights": ["balanced"]}
    given |= {"learning_rate": 3e-3, "output_path": str(tmp_path), "seed": 5}
    cached = fitted(table, **given)
    ordinary = fitted(table, **given, cached=False)
    assert cached.learnt.steps == ordinary.learnt.steps > 5
    heads = head_of(cached), head_of(ordinary)
    start = head_of(fitted(table, **(given | {"epochs": 1e-9, "warmup_ratio": 1.0})))
    assert any(not torch.allclose(heads[0][name], start[name], atol=1e-3) for name in start)
    for name, weight in heads[0].items():
        if not name.endswith(WITHOUT_GRADIENT):
            assert torch.allclose(weight, heads[1][name], atol=1e-5), name
    asked = examples_of(table, cached.arguments)
    for one, other in zip(cached.answers(asked), ordinary.answers(asked), strict=True):
        assert np.allclose(one, other, atol=1e-5, equal_nan=True)
    for name, weight in cached.model.bert.state_dict().items():
        assert torch.equal(weight, ordinary.model.bert.state_dict()[name])


def test_a_batch_of_all_rows_is_as_many_small_ones_gathered():
    """Where a step sees all rows, their order is nothing, and counts say all of it."""
    given = {"mode": "frozen", "epochs": 12, "learning_rate": 1e-2}
    whole = fitted(lines(), **given, batch_size=0)
    gathered = fitted(lines(), **given, batch_size=10, gradient_accumulation_steps=200)
    assert whole.learnt.steps == gathered.learnt.steps == 12
    for name, weight in head_of(whole).items():
        assert torch.allclose(weight, head_of(gathered)[name], atol=1e-5), name


def test_equal_rows_are_computed_once(monkeypatch):
    from biglog.training.adaptation import cache

    seen = []
    plain = cache.line_vectors

    def counting(model, tokens):
        seen.append(len(tokens))
        return plain(model, tokens)

    monkeypatch.setattr(cache, "line_vectors", counting)
    found = fitted(lines(), mode="frozen", epochs=2)
    forms = examples_of(lines(), found.arguments).groups.forms
    assert seen == [len(forms)]
    assert len(forms) < len(lines())
    assert found.lines == 2 * len(lines())


@pytest.mark.parametrize("head", ["sequence", "token", "window"])
def test_the_whole_model_that_is_saved_answers_as_the_cached_head(head, tmp_path):
    table = TABLES[head]()
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    table.write_parquet(path)
    arguments = AdaptArguments.from_mapping(
        {"model": str(TINY), "data": str(path), "output_path": str(out), "head": head, "mode": "frozen"}
        | {"text": table.columns[0], "epochs": 4, "held_out_share": 0.25, "use_cpu": True}
    )
    record = adapt(arguments)
    assert (out / RECORD).is_file()
    assert record["parameters"]["trained_encoder"] == 0
    loaded = load_adapted(out)
    assert loaded.head == head
    asked = examples_of(table, arguments, loaded.classes)
    again = fitted(table.head(len(table) - int(0.25 * len(table))), **arguments.to_dict())
    kind = AutoModelForTokenClassification if head == "token" else AutoModelForSequenceClassification
    model = kind.from_pretrained(out).eval()
    assert not model.config.freeze_encoder
    assert [model.config.id2label[n] for n in range(len(loaded.classes))] == record["classes"]
    wanted = again.answers(asked)
    again.model = model
    for one, other in zip(wanted, again.answers(asked), strict=True):
        assert np.allclose(one, other, atol=1e-5, equal_nan=True)


def test_a_saved_model_reads_raw_lines_as_the_library_reads_any(tmp_path):
    path, out = tmp_path / "lines.csv", tmp_path / "out"
    lines().write_csv(path)
    adapt(
        AdaptArguments.from_mapping(
            QUICK | {"data": str(path), "output_path": str(out), "mode": "frozen", "epochs": 20}
        )
    )
    model = AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    contents = lines()["content"].head(12).to_list()
    read = tokenizer(contents, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        chances = model(**read).logits.softmax(dim=-1)
    told = classify(load_adapted(out), contents)
    assert [model.config.id2label[n] for n in chances.argmax(dim=-1).tolist()] == told["label"].to_list()
    assert np.allclose(chances.max(dim=-1).values, told["probability"], atol=1e-5)
    stored = load_file(out / "model.safetensors")
    assert any(name.startswith("classifier.") for name in stored)


def test_training_stops_early_and_keeps_the_best_in_both_loops(tmp_path):
    """The held-out rows contradict the others, so that their loss only rises: the first epoch is the best."""
    table = lines()
    turned = table.with_columns(label=rotated(table["label"]))
    given = {"mode": "frozen", "epochs": 12, "patience": 2, "learning_rate": 1e-2}
    given |= {"warmup_ratio": 0.0, "save_total_limit": 3, "output_path": str(tmp_path)}
    cached = fitted(table, turned, **given)
    ordinary = fitted(table, turned, **given, cached=False)
    for found in (cached, ordinary):
        assert found.learnt.epochs == 3
        assert found.learnt.best_epoch == 1
    for name, weight in head_of(cached).items():
        assert torch.allclose(weight, head_of(ordinary)[name], atol=1e-5)
    losses = [point["held_out_loss"] for point in cached.learnt.curve]
    others = [point["held_out_loss"] for point in ordinary.learnt.curve if "held_out_loss" in point]
    assert losses == pytest.approx(others, abs=1e-5)
    assert losses == sorted(losses)


def rotated(labels):
    following = {"hadoop": "hpc", "hpc": "unix", "unix": "hadoop"}
    return labels.replace(following)


def test_the_order_of_rows_is_that_of_seed_and_epoch():
    assert sorted(epoch_order(50, 1, 0)) == list(range(50))
    assert np.array_equal(epoch_order(50, 1, 0), epoch_order(50, 1, 0))
    assert not np.array_equal(epoch_order(50, 1, 0), epoch_order(50, 1, 1))
    assert not np.array_equal(epoch_order(50, 1, 0), epoch_order(50, 2, 0))


def test_seeds_decide_the_head():
    one, same, other = (fitted(lines(), mode="frozen", seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(weight, head_of(same)[name]) for name, weight in head_of(one).items())
    assert not torch.equal(head_of(one)["classifier.weight"], head_of(other)["classifier.weight"])


def test_a_loss_that_is_no_number_is_told(tmp_path):
    with pytest.raises(InputError, match="loss is no number"):
        fitted(lines(), mode="full", learning_rate=1e30, epochs=5, output_path=str(tmp_path))
    with pytest.raises(InputError, match="loss is no number"):
        fitted(lines(), mode="frozen", learning_rate=1e38, epochs=50)


@pytest.mark.parametrize("head", ["sequence", "token"])
@pytest.mark.parametrize("batch", [4, 1000])
def test_steps_in_closed_form_are_those_of_autograd(head, batch, monkeypatch):
    """Gradients are clipped at times, classes and rows weigh differently, and the rate changes."""
    from biglog.training.adaptation import cached
    from biglog.training.adaptation.steps import AutogradSteps, ClosedSteps

    taken = []

    def told_apart(kind):
        return lambda *given: taken.append(kind(*given)) or taken[-1]

    given = {"head": head, "mode": "frozen", "epochs": 6, "batch_size": batch, "class_weights": ["balanced"]}
    given |= {"max_grad_norm": 0.3, "weight_decay": 0.1, "lr_scheduler": "cosine", "distinct": True}
    heads = []
    for kind in (ClosedSteps, AutogradSteps):
        monkeypatch.setattr(cached, "steps_of", told_apart(kind))
        heads.append(head_of(fitted(TABLES[head](), **given)))
    assert [type(one) for one in taken] == [ClosedSteps, AutogradSteps]
    for name, weight in heads[0].items():
        assert torch.allclose(weight, heads[1][name], atol=1e-5), name
    monkeypatch.undo()
    whole = fitted(TABLES[head](), **given)
    assert all(torch.equal(weight, heads[0][name]) for name, weight in head_of(whole).items())


def test_dropout_is_left_to_autograd():
    one, other = (fitted(lines(), mode="frozen", dropout=0.5, seed=seed, epochs=4) for seed in (1, 1))
    assert torch.equal(one.model.classifier.weight, other.model.classifier.weight)
    plain = fitted(lines(), mode="frozen", dropout=0.0, seed=1, epochs=4)
    assert not torch.allclose(one.model.classifier.weight, plain.model.classifier.weight, atol=1e-4)
