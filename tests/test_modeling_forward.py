"""What the models compute: pooling, masks, attention back ends, precision, export."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import HEADS, MODELS, build, inputs_for, labels_for, lines
from torch.export import Dim

from modeling_biglog import (
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForTokenClassification,
    BigLogForWindowClassification,
    BigLogModel,
)
from modeling_biglog.functional_biglog import masked_mean


def first_output(model, **inputs):
    """Whatever the class calls its main result."""
    output = model(**inputs)
    names = ("logits", "prediction_logits", "pooler_output")
    return next(output[name] for name in names if output.get(name) is not None)


def test_line_embedding_is_the_mean_over_attended_tokens():
    model, batch = build(BigLogModel), lines()
    output = model(**batch)
    for row, mask in enumerate(batch["attention_mask"].bool()):
        expected = output.last_hidden_state[row][mask].mean(dim=0)
        torch.testing.assert_close(output.pooler_output[row], expected)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_masked_mean_ignores_what_is_masked(mask, seed):
    torch.manual_seed(seed)
    states, kept = torch.randn(1, len(mask), 5), torch.tensor([mask])
    expected = states[kept].mean(dim=0) if any(mask) else torch.zeros(5)
    torch.testing.assert_close(masked_mean(states, kept.long())[0], expected)


def test_masked_mean_keeps_its_precision_in_bfloat16():
    torch.manual_seed(0)
    states = torch.randn(64, 150, 8).bfloat16()
    expected = states.double().mean(dim=1).bfloat16()
    assert torch.equal(masked_mean(states, torch.ones(64, 150)), expected)


def test_padding_does_not_change_a_line():
    model, batch = build(BigLogModel), lines()
    together = model(**batch).pooler_output
    for row, mask in enumerate(batch["attention_mask"].bool()):
        alone = model(input_ids=batch["input_ids"][row : row + 1, mask]).pooler_output[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", MODELS)
def test_without_a_mask_padding_is_left_out(cls):
    model = build(cls)
    inputs = inputs_for(model)
    given_mask = first_output(model, **inputs)
    derived = first_output(model, input_ids=inputs["input_ids"])
    assert torch.equal(given_mask, derived)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_row_of_padding_alone_is_finite_and_disturbs_no_other(implementation):
    model, batch = build(BigLogModel), lines()
    model.set_attn_implementation(implementation)
    with_empty = {name: torch.cat([value, torch.zeros_like(value[:1])]) for name, value in batch.items()}
    pooled = model(**with_empty).pooler_output
    torch.testing.assert_close(pooled[:-1], model(**batch).pooler_output, rtol=1e-5, atol=1e-6)
    assert pooled[-1].eq(0).all()


def test_embeddings_in_place_of_ids_attend_to_everything():
    model, batch = build(BigLogModel), lines()
    ids = batch["input_ids"]
    embedded = model(inputs_embeds=model.get_input_embeddings()(ids)).pooler_output
    assert torch.equal(embedded, model(input_ids=ids, attention_mask=torch.ones_like(ids)).pooler_output)
    with pytest.raises(ValueError, match="input_ids or inputs_embeds"):
        model()


@pytest.mark.parametrize("cls", MODELS)
def test_eager_and_sdpa_agree(cls, tmp_path):
    build(cls).save_pretrained(tmp_path)
    results = []
    for implementation in ("eager", "sdpa"):
        model = cls.from_pretrained(tmp_path, attn_implementation=implementation)
        assert model.config._attn_implementation == implementation
        results.append(first_output(model, **inputs_for(model)))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", HEADS)
def test_gradient_checkpointing_gives_the_same_gradients(cls):
    model = build(cls).train()
    inputs = inputs_for(model)
    inputs |= labels_for(model, inputs)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
        assert model.is_activation_checkpointing is checkpointing
        model.zero_grad()
        model(**inputs).loss.backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any(name.startswith("bert.encoder.layer.0.") for name in gradients[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("cls", MODELS)
def test_bfloat16_is_close_to_float32(cls, tmp_path):
    build(cls).save_pretrained(tmp_path)
    exact, coarse = cls.from_pretrained(tmp_path), cls.from_pretrained(tmp_path, dtype=torch.bfloat16)
    inputs = inputs_for(exact)
    wanted, got = first_output(exact, **inputs), first_output(coarse, **inputs)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), wanted, rtol=0.05, atol=0.15)
    if cls is not BigLogModel:
        assert coarse(**inputs, **labels_for(coarse, inputs)).loss.dtype == torch.float32


def test_packed_rows_equal_single_lines():
    model, batch = build(BigLogModel), lines(rows=2, longest=5)
    first, second = (ids[ids > 0][None] for ids in batch["input_ids"])
    ids = torch.cat([first, second], dim=1)
    place = torch.cat([torch.arange(first.shape[1]), torch.arange(second.shape[1])])[None]
    line = torch.tensor([0] * first.shape[1] + [1] * second.shape[1])
    block = (line[:, None] == line[None, :])[None, None]
    packed = model(input_ids=ids, attention_mask=block, position_ids=place)
    assert packed.pooler_output is None
    apart = torch.cat([model(input_ids=x).last_hidden_state for x in (first, second)], dim=1)
    torch.testing.assert_close(packed.last_hidden_state, apart, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="packs several"):
        build(BigLogForSequenceClassification)(input_ids=ids, attention_mask=block, position_ids=place)
    with pytest.raises(ValueError, match="packs several"):
        build(BigLogForPreTraining)(
            input_ids=ids, attention_mask=block, position_ids=place, line_order_labels=torch.tensor([0])
        )


def test_tuples_and_everything_that_can_be_asked_for():
    model, batch = build(BigLogForTokenClassification), lines()
    output = model(**batch, output_hidden_states=True)
    assert len(output.hidden_states) == model.config.num_hidden_layers + 1
    as_tuple = model(**batch, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], output.logits)
    model.set_attn_implementation("eager")
    assert len(model(**batch, output_attentions=True).attentions) == model.config.num_hidden_layers


@pytest.mark.parametrize(
    ("cls", "with_mask"), [(BigLogModel, True), (BigLogModel, False), (BigLogForMaskedLM, True)]
)
def test_export_has_dynamic_batch_and_length(cls, with_mask):
    model = build(cls)
    shape = {0: Dim("batch", min=1, max=512), 1: Dim("tokens", min=2, max=150)}
    names = ["input_ids", "attention_mask"] if with_mask else ["input_ids"]
    example = {name: lines()[name] for name in names}
    exported = torch.export.export(
        model, (), example, dynamic_shapes=dict.fromkeys(names, shape), strict=False
    ).module()
    for rows, longest in ((1, 2), (3, 17), (9, 150)):
        inputs = {name: lines(rows, longest)[name] for name in names}
        torch.testing.assert_close(first_output(exported, **inputs), first_output(model, **inputs))


def test_export_of_a_window_classifier_takes_line_embeddings():
    model = build(BigLogForWindowClassification)
    shape = {0: Dim("batch", min=1, max=64), 1: Dim("lines", min=2, max=16)}
    example = {"line_embeddings": torch.randn(3, 4, 32), "line_mask": torch.ones(3, 4, dtype=torch.long)}
    exported = torch.export.export(
        model, (), example, dynamic_shapes=dict.fromkeys(example, shape), strict=False
    ).module()
    other = {"line_embeddings": torch.randn(2, 7, 32), "line_mask": torch.ones(2, 7, dtype=torch.long)}
    other["line_mask"][1, 3:] = 0
    torch.testing.assert_close(exported(**other).logits, model(**other).logits)
