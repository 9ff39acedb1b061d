"""Adapters: what is saved comes back exactly, on its own base and on no other."""

import json
import shutil

import numpy as np
import pytest
import torch
from adapt_samples import QUICK, TABLES, examples_of, lines
from checkpoints import TINY
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from biglog.errors import CheckpointError
from biglog.training.adapt import AdaptArguments, adapt, classify, find_base, load_adapted
from biglog.training.adaptation import running
from biglog.training.adaptation.adapters import BASE_FILE


@pytest.fixture
def kept(monkeypatch):
    """The models that runs had in memory when they wrote them."""
    found = []
    save = running._save
    monkeypatch.setattr(running, "_save", lambda folder, fitted: found.append(fitted) or save(folder, fitted))
    return found


def run(tmp_path, head="sequence", **given):
    path, out = tmp_path / f"{head}.parquet", tmp_path / f"out-{head}"
    TABLES[head]().write_parquet(path)
    told = QUICK | {"data": str(path), "output_path": str(out), "head": head, "epochs": 2} | given
    return adapt(AdaptArguments.from_mapping(told)), out


@pytest.mark.parametrize(
    ("head", "mode"),
    [
        ("sequence", "lora"),
        ("sequence", "ia3"),
        ("sequence", "prompt"),
        ("token", "lora"),
        ("token", "ia3"),
        ("window", "lora"),
        ("window", "ia3"),
    ],
)
def test_an_adapter_comes_back_exactly(head, mode, tmp_path, kept):
    record, out = run(tmp_path, head, mode=mode)
    assert 0 < record["parameters"]["trained_encoder"] < record["parameters"]["trained"]
    stored = load_file(out / "adapter_model.safetensors")
    assert any(".classifier." in name for name in stored), "the head goes with the adapter"
    assert not any("word_embeddings" in name for name in stored), "the base does not"
    loaded = load_adapted(out)
    assert isinstance(loaded.model, PeftModel)
    (fitted,) = kept
    asked = examples_of(TABLES[head](), fitted.arguments)
    wanted = fitted.answers(asked)
    fitted.model = loaded.model
    for one, other in zip(wanted, fitted.answers(asked), strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("mode", ["lora", "ia3"])
def test_merged_adapters_are_a_whole_model_that_answers_alike(mode, tmp_path, kept):
    _, separate = run(tmp_path, mode=mode, epochs=3)
    apart = load_adapted(separate)
    shutil.rmtree(separate)
    record, merged = run(tmp_path, mode=mode, epochs=3, merge=True)
    assert record["merged"]
    assert not (merged / "adapter_config.json").exists()
    whole = AutoModelForSequenceClassification.from_pretrained(merged).eval()
    assert type(whole).__name__ == "BigLogForSequenceClassification"
    base = AutoModelForSequenceClassification.from_pretrained(TINY)
    name = "bert.encoder.layer.0.attention.self.value.weight"
    assert not torch.equal(whole.state_dict()[name], base.state_dict()[name])
    contents = lines()["content"].to_list()
    one, other = classify(apart, contents), classify(load_adapted(merged), contents)
    assert one["label"].equals(other["label"])
    assert np.allclose(one["probability"], other["probability"], atol=1e-5)


def test_full_tuning_moves_the_encoder(tmp_path):
    record, out = run(tmp_path, mode="full")
    assert record["parameters"]["share"] == 1.0
    stored, before = load_file(out / "model.safetensors"), load_file(TINY / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    assert not torch.equal(stored[name], before[name])


def other_base(tmp_path):
    """The tiny checkpoint, with weights a little off."""
    folder = tmp_path / "other-base"
    shutil.copytree(TINY, folder)
    weights = load_file(TINY / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    weights[name] = weights[name] * 1.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_an_adapter_is_refused_on_another_base(tmp_path):
    _, out = run(tmp_path, mode="lora")
    copy = tmp_path / "copy"
    shutil.copytree(TINY, copy)
    assert load_adapted(out, str(copy)).classes == ("hadoop", "hpc", "unix")
    with pytest.raises(
        CheckpointError, match=r"belongs to another base model .*tiny-biglog.*, not to .*other"
    ):
        load_adapted(out, str(other_base(tmp_path)))
    with pytest.raises(CheckpointError, match="belongs to another base model"):
        load_adapted(out, "biglog-mini")
    told = json.loads((out / BASE_FILE).read_text())
    (out / BASE_FILE).write_text(json.dumps(told | {"base": str(tmp_path / "gone")}))
    with pytest.raises(CheckpointError, match="no such folder"):
        load_adapted(out)


def test_a_damaged_adapter_is_told(tmp_path):
    _, out = run(tmp_path, mode="lora")
    (out / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="the adapter cannot be loaded"):
        load_adapted(out)
    (out / BASE_FILE).write_text("{}")
    with pytest.raises(CheckpointError, match="schema is not"):
        load_adapted(out)
    (out / BASE_FILE).unlink()
    with pytest.raises(CheckpointError, match="does not say which base"):
        load_adapted(out)
    with pytest.raises(CheckpointError, match="this is an adapter"):
        find_base(str(out), "sequence")


def test_layers_that_are_not_there_get_no_adapter(tmp_path):
    with pytest.raises(CheckpointError, match="no adapters can be put there"):
        run(tmp_path, mode="lora", target_modules=["nowhere"])
    record, _ = run(tmp_path, mode="lora", target_modules=["query", "output.dense"], rank=2)
    assert record["parameters"]["trained_encoder"] > 0


def test_prompts_leave_room_for_the_line(tmp_path, kept):
    _, out = run(tmp_path, mode="prompt", prompt_tokens=5)
    loaded = load_adapted(out)
    assert loaded.spare == 5
    long = " ".join(["word"] * 400)
    assert len(classify(loaded, [long, "short"])) == 2


def test_models_that_cannot_be_loaded_are_told(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(TINY, folder)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        run(tmp_path, model=str(folder))
    config = json.loads((TINY / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(CheckpointError, match="of type 'gpt2' is not a log encoder"):
        run(tmp_path, model=str(folder))
    with pytest.raises(CheckpointError, match="no such folder"):
        run(tmp_path, model=str(tmp_path / "none"))
    with pytest.raises(CheckpointError, match="no such folder"):
        load_adapted(tmp_path / "none")
    weights = load_file(TINY / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layer.0" not in k}, folder / "model.safetensors")
    shutil.copy(TINY / "config.json", folder)
    with pytest.raises(CheckpointError, match="its weights lack"):
        run(tmp_path, model=str(folder))
