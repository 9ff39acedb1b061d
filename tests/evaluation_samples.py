"""Results, tasks and a small data folder for tests of evaluation."""

import gzip
import hashlib
from pathlib import Path

from checkpoints import TINY

from biglog.evaluation.results import Figure, ModelResults, TaskResult
from biglog.evaluation.tasks.reading import Task

ROW = TaskResult(
    task="anomaly/bgl-windows-20",
    task_version=1,
    split="the rest",
    protocol="unsupervised",
    ground_truth_version="alert column",
    data={"bgl.log": "0" * 64},
    metrics={"f1": Figure(0.5), "average_precision": Figure(0.25, 0.125, 3)},
    main_metric="f1",
    seeds=[0, 1, 2],
    lines=100,
    wall_seconds=2.0,
)
RESULTS = ModelResults("mine", "encoder", (ROW,), source=str(TINY), revision="abc", parameters=10)

BGL = "anomaly/bgl/BGL_100k.log.gz"
_LINE = "{label} 1117838570 2005.06.03 R02-M1-N0 2005-06-03-15.42.50.363779 R02-M1-N0 RAS {text}"
_NORMAL = ("KERNEL INFO instruction cache parity error corrected", "KERNEL INFO generating core.{n}")
_ALERT = "KERNEL FATAL data TLB error interrupt failure"
LINES = 20_000


def write_bgl(folder: Path) -> dict[str, str]:
    """Writes lines as of BGL, one window of the test an alert; returns its checksum by path."""
    rows = [_LINE.format(label="-", text=_NORMAL[n % 2].format(n=n)) for n in range(LINES)]
    for n in (15_000, 15_001, 18_005):
        rows[n] = _LINE.format(label="KERNDTLB", text=_ALERT)
    path = folder / BGL
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(rows).encode(), mtime=0))
    return {BGL: hashlib.sha256(path.read_bytes()).hexdigest()}


def windows_task(files: dict[str, str], **changed: object) -> Task:
    """A task of windows of these lines."""
    told = {
        "id": "anomaly/bgl-windows-20",
        "version": 1,
        "title": "windows",
        "kind": "anomaly",
        "dataset": "made",
        "files": files,
        "domains": ("BGL",),
        "split": "the rest",
        "protocol": "unsupervised",
        "ground_truth_version": "alert column",
        "metrics": ("f1", "average_precision"),
        "main_metric": "f1",
        "baselines": ("new-event", "event-set", "isolation-forest"),
        "measure": "windows",
        "options": {"domain": "BGL", "window_lines": 20},
        "seeds": (0, 1),
        "tested": (f"{BGL}#14601-",),
    }
    return Task(**(told | changed))
