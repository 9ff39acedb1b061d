"""What a run takes: parameters against the model itself, operations against a count, laws of the plan."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from biglog.training.scaling import DEVICES, flops_per_token, memory_bytes, parameters, plan
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

SMALL = BigLogConfig(
    vocab_size=500, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128
)
BASE = BigLogConfig(vocab_size=30522, max_position_embeddings=150)


@pytest.mark.parametrize("config", [SMALL, BASE])
def test_parameters_are_those_of_the_model(config):
    with torch.device("meta"):
        model = BigLogForMaskedLM(config)
    names = dict(model.named_parameters())
    assert sum(parameters(config).values()) == sum(one.numel() for one in names.values())
    layers = sum(one.numel() for name, one in names.items() if ".layer." in name)
    assert parameters(config)["layers"] == layers


def test_operations_are_those_that_are_counted():
    rows, length = 4, 64
    config = BigLogConfig(
        **SMALL.to_diff_dict() | {"sparse_prediction": False, "attn_implementation": "eager"}
    )
    model = BigLogForMaskedLM(config)
    ids = torch.randint(7, 500, (rows, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    expected = rows * length * flops_per_token(config, length, predicted=1.0)
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.02)


@given(st.integers(1, 512), st.floats(0.05, 0.6), st.sampled_from(DEVICES))
def test_twice_the_devices_take_half_the_time_at_the_same_cost(devices, utilisation, device):
    one = plan(BASE, 1e9, device, devices, utilisation, 150, 0.15)
    two = plan(BASE, 1e9, device, 2 * devices, utilisation, 150, 0.15)
    assert two["hours"] == pytest.approx(one["hours"] / 2)
    assert two["dollars"] == pytest.approx(one["dollars"])
    assert two["ddp_bytes"] == one["ddp_bytes"] == memory_bytes(BASE, 1, sharded=True)
    assert two["fsdp_bytes"] == pytest.approx(one["fsdp_bytes"] / 2)
    assert one["tokens_per_second"] * one["hours"] * 3600 == pytest.approx(1e9)
