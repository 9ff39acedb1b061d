"""Results of made-up models: ties, deviations, other protocols, other data, and names that mean harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from biglog.evaluation.results import Figure, ModelResults, TaskResult, write_results

BGL = {"anomaly/bgl/BGL_100k.log.gz": "41ec22b8"}
ONE_CLASS = "one-class: learnt from normal windows of the first 14,600 lines; threshold of the method's own"
HOSTILE = '<img src=x onerror="window.owned=1"> | **[x](javascript:alert(1))** `'


def row(task: str, main: str, *figures: tuple[str, float, float], **fields: object) -> TaskResult:
    """A row with three seeds; `figures` are name, mean and deviation."""
    metrics = {name: Figure(mean, sd, 3 if sd else 1) for name, mean, sd in figures}
    given = {"split": "test", "protocol": ONE_CLASS, "ground_truth_version": "alert column", "data": BGL}
    told = {"seeds": [0, 1, 2], "exposure": "none", "lines": 38_000, "wall_seconds": 4.5} | fields
    return TaskResult(task=task, task_version=1, metrics=metrics, main_metric=main, **given | told)


def detection(mean: float, sd: float = 0.0, f1: float | None = None, **fields: object) -> TaskResult:
    more = () if f1 is None else (("f1", f1, sd / 2),)
    return row(
        "anomaly/bgl-windows-20", "average_precision", ("average_precision", mean, sd), *more, **fields
    )


def parsing(domain: str, ga: float, pa: float, version: str, sd: float = 0.0, **fields: object) -> TaskResult:
    told = {"protocol": "zero-shot", "ground_truth_version": version, "data": {}} | fields
    figures = (("GA", ga, sd), ("PA", pa, sd), ("FGA", ga - 0.05, sd), ("FTA", pa - 0.07, sd))
    return row(f"parsing/{domain}", "GA", *figures, **told)


def alarms(mean: float, recall: float) -> TaskResult:
    figures = (("false_alarms_per_day", mean, 0.0), ("recall_at_lead_time", recall, 0.0))
    return row("failure/bgl-in-time", "false_alarms_per_day", *figures, protocol="in time")


def models() -> list[ModelResults]:
    """Results of six models."""
    told = {"date": "2026-11-20", "source": "acme/biglog", "url": "https://example.org/biglog"}
    mini = (
        detection(0.9412, 0.004, 0.871, exposure="left_out"),
        detection(0.958, 0.002, 0.9, protocol="supervised", exposure="seen"),
        parsing("apache", 1.0, 0.98, "loghub-2.0", exposure="left_out"),
        parsing("hdfs", 0.975, 0.93, "loghub-2.0", 0.006, exposure="left_out"),
        parsing("hdfs", 0.981, 0.951, "logparser-corrected", 0.006, exposure="seen"),
        alarms(0.42, 0.61),
    )
    large = (
        detection(0.9391, 0.003, 0.88, exposure="seen"),
        parsing("hdfs", 0.981, 0.94, "loghub-2.0", 0.004),
    )
    drain = (parsing("apache", 1.0, 0.69, "loghub-2.0"), parsing("hdfs", 0.9, 0.36, "loghub-2.0"))
    trivial = (
        detection(0.7013, 0.0, 0.66),
        detection(0.913, 0.0, 0.87, protocol="supervised"),
        parsing("hdfs", 0.61, 0.2, "loghub-2.0"),
        alarms(1.9, 0.35),
    )
    forest = (detection(0.9391, 0.012, 0.84), alarms(0.77, 0.58))
    other = (detection(0.99, 0.0, data={"anomaly/bgl/BGL_100k.log.gz": "another"}),)
    return [
        ModelResults("biglog-mini", "encoder", mini, parameters=2_055_872, **told),
        ModelResults("biglog-base", "encoder", large, parameters=109_482_240, **told),
        ModelResults("drain3", "system", drain, date="2026-11-19"),
        ModelResults("counts of events", "baseline", trivial, date="2026-11-19"),
        ModelResults("TF-IDF + isolation forest", "baseline", forest, date="2026-11-19"),
        ModelResults(HOSTILE, "system", other, parameters=999),
    ]


def write_models(folder: Path, given: list[ModelResults] | None = None) -> Path:
    """Writes each model's results into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for at, one in enumerate(given or models()):
        write_results(folder / f"model-{at}.json", one)
    return folder


def renamed(one: ModelResults, name: str) -> ModelResults:
    return replace(one, name=name)
