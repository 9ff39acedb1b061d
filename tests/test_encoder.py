"""LogEncoder: one computation per normal form, equal to the bit to encoding every line by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from checkpoints import TINY, fresh_encoder, tiny_encoder
from data_path import LINES
from hypothesis import given, settings
from hypothesis import strategies as st
from test_logs_masking import contents
from transformers import AutoModel, AutoTokenizer, GPT2Config

from biglog import LogEncoder, normal_forms
from biglog.errors import CheckpointError
from biglog.logs.record import read_logs

REAL = [content for path in sorted(LINES.glob("*.log")) for content in read_logs(path).read()["content"]]


def one_by_one(lines: list[str]) -> np.ndarray:
    encoder = fresh_encoder(cache_size=0)
    return np.stack([encoder.encode([line])[0] for line in lines])


def test_real_lines_are_encoded_exactly_as_one_by_one() -> None:
    lines = REAL + REAL[::-3]
    batch = fresh_encoder().encode(lines)
    assert batch.shape == (len(lines), tiny_encoder().hidden_size)
    assert batch.dtype == np.float32
    assert np.array_equal(batch, one_by_one(lines))


@settings(max_examples=25, deadline=None)
@given(st.lists(contents, min_size=1, max_size=12))
def test_any_lines_are_encoded_exactly_as_one_by_one(lines: list[str]) -> None:
    assert np.array_equal(fresh_encoder().encode(lines), one_by_one(lines))


def test_the_cache_changes_nothing_and_keeps_its_bound() -> None:
    cached, uncached = fresh_encoder(cache_size=7), fresh_encoder(cache_size=0)
    first = cached.encode(REAL)
    assert len(cached._cache) == 7
    assert np.array_equal(first, uncached.encode(REAL))
    assert np.array_equal(cached.encode(REAL[::-1]), first[::-1])
    assert len(cached._cache) == 7


def test_what_is_returned_does_not_alias_the_cache() -> None:
    encoder = fresh_encoder()
    vectors = encoder.encode(REAL[:5])
    expected = vectors.copy()
    vectors[:] = 0.0
    assert np.array_equal(encoder.encode(REAL[:5]), expected)


def test_equal_normal_forms_have_equal_embeddings() -> None:
    encoder = fresh_encoder()
    a, b, c = encoder.encode(["took 12 ms for 10.0.0.1", "took 99 ms for  10.9.8.7", "took 12 ms for nobody"])
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_it_is_what_auto_classes_compute() -> None:
    model, tokenizer = AutoModel.from_pretrained(TINY), AutoTokenizer.from_pretrained(TINY)
    with torch.inference_mode():
        inputs = tokenizer(REAL, padding=True, truncation=True, return_tensors="pt")
        expected = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).pooler_output
    np.testing.assert_allclose(fresh_encoder().encode(REAL), expected.numpy(), atol=2e-6)


@settings(max_examples=300, deadline=None)
@given(contents)
def test_auto_tokenizer_on_raw_content_gives_the_ids_of_its_normal_form(content: str) -> None:
    encoder = tiny_encoder()
    form = normal_forms(pl.Series([content]))[0]
    by_form = encoder._reader.encode(form).ids
    assert encoder.tokenizer(content, truncation=True)["input_ids"] == by_form


def test_odd_shapes_of_input() -> None:
    encoder = fresh_encoder()
    assert encoder.encode([]).shape == (0, encoder.hidden_size)
    assert np.isfinite(encoder.encode(["", " ", "\x00", "\U0001f4a5" * 400])).all()
    huge = "a word 17 " * 1_000_000
    assert np.array_equal(encoder.encode([huge])[0], encoder.encode([huge[: len(huge) // 2]])[0])
    assert np.array_equal(encoder.encode(pl.Series(REAL[:3])), encoder.encode(REAL[:3]))


def test_a_missing_checkpoint_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        LogEncoder.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        LogEncoder.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="a file"):
        LogEncoder.from_pretrained(__file__)


def test_a_hub_id_without_a_hub_is_a_clear_error() -> None:
    with pytest.raises(CheckpointError, match="embedded checkpoint"):
        LogEncoder.from_pretrained("nobody/nothing")


@pytest.mark.parametrize("size", [0, 5, 1000])
def test_cut_weights_are_a_clear_error(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(TINY, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="cut"):
        LogEncoder.from_pretrained(folder)


def test_a_checkpoint_of_another_type_is_a_clear_error(tmp_path: Path) -> None:
    GPT2Config(n_layer=1, n_embd=8, n_head=1).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="gpt2"):
        LogEncoder.from_pretrained(tmp_path)


def test_a_tokenizer_with_other_masks_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "other-masks"
    shutil.copytree(TINY, folder)
    state = json.loads((folder / "tokenizer.json").read_text())
    del state["normalizer"]["normalizers"][3]
    (folder / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="another table"):
        LogEncoder.from_pretrained(folder)


def test_weights_of_a_shallower_model_are_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "deeper"
    shutil.copytree(TINY, folder)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="weights lack"):
        LogEncoder.from_pretrained(folder)


def test_normal_forms_may_be_a_list() -> None:
    forms, encoder = ["disk [FILE] is full", "up [NUM] ms", "disk [FILE] is full"], tiny_encoder()
    found = encoder.encode_normal_forms(forms)
    assert np.array_equal(found, encoder.encode_normal_forms(pl.Series(forms)))
    assert np.array_equal(found[0], found[2])
    assert encoder.encode_normal_forms([]).shape == (0, encoder.hidden_size)
