"""Detection: lines per CPU second of one core in whole logs, and what a single line takes on a stream.

Whole logs are real contents again and again with the digits of every number drawn anew (blocks of HDFS keep
their lines together), once their normal forms are known. Masking, grouping and scoring are timed; reading,
fitting and making lines are not. On the stream, every line of a real log comes in its order, by itself, with
an encoder that has embedded none of its forms; a line that ends a group pays for its verdict. Times are those
of the clock, and beside them of the CPU alone, which others on the machine do not lengthen. Beside it the
simplest peer on the same lines: Drain3, and a check of each group's counts of events against those of the
groups that were learnt from.

Example: python benchmarks/detection.py --data ../shared/data
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import arguments, sha256, write
from parsing import BATCH, _varied

from biglog.evaluation.parsing import drain3_config
from biglog.inference.detection.groups import Grouping, key_finder
from biglog.inference.detection.store import LineStore
from biglog.inference.detection.stream import DetectStream
from biglog.inference.detection.telling import judge
from biglog.inference.detector import AnomalyDetector
from biglog.inference.encoder import LogEncoder
from biglog.logs.known_forms import KnownForms
from biglog.logs.record import SCHEMA, read_logs

LOGS = {
    "BGL, windows of 20 lines": ("anomaly/bgl/BGL_100k.log.gz", Grouping.of(window_lines=20)),
    "HDFS, sessions by block": (
        "anomaly/hdfs/HDFS_first20k.log.gz",
        Grouping.of(session="HDFS", idle_lines=2_000),
    ),
}
LOGS["Thunderbird, windows of 20 lines"] = (
    "anomaly/thunderbird/Thunderbird_19k.log.gz",
    Grouping.of(window_lines=20),
)
LINES = 1_000_000
LEARNT, STREAM_LEARNT = 0.5, 0.1
"""Share of the groups that is learnt from; for the stream less, so that it brings forms that are new."""

THROUGHPUT_BAR = 200_000
P50_BAR_MS, P99_BAR_MS = 1.0, 20.0
SEED = 0
_BLOCK = re.compile("(blk_-?[0-9]+)")


def stored(frame: pl.DataFrame, grouping: Grouping, known: KnownForms | None = None) -> LineStore:
    """Records in a store, in batches."""
    store = LineStore(grouping, known)
    for start in range(0, len(frame), BATCH):
        store.add(frame.slice(start, BATCH), "log")
    return store


def fitted(frame: pl.DataFrame, grouping: Grouping, share: float) -> AnomalyDetector:
    """A detector that learnt from the first groups."""
    groups = stored(frame, grouping).grouped().groups
    detector = AnomalyDetector(LogEncoder.from_pretrained())
    return detector.fit(groups.take(np.arange(int(len(groups) * share))))


def drawn(contents: list[str], count: int, seed: int) -> pl.DataFrame:
    """Records with other numbers: so many, and of blocks each time other ones."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        turn, place = divmod(number, len(contents))
        pieces = _BLOCK.split(contents[place])
        lines.append(
            "".join(f"{piece}{turn}" if odd % 2 else _varied(piece, rng) for odd, piece in enumerate(pieces))
        )
    frame = pl.DataFrame({"content": lines, "line": lines, "line_number": range(1, count + 1)})
    return frame.with_columns(pl.lit(None, SCHEMA["timestamp"]).alias("timestamp"))


def throughput(
    frame: pl.DataFrame, grouping: Grouping, detector: AnomalyDetector, lines: int, rounds: int
) -> dict[str, Any]:
    """Lines per CPU second, masking, grouping and scoring; the median of rounds on other digits each."""
    contents, known = frame["content"].to_list(), KnownForms()
    judge(
        detector,
        stored(drawn(contents, min(lines, 2 * len(contents)), SEED), grouping, known).grouped().groups,
    )
    rates, groups, alerts = [], 0, 0
    for turn in range(1, rounds + 1):
        made = drawn(contents, lines, SEED + turn)
        start = time.process_time()
        grouped = stored(made, grouping, known).grouped()
        told = judge(detector, grouped.groups)
        rates.append(lines / (time.process_time() - start))
        groups, alerts = len(grouped.groups), int(told.is_anomaly.sum())
    rate = statistics.median(rates)
    return {
        "lines_per_cpu_second": rate,
        "rounds": rates,
        "bar": THROUGHPUT_BAR,
        "bar_met": rate >= THROUGHPUT_BAR,
        "groups": groups,
        "alerts": alerts,
    }


class Peer:
    """Drain3 line by line; a group is odd if an event comes more often than it ever did, or is new."""

    def __init__(self, grouping: Grouping) -> None:
        from drain3 import TemplateMiner

        self._miner = TemplateMiner(config=drain3_config())
        self._find = key_finder(grouping)
        self._groups: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._most: Counter[int] = Counter()
        self._seen = 0

    def add(self, content: str, learn: bool = False) -> bool:
        """Adds a line; a window is checked at its end, a session as it grows."""
        event = self._miner.add_log_message(content)["cluster_id"]
        self._seen += 1
        odd = False
        for key in ("window",) if self._find is None else self._find(content):
            counts = self._groups[key]
            counts[event] += 1
            if learn:
                self._most[event] = max(self._most[event], counts[event])
            elif self._find is not None or self._seen % 20 == 0:
                odd = any(count > self._most[event] for event, count in counts.items())
        if self._find is None and self._seen % 20 == 0:
            self._groups.clear()
        return odd


def latency(frame: pl.DataFrame, grouping: Grouping, detector: AnomalyDetector) -> dict[str, Any]:
    """Milliseconds of each line on a stream, all of a log, of which both learnt the first groups."""
    peer = Peer(grouping)
    for content in frame["content"].head(int(len(frame) * STREAM_LEARNT)).to_list():
        peer.add(content, learn=True)
    known = set(detector.detector_.known.forms.to_list())
    assert detector.encoder is not None  # it has learnt
    detector.encoder.forget()
    stream = DetectStream(detector, grouping)
    lines = frame.select("content", "timestamp", "line_number", "line")
    spent: dict[str, list[float]] = {"BigLog": [], "Drain3 and counts": []}
    cpu: dict[str, list[float]] = {name: [] for name in spent}
    for turn, (content, when, number, line) in enumerate(lines.iter_rows()):
        work: dict[str, Callable[[], object]] = {
            "BigLog": lambda: stream.add_line(content, timestamp=when, line_number=number, line=line),  # noqa: B023
            "Drain3 and counts": lambda: peer.add(content),  # noqa: B023
        }
        for name in list(work)[:: 1 if turn % 2 else -1]:
            start, used = time.perf_counter(), time.thread_time()
            work[name]()
            spent[name].append((time.perf_counter() - start) * 1e3)
            cpu[name].append((time.thread_time() - used) * 1e3)
    told: dict[str, Any] = {
        name: quantiles(times) | {"cpu": quantiles(cpu[name])} for name, times in spent.items()
    }
    told |= {"lines": len(lines), "groups": stream.groups, "bars_ms": {"p50": P50_BAR_MS, "p99": P99_BAR_MS}}
    told["new_forms"] = len(set(stream.forms) - known)
    told["bars_met"] = told["BigLog"]["p50_ms"] < P50_BAR_MS and told["BigLog"]["p99_ms"] < P99_BAR_MS
    return told


def quantiles(times: list[float]) -> dict[str, Any]:
    """Half, 99 % and all of the lines take no longer, in milliseconds."""
    p50, p99, most = np.quantile(times, [0.5, 0.99, 1.0]).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": most, "mean_ms": statistics.fmean(times)}


def measured(data: Path, lines: int, rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Both measurements of each log."""
    for name, (path, grouping) in LOGS.items():
        frame = read_logs(data / path).read()
        detector = fitted(frame, grouping, LEARNT)
        found: dict[str, Any] = {"sha256": sha256(data / path), "method": detector.chosen_method}
        found["throughput"] = throughput(frame, grouping, detector, lines, rounds)
        found["latency"] = latency(frame, grouping, fitted(frame, grouping, STREAM_LEARNT))
        yield name, found


def main() -> int:
    """Runs the measurements, prints two lines a log and writes the result."""
    parser = arguments(__doc__, "benchmark_detection.json")
    parser.add_argument("--rounds", type=int, default=3, help="times that whole logs are judged")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines, logs = options.limit or LINES, {}
    for name, found in measured(options.data, lines, options.rounds):
        logs[name] = found
        print(f"{name:32} {found['throughput']['lines_per_cpu_second']:12,.0f} lines/CPU s", flush=True)
        for system in ("BigLog", "Drain3 and counts"):
            told = found["latency"][system]
            print(
                f"{'':32} {system:18} a line p50 {told['p50_ms']:.3f} ms, p99 {told['p99_ms']:.2f} ms, "
                f"most {told['max_ms']:.1f} ms; of the CPU p99 {told['cpu']['p99_ms']:.2f} ms",
                flush=True,
            )
    result = {
        "schema": "biglog-benchmark-detection/1",
        "lines": lines,
        "batch_lines": BATCH,
        "threads": 1,
        "seed": SEED,
        "learnt": {"throughput": LEARNT, "latency": STREAM_LEARNT},
        "load_average": os.getloadavg()[0],
        "logs": logs,
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
