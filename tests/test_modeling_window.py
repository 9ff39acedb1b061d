"""Windows of lines: padding, precomputed embeddings, the frozen encoder."""

import pytest
import torch
from tiny import HEADS, build, config, inputs_for, labels_for, windows

from modeling_biglog import BigLogForSequenceClassification, BigLogForWindowClassification


def line_embeddings(model, inputs):
    """What a caller computes before: the line embedding of every line, line by line."""
    ids = inputs["input_ids"]
    flat = model.bert(ids.flatten(0, 1), inputs["attention_mask"].flatten(0, 1)).pooler_output
    return flat.view(*ids.shape[:2], -1).detach()


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_token_ids_and_line_embeddings_give_the_same_answer(layers):
    model, inputs = build(BigLogForWindowClassification, window_layers=layers), windows()
    from_ids = model(**inputs, output_attentions=True, output_hidden_states=True)
    precomputed = model(line_embeddings=line_embeddings(model, inputs), line_mask=inputs["line_mask"])
    torch.testing.assert_close(from_ids.logits, precomputed.logits, rtol=1e-5, atol=1e-6)
    weights, there = from_ids.attentions[0], inputs["line_mask"].bool()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights)))
    assert weights[~there].eq(0).all()
    assert from_ids.hidden_states[0].shape == (*there.shape, 32)


def test_the_mask_of_lines_can_be_left_out():
    model, inputs = build(BigLogForWindowClassification), windows()
    line_mask = inputs.pop("line_mask")
    bare = model(input_ids=inputs["input_ids"]).logits
    assert torch.equal(bare, model(**inputs, line_mask=line_mask).logits)


def test_padded_lines_change_nothing():
    model, inputs = build(BigLogForWindowClassification), windows()
    together = model(**inputs).logits
    for row, count in enumerate(inputs["line_mask"].sum(dim=1)):
        alone = model(**{name: value[row : row + 1, :count] for name, value in inputs.items()}).logits
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-6)
    noise = line_embeddings(model, inputs)
    noise[inputs["line_mask"] == 0] = 1e3
    noisy = model(line_embeddings=noise, line_mask=inputs["line_mask"]).logits
    torch.testing.assert_close(noisy, together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_window_without_lines_has_an_answer(implementation, tmp_path):
    build(BigLogForWindowClassification).save_pretrained(tmp_path)
    model = BigLogForWindowClassification.from_pretrained(tmp_path, attn_implementation=implementation)
    empty = torch.zeros(2, 3, 32)
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert model(line_embeddings=empty, line_mask=mask).logits.isfinite().all()
    assert model(input_ids=torch.zeros(1, 2, 4, dtype=torch.long)).logits.isfinite().all()


def test_the_order_of_lines_matters():
    model, inputs = build(BigLogForWindowClassification), windows()
    embeddings = line_embeddings(model, inputs)[-1:, :2]
    assert not torch.allclose(
        model(line_embeddings=embeddings).logits, model(line_embeddings=embeddings.flip(1)).logits
    )


def test_wrong_inputs_are_named():
    model, inputs = build(BigLogForWindowClassification), windows()
    with pytest.raises(ValueError, match="exactly one of"):
        model(labels=torch.tensor([0]))
    with pytest.raises(ValueError, match="exactly one of"):
        model(input_ids=inputs["input_ids"], line_embeddings=line_embeddings(model, inputs))
    with pytest.raises(ValueError, match=r"17 lines is longer than max_window_lines \(16\)"):
        model(line_embeddings=torch.zeros(1, 17, 32))


def head_gradients(model, **inputs):
    model.zero_grad()
    model(**inputs).loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_a_frozen_encoder_teaches_the_head_the_same_from_ids_and_embeddings():
    model = build(
        BigLogForWindowClassification,
        freeze_encoder=True,
        classifier_dropout=0.0,
        attention_probs_dropout_prob=0.0,
    ).train()
    inputs, labels = windows(), torch.tensor([0, 1, 1])
    from_ids = head_gradients(model, **inputs, labels=labels)
    embeddings = line_embeddings(model, inputs)
    precomputed = head_gradients(
        model, line_embeddings=embeddings, line_mask=inputs["line_mask"], labels=labels
    )
    assert all(name.startswith("classifier.") for name in from_ids)
    torch.testing.assert_close(from_ids, precomputed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cls", HEADS)
def test_a_frozen_encoder_is_deterministic_and_without_gradients(cls, tmp_path):
    build(cls, freeze_encoder=True, hidden_dropout_prob=0.3).save_pretrained(tmp_path)
    model = cls.from_pretrained(tmp_path).train()
    assert model.training
    assert not model.bert.training
    assert not any(parameter.requires_grad for parameter in model.bert.parameters())
    inputs = inputs_for(model)
    inputs |= labels_for(model, inputs)
    before = {name: value.clone() for name, value in model.bert.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    model(**inputs).loss.backward()
    optimizer.step()
    for name, value in model.bert.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_without_freezing_the_encoder_learns_through_the_window():
    model = build(BigLogForWindowClassification).train()
    gradients = head_gradients(model, **windows(), labels=torch.tensor([0, 1, 1]))
    assert gradients["bert.encoder.layer.0.attention.self.query.weight"].abs().sum() > 0


def test_a_thawed_config_thaws_the_encoder(tmp_path):
    build(BigLogForSequenceClassification, freeze_encoder=True).save_pretrained(tmp_path)
    model = BigLogForSequenceClassification.from_pretrained(tmp_path, freeze_encoder=False).train()
    assert model.bert.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert config().freeze_encoder is False
