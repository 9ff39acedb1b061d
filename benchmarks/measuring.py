"""What every benchmark needs: where the data are, what ran on what, and a result written whole."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("biglog", "torch", "transformers", "tokenizers", "polars", "numpy")


def arguments(description: str | None, result: str) -> argparse.ArgumentParser:
    """Returns a parser with the options that all benchmarks share.

    Args:
        description: The script's docstring, with an example.
        result: Name of the result file under results/.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = Path(os.environ.get("BIGLOG_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data, help="folder of the logs (default: BIGLOG_DATA)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / result, help="result file")
    parser.add_argument(
        "--limit", type=int, default=0, help="read this many lines at most of each log; 0 reads all"
    )
    return parser


def environment() -> dict[str, Any]:
    """Returns the hardware, the versions and the commit."""
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "commit": commit,
    }


def sha256(path: Path) -> str:
    """Returns the checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Returns wall and CPU seconds of this process for one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def write(path: Path, result: dict[str, Any]) -> None:
    """Writes a result to a temporary name and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(environment() | result, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    print(f"-> {path}")
