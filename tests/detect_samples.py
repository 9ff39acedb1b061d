"""Logs of HDFS's make, of sessions some of which are odd, and a detector that knows the others."""

from __future__ import annotations

from functools import cache

import numpy as np
from checkpoints import tiny_encoder

from biglog import AnomalyDetector
from biglog.tasks.groups import Groups

ODD = "writeBlock {block} received exception java.io.IOException: Could not read from stream"

# What the 2k sample of Loghub has of a block that is written three times.
_USUAL = (
    "Receiving block {block} src: /10.250.10.{n}:40524 dest: /10.250.10.6:50010",
    "BLOCK* NameSystem.allocateBlock: /user/root/part-{n:05}. {block}",
    "Received block {block} src: /10.250.11.{n}:40525 dest: /10.250.10.6:50010 of size 67108864",
    "PacketResponder 1 for block {block} terminating",
    "Received block {block} of size 67108864 from /10.250.10.{n}",
    "BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.73.{n}:50010 is added to {block}",
)


def contents(block: int, odd: bool = False) -> list[str]:
    """The contents of a session."""
    name = f"blk_-{block}"
    usual = [text.format(block=name, n=2 + block % 200) for text in _USUAL]
    return [*usual[:4], ODD.format(block=name), *usual[4:]] if odd else usual


def lines(blocks: int, odd: tuple[int, ...] = (), first: int = 0) -> list[str]:
    """Lines of so many sessions, each three seconds behind the other and longer than that."""
    timed = []
    for number in range(first, first + blocks):
        for place, content in enumerate(contents(38_865_049 + number, number in odd)):
            second = 3 * number + place
            component = "dfs.DataNode$DataXceiver" if "exception" in content else "dfs.FSNamesystem"
            level = "WARN" if "exception" in content else "INFO"
            when = f"081109 {second // 3600 % 24:02}{second // 60 % 60:02}{second % 60:02}"
            timed.append((second, f"{when} {143 + place} {level} {component}: {content}"))
    return [line for _, line in sorted(timed, key=lambda each: each[0])]


def log(blocks: int, odd: tuple[int, ...] = (), first: int = 0) -> str:
    """The same as a text."""
    return "".join(f"{line}\n" for line in lines(blocks, odd, first))


@cache
def knowing(method: str = "knn") -> AnomalyDetector:
    """A detector that knows sessions of six lines, and pieces of them."""
    usual = [contents(number) for number in range(40)]
    parts = [usual[n % 40][: 1 + n % 6] for n in range(60)]
    detector = AnomalyDetector(tiny_encoder(), method, false_alarm_budget=0.05)
    return detector.fit(Groups.of_contents([*parts, *usual]))


def scores_by_id(detector: AnomalyDetector, groups: Groups) -> dict[str, tuple[float, bool, int]]:
    """Verdicts of a batch: score, whether it is an anomaly, and lines, by the groups' ids."""
    told = detector.detect(groups)
    assert told["group_id"].n_unique() == len(told)
    columns = told.select("group_id", "anomaly_score", "is_anomaly", "lines")
    return {name: (score, odd, count) for name, score, odd, count in columns.iter_rows()}


def assert_same(
    found: dict[str, tuple[float, bool, int]], expected: dict[str, tuple[float, bool, int]]
) -> None:
    """Checks that verdicts are equal."""
    assert found.keys() == expected.keys()
    for name, (score, odd, count) in expected.items():
        assert found[name][1:] == (odd, count)
        assert np.isclose(found[name][0], score, atol=1e-9)
