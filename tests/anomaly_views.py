"""Views of groups of real HDFS events, as a detector makes them, for tests of single methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import polars as pl

from biglog.inference.encoder import LogEncoder
from biglog.tasks.anomaly.view import View
from biglog.tasks.groups import Groups

# Texts of HDFS events (Loghub), normal forms by their ids in the list of the authors of LogRobust.
EVENTS = {
    "2": "Verification succeeded for [NUM]",
    "5": "Receiving block [NUM] src: [IP] dest: [IP]",
    "9": "Received block [NUM] of size [NUM] from [IP]",
    "11": "PacketResponder [NUM] for block [NUM] terminating",
    "21": "Deleting block [NUM] file [FILE]",
    "22": "BLOCK* NameSystem.allocateBlock: [FILE]. [NUM]",
    "23": "BLOCK* NameSystem.delete: [NUM] is added to invalidSet of [IP]",
    "26": "BLOCK* NameSystem.addStoredBlock: blockMap updated: [IP] is added to [NUM] size [NUM]",
}
REWORDED = "BLOCK* NameSystem.addStoredBlock: the blockMap was updated: [IP] was added to [NUM], size [NUM]"
UNRELATED = "kernel: EDAC MC0: uncorrectable memory error on DIMM bank [NUM]"

# Sessions of deeplog_hdfs_train.txt: the order of the lines varies, what they are does not.
SESSIONS = [
    line.split()
    for line in """5 5 5 22 11 9 11 9 11 9 26 26 26 23 23 23 21 21 21
22 5 5 5 11 9 11 9 11 9 26 26 26
22 5 5 5 26 26 26 11 9 11 9 11 9 2 23 23 23 21 21 21
22 5 5 5 11 9 11 9 11 9 26 26 26
5 22 5 5 26 26 11 9 11 9 11 9 26 23 23 23 21 21 21
22 5 5 5 26 26 26 11 9 11 9 11 9""".splitlines()
]


@cache
def encoder() -> LogEncoder:
    """The embedded one."""
    return LogEncoder.from_pretrained()


def texts(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Ids of events to their texts; what is no id stays as it is."""
    return [[EVENTS.get(event, event) for event in group] for group in groups]


def view(groups: Sequence[Sequence[str]], train: View | None = None) -> View:
    """Groups of texts in forms that are all known, or in those of a view that a method was fitted on."""
    made = Groups.of_forms(groups)
    known = (made.forms if train is None else train.groups.forms[: train.known]).to_list()
    every = known + [form for form in made.forms if form not in set(known)]
    vectors = encoder().encode_normal_forms(every)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[len(known) :] @ vectors[: len(known)].T
    distances = np.concatenate([np.zeros(len(known)), 1.0 - cosines.max(axis=1, initial=-1.0)])
    place = {form: index for index, form in enumerate(every)}
    codes = np.array([place[form] for form in made.forms])
    return View(made.recoded(pl.Series("form", every), codes), len(known), vectors, distances)
