"""Reading logs and taking their headers apart: `read_logs` beside the loader of logparser3, in one run.

Each side is a process of its own and reads the whole log in a lap, again and again for half a second; laps
alternate, so that whatever else the machine does falls on both, and a ratio is taken within each round.
logparser3 pins an old `regex` and has an environment of its own:

    python -m venv peer && peer/bin/pip install logparser3==1.0.4
    python benchmarks/reading.py --peer-python peer/bin/python

Both are told the layout (`recognised` is not). `frame` has all records in one table, as logparser3 has;
`batches` drops each batch for the next, and `normal forms` masks it too. The second part reads a file of
`--stream-gb`, a log repeated, batch by batch.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import arguments, sha256, write

WORKER = Path(__file__).with_name("reading_worker.py")
# Files, and the layout that logparser3 is told.
_HDFS = ["anomaly/hdfs/HDFS_first20k.log.gz", "anomaly/hdfs/HDFS_sample_4519.log.gz"]
LOGS = {
    "BGL": (
        ["anomaly/bgl/BGL_100k.log.gz"],
        "<Label> <Timestamp> <Date> <Node> <Time> <NodeRepeat> <Type> <Component> <Level> <Content>",
    ),
    "HDFS": (_HDFS, "<Date> <Time> <Pid> <Level> <Component>: <Content>"),
    # As long as BGL's: what a file costs whatever its length weighs less.
    "HDFS, four times": (4 * _HDFS, "<Date> <Time> <Pid> <Level> <Component>: <Content>"),
}
PEER, OURS = "logparser3", ("frame", "batches", "recognised", "normal forms")
RATIO, MEGABYTES = 15.0, 500.0


class Side:
    """A worker process of one reader on one log."""

    def __init__(self, python: str, reader: str, log: Path, layout: str) -> None:
        command = [python, str(WORKER), reader, str(log), layout]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.laps: list[dict[str, Any]] = []
        self.hello = self._line()

    def ask(self, request: str) -> dict[str, Any]:
        """Has the log read; a request is one of the worker's."""
        assert self.process.stdin is not None
        print(request, file=self.process.stdin, flush=True)
        return self._line()

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))} failed")  # type: ignore[arg-type]
        answer: dict[str, Any] = json.loads(line)
        return answer


def domain(name: str) -> str:
    """The layout of one of the logs."""
    return name.partition(",")[0]


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Median and range."""
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()}


def compare(log: Path, name: str, peer_python: str, rounds: int) -> dict[str, Any]:
    """Laps of all readers in turn; the first of each is a warm-up and is told apart."""
    sides = {PEER: Side(peer_python, PEER, log, LOGS[name][1])}
    sides |= {reader: Side(sys.executable, reader, log, domain(name)) for reader in OURS}
    firsts = {
        reader: side.ask("content" if reader in (PEER, "frame") else "once") for reader, side in sides.items()
    }
    for _ in range(rounds):
        for side in sides.values():
            side.laps.append(side.ask("lap"))
    result = {reader: summary(side, firsts[reader], sides[PEER]) for reader, side in sides.items()}
    for side in sides.values():
        side.close()
    same = firsts[PEER]["content"] == firsts["frame"]["content"]
    return {"lines": firsts["frame"]["lines"], "same_content": same, "readers": result}


def ratio(ours: dict[str, Any], theirs: dict[str, Any], clock: str) -> float:
    """How many times as many lines a second (of the wall, or of the CPU)."""
    return float(ours["lines"] / ours[clock] / (theirs["lines"] / theirs[clock]))


def summary(side: Side, first: dict[str, Any], peer: Side) -> dict[str, Any]:
    """What one reader took; ratios are within rounds, those of CPU time disturbed least by other programs."""
    pairs = list(zip(peer.laps, side.laps, strict=True))
    return {
        "lines_per_second": spread([lap["lines"] / lap["seconds"] for lap in side.laps], 0),
        "times_logparser3": spread([ratio(ours, theirs, "seconds") for theirs, ours in pairs], 2),
        "cpu_times_logparser3": spread([ratio(ours, theirs, "cpu") for theirs, ours in pairs], 2),
        "first_lap_seconds": round(first["seconds"], 4),
        "peak_rss_mb": side.laps[-1]["peak_rss_mb"],
        **side.hello,
    }


def stream(log: Path, name: str, folder: Path, gigabytes: float) -> dict[str, Any]:
    """Reads a large file once, batch by batch."""
    data, big = log.read_bytes(), folder / f"{name}.big.log"
    copies = max(1, round(gigabytes * 1e9 / len(data)))
    with big.open("wb") as out:
        for _ in range(copies):
            out.write(data)
    side = Side(sys.executable, "batches", big, domain(name))
    lap = side.ask("once")
    side.close()
    big.unlink()
    return {
        "bytes": copies * len(data),
        "copies": copies,
        "lines": lap["lines"],
        "seconds": round(lap["seconds"], 2),
        "lines_per_second": round(lap["lines"] / lap["seconds"]),
        "peak_rss_mb": lap["peak_rss_mb"],
    }


def unpack(parts: list[Path], path: Path, limit: int) -> Path:
    """Several gzip files as one plain file of at most `limit` lines (0: all)."""
    lines = b"".join(gzip.decompress(part.read_bytes()) for part in parts).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: limit or None]))
    return path


def show(name: str, log: dict[str, Any]) -> None:
    """Prints a line a reader."""
    print(f"{name}: {log['lines']:,} lines, messages the same: {log['same_content']}")
    for reader, one in log["readers"].items():
        speed, times, cpu = one["lines_per_second"], one["times_logparser3"], one["cpu_times_logparser3"]
        print(
            f"  {reader:13} {speed['median']:>11,.0f} lines/s ({speed['min']:,.0f} to {speed['max']:,.0f})"
            f"  x {times['median']:5.1f} ({times['min']:.1f} to {times['max']:.1f})"
            f"  CPU x {cpu['median']:5.1f}  peak {one['peak_rss_mb']:.0f} MB",
            flush=True,
        )
    big = log["stream"]
    print(
        f"  {big['bytes'] / 1e9:.2f} GB as a stream: {big['lines']:,} lines, "
        f"{big['lines_per_second']:,} lines/s, peak {big['peak_rss_mb']:.0f} MB",
        flush=True,
    )


def main() -> int:
    """Runs the benchmark, prints what it found and writes the result."""
    parser = arguments(__doc__, "reading.json")
    parser.add_argument("--peer-python", required=True, help="interpreter that has logparser3")
    parser.add_argument("--rounds", type=int, default=9, help="counted laps of each reader")
    parser.add_argument("--stream-gb", type=float, default=1.0, help="size of the streamed file")
    parser.add_argument("--logs", nargs="*", default=list(LOGS), choices=list(LOGS), help="which logs")
    options = parser.parse_args()
    logs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.logs:
            parts = [options.data / part for part in LOGS[name][0]]
            log = unpack(parts, Path(folder) / f"{name}.log", options.limit)
            logs[name] = compare(log, name, options.peer_python, options.rounds)
            logs[name]["stream"] = stream(log, name, Path(folder), options.stream_gb)
            logs[name]["files"] = {part.name: sha256(part) for part in parts}
            show(name, logs[name])
    frames = [log["readers"]["frame"]["times_logparser3"]["median"] for log in logs.values()]
    met = {
        f"frame at least {RATIO:.0f} x logparser3": min(frames) >= RATIO,
        f"stream under {MEGABYTES:.0f} MB": all(
            log["stream"]["peak_rss_mb"] < MEGABYTES for log in logs.values()
        ),
        "same messages": all(log["same_content"] for log in logs.values()),
    }
    print(met)
    write(options.out, {"schema": "biglog-reading/1", "rounds": options.rounds, "logs": logs, "met": met})
    return 0


if __name__ == "__main__":
    sys.exit(main())
