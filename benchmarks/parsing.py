"""Log parsing beside Drain3, in lines per CPU second of one core, and the memory that it takes.

Lines are real contents of a domain's sample, again and again, with the digits of every number drawn anew, so
that few are the same to the letter. Each parser reads the same file in a process of its own, line by line as
it is made for (Drain3) or in batches (ours): every line gets its event and template, and then the same with
parameters. Drain3 has the masks of its README. Starting, reading the file and making lines are not timed.

Example: python benchmarks/parsing.py --data ../shared/data
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import arguments, write

from biglog.evaluation.parsing import GROUND_TRUTHS, drain3_config, read_truth

DOMAINS = {"BGL": 10.0, "HDFS": 10.0, "Thunderbird": 3.0, "Mac": 3.0}
"""Domains, and how many times as fast as Drain3 ours should be."""

LINES = {"BGL": 1_000_000, "HDFS": 1_000_000, "Thunderbird": 200_000, "Mac": 1_000_000}
"""Lines of each; of Thunderbird fewer: a million take Drain3 more than ten minutes, and ours seconds."""

BATCH = 100_000
MEMORY_BAR = 1.5
SYSTEMS = ("BigLog", "BigLog, with parameters", "Drain3", "Drain3, with parameters")
_DIGITS = re.compile("[0-9]+")


def made(domain: str, data: Path, count: int, to: Path) -> None:
    """Writes lines of a domain with other numbers."""
    rng = np.random.default_rng(0)
    contents = [line for line in read_truth(domain, data, GROUND_TRUTHS["loghub-2.0"])[1] if line]
    with to.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(_varied(contents[number % len(contents)], rng) + "\n")


def _varied(line: str, rng: np.random.Generator) -> str:
    """Draws digits anew: of each run as many as before, no leading zero where there was none."""
    drawn = iter(rng.integers(0, 10, size=len(line)).tolist())

    def run(match: re.Match[str]) -> str:
        text = match.group()
        if text == "0":
            return text
        digits = [next(drawn) for _ in text]
        if text[0] != "0":
            digits[0] = digits[0] or 1
        return "".join(map(str, digits))

    return _DIGITS.sub(run, line)


def ours(parameters: bool) -> Callable[[Any], object]:
    """Returns our parser, for batches as `read_logs` gives them: a series each."""
    from biglog.inference.parser import LogParser

    stream = LogParser.from_pretrained().stream()
    return lambda lines: stream.parse(lines, parameters=parameters)


def drain3(parameters: bool) -> Callable[[Any], object]:
    """Returns Drain3, for batches of lines that it takes one after the other."""
    from drain3 import TemplateMiner

    miner = TemplateMiner(config=drain3_config())

    def work(lines: list[str]) -> object:
        if not parameters:
            return [miner.add_log_message(line)["template_mined"] for line in lines]
        return [
            miner.extract_parameters(miner.add_log_message(line)["template_mined"], line) for line in lines
        ]

    return work


def measured(system: str, file: Path) -> dict[str, float]:
    """Parses a file and returns CPU seconds, lines, and the peak of memory in GB."""
    work = (ours if system.startswith("BigLog") else drain3)("parameters" in system)
    spent, lines = 0.0, 0
    for texts in _batches(file):
        batch = pl.Series(texts, dtype=pl.String) if system.startswith("BigLog") else texts
        start = time.process_time()
        work(batch)
        spent += time.process_time() - start
        lines += len(batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"cpu_seconds": spent, "lines": lines, "peak_gb": peak}


def _batches(file: Path) -> Iterator[list[str]]:
    with file.open(encoding="utf-8") as lines:
        while batch := [line[:-1] for line in islice(lines, BATCH)]:
            yield batch


def compared(domain: str, file: Path, count: int) -> dict[str, Any]:
    """Runs all systems in turn, several times, and returns their rates and ratios."""
    runs: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
    for turn in range(count):
        for system in SYSTEMS if turn % 2 == 0 else SYSTEMS[::-1]:
            if turn and "parameters" in system:
                continue
            command = [sys.executable, __file__, "--system", system, "--file", str(file)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            runs[system].append(json.loads(done.stdout))
    rates = {system: [run["lines"] / run["cpu_seconds"] for run in each] for system, each in runs.items()}
    found: dict[str, Any] = {
        system: {
            "lines_per_cpu_second": statistics.median(rates[system]),
            "rounds": rates[system],
            "peak_gb": max(run["peak_gb"] for run in each),
        }
        for system, each in runs.items()
    }
    for suffix in ("", ", with parameters"):
        both = zip(rates[f"BigLog{suffix}"], rates[f"Drain3{suffix}"], strict=True)
        ratio = statistics.median(mine / theirs for mine, theirs in both)
        found[f"BigLog{suffix}"]["times_drain3"] = ratio
        print(
            f"{domain:12}{suffix or ', events':18} {found[f'BigLog{suffix}']['lines_per_cpu_second']:10,.0f} "
            f"lines/CPU s  {ratio:6.1f} x Drain3  {found[f'BigLog{suffix}']['peak_gb']:.2f} GB",
            flush=True,
        )
    return found


def main() -> int:
    """Runs the comparison, prints two lines a domain and writes the result."""
    parser = arguments(__doc__, "benchmark_parsing.json")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system; with parameters, one")
    parser.add_argument("--system", choices=SYSTEMS, help="measure this one alone, print JSON")
    parser.add_argument("--file", type=Path, help="with --system: the lines")
    options = parser.parse_args()
    if options.system:
        print(json.dumps(measured(options.system, options.file)))
        return 0
    domains = {}
    with tempfile.TemporaryDirectory() as folder:
        for domain in DOMAINS:
            file = Path(folder) / f"{domain}.txt"
            made(domain, options.data, options.limit or LINES[domain], file)
            domains[domain] = compared(domain, file, options.rounds)
            file.unlink()
    result = {
        "schema": "biglog-benchmark-parsing/1",
        "lines": {domain: options.limit or count for domain, count in LINES.items()},
        "batch_lines": BATCH,
        "threads": 1,
        "seed": 0,
        "load_average": os.getloadavg()[0],
        "unit": "lines per CPU second of one core, starting and reading not counted",
        "bars": {"times_drain3": DOMAINS, "peak_gb": MEMORY_BAR},
        "domains": domains,
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
