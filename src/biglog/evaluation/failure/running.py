"""All of failure prediction in one result, with what it was made of."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from biglog.data.executors import LocalExecutor
from biglog.data.tables.build import build
from biglog.errors import InputError
from biglog.evaluation.failure.classes import EXPERIMENTS, evaluate_hadoop, evaluate_openstack
from biglog.evaluation.failure.in_time import evaluate_bgl, evaluate_hpc
from biglog.evaluation.failure.systems import Encoders, Say

SCHEMA: Final = "biglog-failure/1"
PARTS: Final = ("HPC", "BGL", "Hadoop", "OpenStack")

OPENSTACK: Final = "anomaly/openstack_failures"
FILES: Final = {
    "HPC": ("raw/HPC/HPC.log.gz", "anomaly/hpc_failures/node_state_changes.csv"),
    "BGL": ("anomaly/bgl/BGL_100k.log.gz",),
    "Hadoop": ("anomaly/hadoop/Hadoop.zip",),
    "OpenStack": tuple(
        f"{OPENSTACK}/{name}/{file}" for name in EXPERIMENTS for file in ("SEQ.tsv", "Failure_Labels.txt")
    ),
}
"""The data of each part."""


def evaluate_failure(
    folder: Path,
    encoders: Encoders,
    seeds: Sequence[int],
    parts: Sequence[str] = PARTS,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Scores failure prediction.

    Args:
        folder: The data.
        encoders: The encoder of a domain and a seed, which must not have seen the domain.
        seeds: Of encoders, methods, and folds where there are any.
        parts: Of `PARTS`.
        say: Is told what was done.

    Returns:
        What a result file holds, without hardware and versions.

    Raises:
        InputError: Data are missing or damaged.
    """
    missing = [file for part in parts for file in FILES[part] if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{missing[0]} is missing", where=folder, remedy="Name the data's folder: --data")
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "seeds": list(seeds),
        "checksums": {file: _sha256(folder / file) for part in parts for file in FILES[part]},
    }
    with tempfile.TemporaryDirectory(prefix="biglog-") as place:
        for part in parts:
            if part == "OpenStack":
                result[part] = evaluate_openstack(folder / OPENSTACK, encoders, seeds, say)
                continue
            out = Path(place) / part
            tables = ("lines", "failures")
            built = Path(build(part, folder, out, tables=tables, executor=LocalExecutor(1)).folder)
            if part == "HPC":
                result[part] = evaluate_hpc(built, folder, encoders, seeds, say)
            elif part == "BGL":
                result[part] = evaluate_bgl(built, encoders, seeds, say)
            else:
                result[part] = evaluate_hadoop(built, encoders, seeds, say)
    return result


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
