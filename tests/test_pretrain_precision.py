"""Half precision on a processor: attention stays in single, and a run ends near where one in single does."""

from __future__ import annotations

import pytest
import torch
from checkpoints import TINY
from test_pretrain_joint import joint
from transformers import AutoModel

from biglog.training.attention import NAME, attend_in_float32
from biglog.training.pretrain import pretrain
from modeling_biglog import BigLogForMaskedLM, BigLogModel


@pytest.mark.parametrize("packed", [False, True])
def test_attention_in_float32_is_the_librarys(packed):
    model = BigLogModel.from_pretrained(TINY).eval()
    ids = torch.randint(8, 200, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[0, 5:] = 0
    if packed:
        mask = torch.ones(3, 1, 12, 12, dtype=torch.bool)
        mask[:, :, :7, 7:] = mask[:, :, 7:, :7] = False
    before = model(ids, attention_mask=mask).last_hidden_state
    attend_in_float32(model)
    assert torch.equal(model(ids, attention_mask=mask).last_hidden_state, before)


def test_attention_in_float32_sees_no_half_precision(monkeypatch):
    from biglog.training import attention

    seen = []
    real = attention.sdpa_attention_forward

    def watched(module, *states, **options):
        seen.extend(state.dtype for state in states)
        return real(module, *states, **options)

    monkeypatch.setattr(attention, "sdpa_attention_forward", watched)
    model = BigLogModel.from_pretrained(TINY).eval()
    attend_in_float32(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(torch.tensor([[7, 12, 13, 8]]))
    assert seen
    assert set(seen) == {torch.float32}


def test_a_run_in_bfloat16_ends_near_one_in_float32(tmp_path):
    half = pretrain(joint(tmp_path / "half", bf16=True, use_cpu=True))
    single = pretrain(joint(tmp_path / "single", use_cpu=True))
    for one, other in zip(half["curve"], single["curve"], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)
        assert one["loss"] != other["loss"]
    # What is left is a checkpoint like any other: single precision, and the library's attention.
    model = BigLogForMaskedLM.from_pretrained(tmp_path / "half" / "tiny-biglog")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert NAME not in (tmp_path / "half" / "tiny-biglog" / "config.json").read_text()
    assert AutoModel.from_pretrained(tmp_path / "half" / "tiny-biglog").config._attn_implementation == "sdpa"
