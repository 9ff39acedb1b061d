"""`biglog analyze` as a user runs it: whole processes on real logs, wall time, peak memory, time split.

Example: python benchmarks/analyze.py --data ../shared/data
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import arguments, sha256, write

LOGS = {
    "BGL": "anomaly/bgl/BGL_100k.log.gz",
    "HDFS": "anomaly/hdfs/HDFS_first20k.log.gz",
    "Thunderbird": "anomaly/thunderbird/Thunderbird_19k.log.gz",
    "HPC": "raw/HPC/HPC.log.gz",
    "Linux": "raw/Linux/Linux.log.gz",
    "Apache": "raw/Apache/Apache.log.gz",
    "Mac": "raw/Mac/macos11_system.log.gz",
}
SECONDS, MEGABYTES = 15.0, 1500.0


def run(log: Path, folder: Path) -> dict[str, Any]:
    """Runs the command once and returns what it took and what it found."""
    report, output = folder / "report.html", folder / "analysis.json"
    command = [sys.executable, "-m", "biglog.cli", "analyze", str(log), "--json", "--report", str(report)]
    began = time.perf_counter()
    with output.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, env=os.environ | {"HF_HUB_OFFLINE": "1"})
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed")
    analysis = json.loads(output.read_text())
    return {
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_rss_mb": round(usage.ru_maxrss / 1024, 1),
        "lines": analysis["lines"],
        "lines_in_events": sum(event["count"] for event in analysis["events"]),
        "normal_forms": analysis["normal_forms"],
        "events": len(analysis["events"]),
        "odd_lines": len(analysis["odd_lines"]),
        "report_mb": round(report.stat().st_size / 1e6, 2),
        "seconds": {name: round(value, 3) for name, value in analysis["seconds"].items()},
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of median wall time, with the range of all."""
    walls = [one["wall_seconds"] for one in runs]
    middle = min(runs, key=lambda one: abs(one["wall_seconds"] - statistics.median(walls)))
    return middle | {"runs": len(runs), "wall_range": [min(walls), max(walls)]}


def main() -> int:
    """Runs the benchmark, prints a line a log and writes the result."""
    parser = arguments(__doc__, "benchmark_analyze.json")
    parser.add_argument("--runs", type=int, default=5, help="counted runs on BGL, after one warm-up")
    parser.add_argument("--logs", nargs="*", default=list(LOGS), choices=list(LOGS), help="which logs")
    options = parser.parse_args()
    logs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.logs:
            path = options.data / LOGS[name]
            if name == "BGL":
                run(path, Path(folder))
            runs = [run(path, Path(folder)) for _ in range(options.runs if name == "BGL" else 1)]
            logs[name] = summary(runs) | {"file": LOGS[name], "sha256": sha256(path)}
            one = logs[name]
            print(
                f"{name}: {one['lines']:,} lines, {one['wall_seconds']:.1f} s, {one['peak_rss_mb']:.0f} MB, "
                f"{one['normal_forms']:,} normal forms, split {one['seconds']}",
                flush=True,
            )
    bgl = logs.get("BGL")
    met = bgl and {
        "every line in one event": bgl["lines_in_events"] == bgl["lines"],
        f"under {SECONDS:.0f} s": bgl["wall_seconds"] < SECONDS,
        f"under {MEGABYTES:.0f} MB": bgl["peak_rss_mb"] < MEGABYTES,
    }
    write(
        options.out,
        {"schema": "biglog-benchmark-analyze/1", "model": "biglog-mini", "logs": logs, "met": met},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
