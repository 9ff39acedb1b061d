"""The authors' published format, which is typed `bert`, into our models; and our models into plain BERT."""

import json

import pytest
import torch
from tiny import build, lines
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertForPreTraining, BertModel
from wordpiece import MASK_TOKENS, wordpiece

from modeling_biglog import (
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForTokenClassification,
    BigLogForWindowClassification,
    BigLogModel,
    as_bert,
)

WORDPIECES = 30522


def published(folder, *, prefix, legacy, binary):
    """Writes a checkpoint as the authors publish theirs, typed `bert`, but narrow; returns BERT's own."""
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=WORDPIECES,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=150,
        initializer_range=0.2,
    )
    model = BertForPreTraining(shape).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):  # values that a lost or swapped name would show
            torch.nn.init.normal_(module.weight, 1.0, 0.2)
            torch.nn.init.normal_(module.bias, 0.0, 0.2)
    (model if prefix else model.bert).save_pretrained(folder)
    fields = json.loads((folder / "config.json").read_text()) | {"architectures": ["BertModel"]}
    (folder / "config.json").write_text(json.dumps(fields))
    weights = (model if prefix else model.bert).state_dict()
    if legacy:
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, old in names.items():
            weights = {name.replace(new, old): value for name, value in weights.items()}
    if binary:
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    wordpiece(WORDPIECES, model_max_length=None).save_pretrained(folder)
    return model


FORMATS = [
    {"prefix": True, "legacy": True, "binary": True},
    {"prefix": True, "legacy": False, "binary": False},
    {"prefix": False, "legacy": True, "binary": True},
    {"prefix": False, "legacy": False, "binary": False},
]


@pytest.fixture(params=FORMATS, ids=lambda form: "-".join(name for name, on in form.items() if on) or "plain")
def checkpoint(request, tmp_path):
    return tmp_path, published(tmp_path, **request.param)


def encoded(folder):
    """Masked lines with padding, as the authors' README tokenizes them, and our mask."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(range(6)) == ["[PAD]", *MASK_TOKENS]
    contents = ["took [NUM] ms", "[IP] opened [FILE] at [TIMESTAMP] with [CODE]", "x"]
    return tokenizer(contents, padding="longest", return_tensors="pt")


def test_the_authors_format_gives_bert_s_outputs(checkpoint, capfd, caplog):
    folder, bert = checkpoint
    inputs = encoded(folder)
    model, info = BigLogModel.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    wanted = bert.bert(**inputs, output_hidden_states=True)
    got = model(**inputs, output_hidden_states=True)
    for expected, actual in zip(wanted.hidden_states, got.hidden_states, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
    mask = inputs["attention_mask"][..., None]
    mean = (wanted.last_hidden_state * mask).sum(1) / mask.sum(1)
    torch.testing.assert_close(got.pooler_output, mean, rtol=0, atol=1e-6)
    # As they come, without a mask: ours leaves padding out by itself.
    bare = model(input_ids=inputs["input_ids"]).last_hidden_state
    torch.testing.assert_close(bare, wanted.last_hidden_state, rtol=0, atol=1e-6)
    said = capfd.readouterr().err + caplog.text
    assert "model of type" not in said
    assert "REPORT" not in said


def test_the_authors_token_head_loads_with_the_prefix(tmp_path):
    bert = published(tmp_path, prefix=True, legacy=True, binary=True)
    inputs = encoded(tmp_path)
    model, info = BigLogForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    torch.testing.assert_close(model(**inputs).logits, bert(**inputs).prediction_logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "cls",
    [BigLogForSequenceClassification, BigLogForTokenClassification, BigLogForWindowClassification],
)
def test_heads_on_the_authors_encoder_are_all_that_is_new(cls, checkpoint):
    folder, bert = checkpoint
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    assert info["missing_keys"]
    assert all(name.startswith("classifier.") for name in info["missing_keys"])
    inputs = encoded(folder)
    wanted = bert.bert(**inputs).last_hidden_state
    torch.testing.assert_close(model.bert(**inputs).last_hidden_state, wanted, rtol=0, atol=1e-6)


def test_saved_again_it_is_of_our_type(tmp_path):
    published(tmp_path, prefix=True, legacy=True, binary=True)
    BigLogModel.from_pretrained(tmp_path).save_pretrained(tmp_path / "ours")
    fields = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert (fields["model_type"], fields["architectures"]) == ("biglog", ["BigLogModel"])
    assert fields["max_position_embeddings"] == 150


@pytest.mark.parametrize(
    "cls", [BigLogModel, BigLogForMaskedLM, BigLogForPreTraining, BigLogForWindowClassification]
)
def test_ours_as_bert_loads_whole_into_bert(cls, tmp_path):
    model, batch = build(cls), lines()
    as_bert(model).save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    assert fields["model_type"] == "bert"
    assert "auto_map" not in fields
    assert not any(name.startswith(("window_", "line_order", "max_window")) for name in fields)
    assert not list(tmp_path.glob("*.py"))
    plain, info = BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    encoder = model if cls is BigLogModel else model.bert
    wanted, got = encoder(**batch), plain(**batch)
    torch.testing.assert_close(got.last_hidden_state, wanted.last_hidden_state, rtol=0, atol=1e-6)
    # The pooler is fixed: no seed, no training run decides what it says.
    torch.testing.assert_close(got.pooler_output, wanted.last_hidden_state[:, 0].tanh(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cls", [BigLogForMaskedLM, BigLogForPreTraining])
def test_the_token_head_survives_as_bert_and_back(cls, tmp_path):
    model, batch = build(cls), lines()
    as_bert(model).save_pretrained(tmp_path)
    plain, info = BertForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    wanted = model(**batch).to_tuple()[0]
    torch.testing.assert_close(plain(**batch).logits, wanted, rtol=0, atol=1e-5)
    back, info = BigLogForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert torch.equal(back(**batch).logits, wanted)


def test_as_bert_keeps_the_dtype():
    assert as_bert(build(BigLogModel).bfloat16()).dtype == torch.bfloat16
