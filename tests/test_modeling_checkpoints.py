"""Saving and loading: round trips, Auto classes, what travels with the weights, what starts at random."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from tiny import HEADS, MODELS, VOCABULARY, build, config, inputs_for, lines
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    GPT2Config,
    PreTrainedTokenizerFast,
    pipeline,
)
from wordpiece import wordpiece

import modeling_biglog
from modeling_biglog import (
    BigLogConfig,
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForWindowClassification,
    BigLogModel,
)

AUTO_CLASSES = (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForSequenceClassification,
)


@pytest.mark.parametrize("cls", MODELS)
def test_round_trip_is_exact(cls, tmp_path):
    model = build(cls)
    model.save_pretrained(tmp_path)
    again, info = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    inputs = inputs_for(model)
    for wanted, got in zip(model(**inputs).to_tuple(), again(**inputs).to_tuple(), strict=True):
        assert torch.equal(wanted, got)


@pytest.mark.parametrize(("cls", "auto"), list(zip(MODELS, AUTO_CLASSES, strict=True)))
def test_auto_classes_find_each_model(cls, auto, tmp_path):
    build(cls).save_pretrained(tmp_path)
    assert type(auto.from_pretrained(tmp_path)) is cls
    assert type(AutoModel.from_pretrained(tmp_path)) is BigLogModel
    assert type(AutoConfig.from_pretrained(tmp_path)) is BigLogConfig


def test_auto_classes_build_from_a_config():
    assert type(AutoModel.from_config(config())) is BigLogModel
    built = AutoModelForSequenceClassification.from_config(config(architectures=None))
    assert type(built) is BigLogForSequenceClassification


@pytest.mark.parametrize("cls", MODELS)
def test_a_saved_folder_carries_the_whole_auto_map_and_its_code(cls, tmp_path):
    model = build(cls)
    model.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert set(auto_map) == {"AutoConfig"} | {auto.__name__ for auto in AUTO_CLASSES}
    home = Path(modeling_biglog.__file__).parent
    for reference in auto_map.values():
        module, name = reference.split(".")
        assert f"class {name}(" in (tmp_path / f"{module}.py").read_text()
    for copy in tmp_path.glob("*.py"):
        assert copy.read_bytes() == (home / copy.name).read_bytes()


def test_the_encoder_of_a_window_classifier_saves_as_an_encoder(tmp_path):
    build(BigLogForWindowClassification).bert.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModelForSequenceClassification"].startswith("modeling_biglog.")
    assert not (tmp_path / "window_biglog.py").exists()


@pytest.mark.parametrize("cls", MODELS)
def test_no_model_has_a_pooler(cls):
    assert not [name for name, _ in build(cls).named_parameters() if "pooler" in name]


@pytest.mark.parametrize("cls", MODELS)
def test_from_a_masked_lm_checkpoint_only_the_head_is_new(cls, tmp_path):
    build(BigLogForMaskedLM).save_pretrained(tmp_path)
    inputs, pooled = lines(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, info = cls.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["unexpected_keys"]
        assert not info["mismatched_keys"]
        assert all(name.startswith(("classifier.", "cls.line_order.")) for name in info["missing_keys"])
        encoder = model if cls is BigLogModel else model.bert
        pooled.append(encoder(**inputs).pooler_output)
    assert torch.equal(*pooled)
    assert torch.equal(pooled[0], build(BigLogForMaskedLM).bert(**inputs).pooler_output)


@pytest.mark.parametrize("cls", HEADS)
def test_a_head_that_nobody_asked_for_is_left_out_quietly(cls, tmp_path, capfd):
    build(cls).save_pretrained(tmp_path)
    _, info = BigLogModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert "REPORT" not in capfd.readouterr().err


@pytest.mark.parametrize("cls", [BigLogForMaskedLM, BigLogForPreTraining])
def test_resized_embeddings_stay_tied_and_keep_old_rows(cls, tmp_path):
    model, batch = build(cls), lines()
    before = model(**batch).to_tuple()[0]
    old = model.get_input_embeddings().weight.clone()
    model.resize_token_embeddings(VOCABULARY + 5)
    assert model.config.vocab_size == VOCABULARY + 5
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert torch.equal(model.get_input_embeddings().weight[:VOCABULARY], old)
    after = model(**batch).to_tuple()[0]
    torch.testing.assert_close(after[..., :VOCABULARY], before)
    model.save_pretrained(tmp_path)
    again = cls.from_pretrained(tmp_path)
    assert torch.equal(again(**batch).to_tuple()[0], after)


def test_the_defaults_are_bert_base_with_150_positions():
    base = BigLogConfig()
    shape = (base.num_hidden_layers, base.hidden_size, base.num_attention_heads, base.intermediate_size)
    assert shape == (12, 768, 12, 3072)
    assert (base.vocab_size, base.max_position_embeddings, base.pad_token_id) == (30522, 150, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"is_decoder": True}, "encoders"),
        ({"num_attention_heads": 5}, "num_attention_heads"),
        ({"num_line_orders": 1}, "num_line_orders"),
        ({"window_layers": -1}, "window_layers"),
        ({"window_heads": 5}, "window_heads"),
        ({"max_window_lines": 0}, "max_window_lines"),
        ({"window_layers": "two"}, "window_layers"),
    ],
)
def test_impossible_configs_are_refused(fields, message):
    with pytest.raises(StrictDataclassError, match=message):
        config(**fields)


def test_a_checkpoint_of_another_type_is_refused(tmp_path):
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"type 'gpt2'.*'biglog' and 'bert'"):
        BigLogModel.from_pretrained(tmp_path)


def test_a_folder_without_a_config_is_refused(tmp_path):
    build(BigLogModel).save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(OSError, match=r"no config\.json"):
        BigLogModel.from_pretrained(tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    build(BigLogModel).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SafetensorError, match="incomplete"):
        BigLogModel.from_pretrained(tmp_path)


def test_weights_are_stored_once(tmp_path):
    build(BigLogForMaskedLM).save_pretrained(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert "bert.embeddings.word_embeddings.weight" in names
    assert "cls.predictions.decoder.weight" not in names


def test_tokenizer_and_pipelines_load_from_the_folder(tmp_path):
    tokenizer = wordpiece(VOCABULARY)
    build(BigLogForMaskedLM).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(again, PreTrainedTokenizerFast)
    assert again.model_max_length == 150
    assert again.convert_ids_to_tokens([0, 1, 5]) == ["[PAD]", "[NUM]", "[FILE]"]
    guesses = pipeline("fill-mask", model=str(tmp_path))("a [MASK] b", top_k=3)
    assert len(guesses) == 3
