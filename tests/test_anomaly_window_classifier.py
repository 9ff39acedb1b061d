"""WindowClassifier: what it learns of labelled groups, and adapting the encoder with it."""

import json

import numpy as np
import pytest
import torch
from anomaly_views import EVENTS, REWORDED, SESSIONS, UNRELATED, texts, view
from checkpoints import TINY
from data_path import DATA, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.numpy import load, save
from scipy.special import expit
from sklearn.metrics import f1_score
from transformers import AutoTokenizer

from biglog.errors import InputError
from biglog.evaluation.anomaly.sets import labelled_lines
from biglog.tasks.anomaly import sequences
from biglog.tasks.anomaly.view import State
from biglog.tasks.anomaly.window_classifier import (
    WindowClassifier,
    adapt_window_classifier,
    window_probabilities,
)
from biglog.tasks.groups import Groups
from modeling_biglog import BigLogForWindowClassification

# The same lines in another order are anomalous: only their order can tell.
NORMAL = texts(SESSIONS)
REVERSED = [group[::-1] for group in NORMAL]
SHORT = {"max_window_lines": 24, "steps": 100, "batch_size": 8, "dropout": 0.0}
GROUPS = [*NORMAL * 3, *REVERSED * 2]
LABELS = np.repeat([0, 1], [3 * len(NORMAL), 2 * len(NORMAL)])
ORDER = np.random.default_rng(0).permutation(len(GROUPS))
TRAIN, TRUTH = view([GROUPS[row] for row in ORDER]), LABELS[ORDER]
ODD = [*NORMAL, *REVERSED, ["5"], texts(SESSIONS)[0] * 3, [REWORDED, UNRELATED]]
MIXED = view(ODD, TRAIN)

_fitted = []


def fitted():
    """Fitted once: nothing changes it."""
    if not _fitted:
        _fitted.append(WindowClassifier(**SHORT).fit(TRAIN, TRUTH))
    return _fitted[0]


def test_it_learns_an_order():
    scores = fitted().score(view(NORMAL + REVERSED, TRAIN))
    assert scores[: len(NORMAL)].max() < 0.5 < scores[len(NORMAL) :].min()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_seed_decides_and_nobody_elses_draws_change():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = WindowClassifier(**SHORT).fit(TRAIN, TRUTH)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(again.score(MIXED), fitted().score(MIXED))
    other = WindowClassifier(**SHORT | {"steps": 20}, seed=1).fit(TRAIN, TRUTH)
    assert not np.array_equal(other.score(MIXED), fitted().score(MIXED))


@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, len(ODD) - 1), min_size=1, max_size=12))
def test_a_group_scores_the_same_whatever_it_is_scored_with(rows):
    whole = fitted().score(MIXED)
    some = fitted().score(MIXED.take(np.array(rows)))
    np.testing.assert_allclose(some, whole[rows], rtol=1e-5, atol=1e-6)
    assert len({(row, score) for row, score in zip(rows, some, strict=True)}) == len(set(rows))


@pytest.mark.parametrize("step", [1, 5, 24])
def test_padding_changes_nothing(step, monkeypatch):
    expected = fitted().score(MIXED)
    monkeypatch.setattr(sequences, "LENGTH_STEP", step)
    np.testing.assert_allclose(fitted().score(MIXED), expected, rtol=1e-5, atol=1e-6)


def test_what_is_saved_scores_the_same_to_the_bit():
    state = fitted().state()
    arrays = load(save({name: np.ascontiguousarray(array) for name, array in state.arrays.items()}))
    again = WindowClassifier.from_state(State(json.loads(json.dumps(state.config)), arrays))
    assert np.array_equal(again.score(MIXED), fitted().score(MIXED))
    arrays.popitem()
    with pytest.raises(ValueError, match="Missing key"):
        WindowClassifier.from_state(State(state.config, arrays))


def test_a_long_group_is_as_odd_as_its_oddest_piece():
    longest = SHORT["max_window_lines"]
    long = NORMAL[0] + REVERSED[0] + NORMAL[0] + REVERSED[1]
    pieces = [long[start : start + longest] for start in range(0, len(long), longest)]
    whole, *parts = fitted().score(view([long, *pieces], TRAIN))
    assert len(pieces) == 3
    assert whole == pytest.approx(max(parts), rel=1e-6)


def test_long_groups_teach_by_their_oddest_piece():
    # Every piece of a normal group is normal; of an anomalous one only the last two lines are odd.
    first, odd = EVENTS["5"], EVENTS["21"]
    groups, labels = [[first] * 8, [first] * 6 + [odd] * 2, [first] * 4] * 4, [0, 1, 0] * 4
    train = view(groups)
    method = WindowClassifier(**SHORT | {"max_window_lines": 2}).fit(train, np.array(labels))
    clean, anomalous, piece, odd_piece = method.score(
        view([[first] * 20, [first] * 20 + [odd] * 2, [first] * 2, [odd] * 2], train)
    )
    assert max(clean, piece) < 0.5 < min(anomalous, odd_piece)


def test_a_rare_class_counts_as_much_as_the_frequent_one():
    groups, labels = NORMAL * 50 + REVERSED[:3], np.repeat([0, 1], [50 * len(NORMAL), 3])
    train = view(groups)
    scores = WindowClassifier(**SHORT).fit(train, labels).score(train)
    assert scores[labels == 1].min() > 0.5 > scores[labels == 0].max()


@needs_data
def test_real_windows_of_few_sequences_in_bursts_are_told_apart():
    # Of the last tenth two windows are anomalous, and some sequences came hundreds of times.
    lines = labelled_lines(DATA, "BGL")
    train, valid = lines.windows(20, 0, 60_000), lines.windows(20, 60_000, 80_000)
    groups = [
        [
            [part.groups.forms[int(code)] for code in part.groups.sequence(row)]
            for row in range(len(part.groups))
        ]
        for part in (train, valid)
    ]
    known = view(groups[0])
    method = WindowClassifier(steps=100).fit(known, train.labels)
    assert f1_score(valid.labels, method.score(view(groups[1], known)) > 0.5) > 0.9


def test_training_stops_when_the_last_groups_are_judged_worse_and_the_best_weights_are_kept():
    # The labels of the last tenth contradict all others: every step makes them worse.
    labels = np.tile(np.repeat([0, 1], len(NORMAL)), 10)
    contradicted = labels.copy()
    contradicted[-2 * len(NORMAL) :] ^= 1
    train = view((NORMAL + REVERSED) * 10)
    certain, unsure = (
        np.abs(WindowClassifier(**SHORT).fit(train, truth).score(train) - 0.5).mean()
        for truth in (labels, contradicted)
    )
    assert unsure < 0.25 < 0.45 < certain


def test_labels_and_settings_that_are_of_no_use_are_named():
    with pytest.raises(InputError, match="labels are needed"):
        WindowClassifier().fit(TRAIN)
    with pytest.raises(InputError, match="all 30 groups are labelled normal"):
        WindowClassifier().fit(TRAIN, np.zeros(len(TRAIN)))
    with pytest.raises(InputError, match=r"cannot be adapted 'lora'.*adapt_window_classifier"):
        WindowClassifier("lora")
    with pytest.raises(InputError, match="not fitted"):
        WindowClassifier().score(TRAIN)


def test_the_head_is_that_of_the_whole_model():
    config = fitted()._model.config
    model = BigLogForWindowClassification(config).eval()
    weights = {f"classifier.{name}": torch.tensor(array) for name, array in fitted().state().arrays.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("bert.") for name in missing)
    lines = torch.from_numpy(MIXED.vectors[MIXED.groups.sequence(0)][None])
    with torch.inference_mode():
        expected = model(line_embeddings=lines).logits.softmax(dim=-1)[0, 1]
    assert fitted().score(MIXED)[0] == pytest.approx(float(expected), rel=1e-5)


def tiny():
    """The tiny checkpoint with a head of its own, and its tokenizer."""
    torch.manual_seed(0)
    model = BigLogForWindowClassification.from_pretrained(
        TINY, window_layers=1, max_window_lines=24, freeze_encoder=True
    )
    return model.eval(), AutoTokenizer.from_pretrained(TINY)


# Groups with one line that the others do not have.
WRONG = Groups.of_forms([*NORMAL * 2, *([*group[:4], UNRELATED, *group[4:]] for group in NORMAL * 2)])
IS_WRONG = np.repeat([0, 1], 2 * len(NORMAL))


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_an_encoder_adapts_with_its_head(adaptation):
    model, tokenizer = tiny()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    teaching = {"steps": 100, "batch_size": 8, "learning_rate": 3e-3}
    adapted, share = adapt_window_classifier(
        model, tokenizer, WRONG.forms, WRONG, IS_WRONG, adaptation, **teaching
    )
    assert not adapted.training
    scores = window_probabilities(adapted, tokenizer, WRONG.forms, WRONG)
    assert scores[IS_WRONG == 1].min() > 0.5 > scores[IS_WRONG == 0].max()
    after = {name.replace(".base_layer", ""): weight for name, weight in model.state_dict().items()}
    kept = ["bert.encoder.layer.0.attention.self.query.weight", "bert.embeddings.word_embeddings.weight"]
    same = [torch.equal(after[name], before[name]) for name in kept]
    if adaptation == "lora":
        assert isinstance(adapted, PeftModel)
        assert 0 < share < 0.6
        assert all(same)
        assert any("lora_B" in name and weight.abs().max() > 0 for name, weight in after.items())
    else:
        assert adapted is model
        assert share == 1.0
        assert not any(same)


def test_adapting_is_decided_by_its_seed_and_says_what_it_cannot_do():
    teaching = {"steps": 10, "seed": 3}
    runs = []
    for _ in range(2):
        model, tokenizer = tiny()
        adapted, _ = adapt_window_classifier(model, tokenizer, WRONG.forms, WRONG, IS_WRONG, **teaching)
        runs.append(window_probabilities(adapted, tokenizer, WRONG.forms, WRONG))
    assert np.array_equal(*runs)
    with pytest.raises(InputError, match="adaptation cannot be 'frozen'"):
        adapt_window_classifier(model, tokenizer, WRONG.forms, WRONG, IS_WRONG, "frozen")


def test_forms_that_are_encoded_once_give_what_whole_windows_of_tokens_give():
    model, tokenizer = tiny()
    scores = window_probabilities(model, tokenizer, WRONG.forms, WRONG)
    for group in range(3):
        lines = WRONG.forms.gather(WRONG.sequence(group)).to_list()
        read = tokenizer(lines, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(
                input_ids=read["input_ids"][None], attention_mask=read["attention_mask"][None]
            ).logits[0]
        assert scores[group] == pytest.approx(expit(float(logits[1] - logits[0])), rel=1e-4)
