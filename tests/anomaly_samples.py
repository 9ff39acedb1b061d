"""Groups of real HDFS events, drawn with a seed, and what detectors' tests share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import skops.io
from anomaly_views import EVENTS, REWORDED, SESSIONS, UNRELATED, texts
from checkpoints import tiny_encoder
from numpy.typing import NDArray
from safetensors.numpy import load, save

from biglog.tasks.anomaly.known import KnownForms
from biglog.tasks.anomaly.matching import Matching
from biglog.tasks.anomaly.saving import _TRUSTED
from biglog.tasks.anomaly.view import State, View
from biglog.tasks.groups import Groups

Texts = list[list[str]]

NEVER = Matching(threshold=2.0)
"""Forms are known by identity alone."""

FORMS = [*EVENTS.values(), REWORDED, UNRELATED, "größe überschritten: [NUM] Bytes", "数据块 [NUM] 已删除", ""]

ODD: Texts = [
    [UNRELATED] * 3 + texts([SESSIONS[0]])[0][:5],
    texts([SESSIONS[0]])[0][:2],
    [EVENTS["21"]] * 30,
]
"""Groups that no detector has seen: unknown lines, one that ends at once, a line over and over."""


def encode(forms: pl.Series) -> NDArray[np.float32]:
    """The tiny checkpoint's embeddings."""
    return tiny_encoder().encode_normal_forms(forms)


def sessions(count: int, seed: int) -> Texts:
    """Real sessions with two lines exchanged, some with more deletions at their ends."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        group = texts([SESSIONS[generator.integers(len(SESSIONS))]])[0]
        one, other = generator.integers(0, len(group) - 1, 2)
        group[one], group[other] = group[other], group[one]
        if generator.random() < 0.3:
            group += [EVENTS["21"]] * int(generator.integers(1, 4))
        drawn.append(group)
    return drawn


def views(train: Texts, *others: Sequence[Sequence[str]], matching: Matching = NEVER) -> list[View]:
    """Groups as a detector sees them that was fitted on the first of them."""
    known = KnownForms.of(Groups.of_forms(train), encode, matching)
    return [known.view(Groups.of_forms(groups), encode) for groups in (train, *others)]


def saved(state: State) -> State:
    """A state as it comes back from files."""
    config: dict[str, Any] = json.loads(json.dumps(state.config))
    arrays = load(save({name: np.ascontiguousarray(array) for name, array in state.arrays.items()}))
    dumped = skops.io.dumps(state.estimators)
    return State(config, arrays, skops.io.loads(dumped, trusted=sorted(_TRUSTED)))
