"""What a pretraining run takes on accelerators: tokens, floating-point operations, memory, hours and cost.

Everything is reckoned from measured quantities and stated assumptions, and each formula names its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modeling_biglog import BigLogConfig

BYTES_PER_PARAMETER = {"weights": 2, "gradients": 2, "optimizer": 12}
"""Of mixed precision with Adam: 16-bit weights and gradients; 32-bit weights, momentum and variance
(Rajbhandari et al., "ZeRO", SC 2020, section 3.1)."""


@dataclass(frozen=True)
class Device:
    """An accelerator, by its maker's data sheet.

    Attributes:
        name: What it is called.
        peak_flops: Dense 16-bit operations a second.
        memory_bytes: Of one device.
        dollars_per_hour: Assumed price.
        source: Where the first two are from.
    """

    name: str
    peak_flops: float
    memory_bytes: float
    dollars_per_hour: float
    source: str


DEVICES = (
    Device("A100 SXM 80 GB", 312e12, 80e9, 1.8, "NVIDIA A100 data sheet, 2021: BF16 tensor core, dense"),
    Device("H100 SXM 80 GB", 989e12, 80e9, 3.0, "NVIDIA H100 data sheet, 2023: BF16 tensor core, dense"),
)


def parameters(config: BigLogConfig) -> dict[str, int]:
    """Counts the parameters of a model with a token head that shares the embeddings.

    Args:
        config: Its sizes.

    Returns:
        ``embeddings``, ``layers`` (attention, feed-forward, norms) and ``head``.
    """
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    attention = 4 * (width * width + width) + 2 * width
    feed_forward = 2 * width * inner + inner + width + 2 * width
    head = width * width + width + 2 * width + config.vocab_size
    return {
        "embeddings": rows * width + 2 * width,
        "layers": layers * (attention + feed_forward),
        "head": head,
    }


def flops_per_token(config: BigLogConfig, length: int, predicted: float) -> float:
    """Operations to train on one token, forwards and backwards.

    Six for each weight that it is multiplied with, and 12 x width x length a layer for attention (Chowdhery
    et al., "PaLM", JMLR 2023, appendix B). The output weights count for the tokens that are predicted alone.

    Args:
        config: Sizes of the model.
        length: Tokens of a row.
        predicted: Share of the tokens that the token head reads.
    """
    width, layers = config.hidden_size, config.num_hidden_layers
    head = width * width + config.vocab_size * width
    weights = parameters(config)["layers"] + predicted * head
    return 6.0 * weights + 12.0 * layers * width * length


def memory_bytes(config: BigLogConfig, devices: int, *, sharded: bool) -> float:
    """Bytes on each device for weights, gradients and optimizer; activations come on top.

    Args:
        config: Sizes of the model.
        devices: How many.
        sharded: Whether each has its share alone (FSDP, ZeRO stage 3), or all (DDP).
    """
    total = sum(parameters(config).values()) * sum(BYTES_PER_PARAMETER.values())
    return total / devices if sharded else total


def plan(
    config: BigLogConfig,
    tokens: float,
    device: Device,
    devices: int,
    utilisation: float,
    length: int,
    masked: float,
) -> dict[str, Any]:
    """Reckons one run.

    Args:
        config: Sizes of the model.
        tokens: To train on, passes included.
        device: What it runs on.
        devices: How many of them.
        utilisation: Share of the peak that is reached, measured or assumed.
        length: Tokens of a row.
        masked: Share of the tokens that are predicted.

    Returns:
        ``flops``, ``hours``, ``device_hours``, ``dollars``, ``tokens_per_second`` (all devices together) and
        the bytes a device for state, ``ddp_bytes`` and ``fsdp_bytes``.
    """
    each = flops_per_token(config, length, masked)
    rate = devices * device.peak_flops * utilisation / each
    hours = tokens / rate / 3600
    return {
        "flops": tokens * each,
        "tokens_per_second": rate,
        "hours": hours,
        "device_hours": hours * devices,
        "dollars": hours * devices * device.dollars_per_hour,
        "ddp_bytes": memory_bytes(config, devices, sharded=False),
        "fsdp_bytes": memory_bytes(config, devices, sharded=True),
    }
