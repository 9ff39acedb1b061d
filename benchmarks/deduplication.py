"""Distinct normal forms of every raw log at hand, exact and near: time, memory, growth.

What 100 million lines would take is reckoned from what was measured: the time by the rate of lines, the state
by the growth of distinct forms, fitted as forms = c * lines ** exponent (Heaps' law) on the halves of each
log, with an exponent of 1 at most: a log whose second half is of another kind tells nothing about growth.

Example: python benchmarks/deduplication.py --data ../shared/data
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
from measuring import arguments, sha256, write

from biglog.data.archives.catalog import find_files
from biglog.data.deduplication import NUM_PERM, count_batches, count_forms, kept_forms, merge_near
from biglog.data.executors import LocalExecutor
from biglog.logs.domains import DOMAINS
from biglog.logs.record import read_logs

HUNDRED_MILLION = 100_000_000
THRESHOLD = 0.9


def exact(logs: list[str], out: str, processes: int) -> dict[str, float]:
    """Counts all logs; to be called in a process of its own, whose peak memory is then its own."""
    began = time.perf_counter()
    found = count_forms(logs, Path(out), executor=LocalExecutor(processes))
    seconds = time.perf_counter() - began
    return {"lines": found.lines, "normal_forms": found.normal_forms, "seconds": round(seconds, 2)} | _peak()


def near(forms_path: str, statements_path: str, share: float) -> dict[str, float]:
    """Merges near duplicates among counted forms and log statements; likewise in a process of its own."""
    forms = pl.read_parquet(forms_path, columns=["normal_form", "count"])
    # There are too few forms at hand to measure memory by: log statements of source code are such texts too.
    statements = pl.read_csv(statements_path, columns=["template"], infer_schema=False)
    more = statements.unique(maintain_order=True).select(
        normal_form="template", count=pl.lit(1, forms["count"].dtype)
    )
    texts = pl.concat([forms, more]).unique("normal_form", maintain_order=True)
    texts = texts.sample(fraction=share, seed=0) if share < 1 else texts
    began = time.perf_counter()
    kept = kept_forms(merge_near(texts, threshold=THRESHOLD))
    seconds = time.perf_counter() - began
    return {"texts": len(texts), "kept": len(kept), "seconds": round(seconds, 2)} | _peak()


def near_costs(half: dict[str, float], whole: dict[str, float]) -> dict[str, Any]:
    """Rate, and memory by what the second half of the texts added."""
    added = (whole["peak_megabytes"] - half["peak_megabytes"]) * 2**20 / (whole["texts"] - half["texts"])
    return {
        "threshold": THRESHOLD,
        "num_perm": NUM_PERM,
        "forms_per_second": round(whole["texts"] / whole["seconds"]),
        "bytes_per_form": round(added),
        "half": half,
        "whole": whole,
    }


def growth(logs: list[str]) -> dict[str, float]:
    """Distinct forms after half the lines of a domain and after all, and the exponent that makes."""
    batches = [batch for log in logs for batch in read_logs(log, batch_lines=1 << 13)]
    total, half, lines = sum(len(batch.frame) for batch in batches), 0, 0
    while half < len(batches) and lines < total / 2:
        lines += len(batches[half].frame)
        half += 1
    early, late = len(count_batches(batches[:half])), len(count_batches(batches))
    exponent = min(1.0, math.log(late / early) / math.log(total / lines)) if total > lines else 1.0
    return {"lines": total, "normal_forms": late, "at_half": early, "exponent": round(exponent, 3)}


def reckon(
    domains: dict[str, dict[str, float]], counted: dict[str, float], merged: dict[str, float]
) -> dict[str, Any]:
    """What 100 million lines of the domain that grows fastest, and of a typical one, would take."""
    sizes = {
        name: round(row["normal_forms"] * (HUNDRED_MILLION / row["lines"]) ** row["exponent"])
        for name, row in domains.items()
        if row["lines"] >= 10_000
    }
    state = counted["state_bytes_per_form"]
    ordered = sorted(sizes, key=lambda name: sizes[name])
    cases = {"median": ordered[len(ordered) // 2], "largest": ordered[-1]}
    return {
        "exact_minutes": round(HUNDRED_MILLION / counted["lines"] * counted["seconds"] / 60, 1),
        "cases": {
            case: {
                "domain": name,
                "normal_forms": sizes[name],
                "exact_state_megabytes": round(sizes[name] * state / 2**20, 1),
                "near_megabytes": round(sizes[name] * merged["bytes_per_form"] / 2**20, 1),
                "near_minutes": round(sizes[name] / merged["forms_per_second"] / 60, 1),
            }
            for case, name in cases.items()
        },
    }


def _peak() -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"peak_megabytes": round(max(own, workers) / 1024)}


def _alone(work: Callable[..., dict[str, float]], *given: Any) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def main() -> None:
    """Runs the benchmark."""
    options = arguments(__doc__, "deduplication.json").parse_args()
    logs = {name: [str(log) for log in find_files(name, options.data).logs] for name in DOMAINS}
    logs = {name: found for name, found in logs.items() if found}
    if not logs:
        sys.exit(f"no raw logs in {options.data}")
    with tempfile.TemporaryDirectory() as folder:
        forms = str(Path(folder) / "forms.parquet")
        everything = [log for found in logs.values() for log in found]
        counted = {n: _alone(exact, everything, forms, n) for n in (1, 2)}
        table = pl.read_parquet(forms)
        counted[1]["state_bytes_per_form"] = round(table.estimated_size() / len(table))
        statements = str(options.data / "statements" / "statements.csv.gz")
        merged = near_costs(*(_alone(near, forms, statements, share) for share in (0.5, 1.0)))
    domains = {name: growth(found) for name, found in logs.items()}
    result = {
        "benchmark": "deduplication",
        "files": {Path(log).name: sha256(Path(log)) for log in everything if Path(log).is_file()},
        "exact": {f"{n}_processes": row for n, row in counted.items()},
        "near": merged,
        "growth": domains,
        "per_100_million_lines": reckon(domains, counted[1], merged),
    }
    for n, row in counted.items():
        print(f"{n} process(es): {row['lines']:,} lines, {row['lines'] / row['seconds']:,.0f} lines/s, {row}")
    print(f"near: {merged}\nper 100 million lines: {result['per_100_million_lines']}")
    write(options.out, result)


if __name__ == "__main__":
    main()
