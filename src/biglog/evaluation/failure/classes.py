"""Kinds of failure: Hadoop's applications by the beginning of their logs, OpenStack's by counts of events.

No setting is chosen here, so there is no validation data: every method is as it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from biglog.data.tables.failures import PREFIXES
from biglog.errors import InputError
from biglog.evaluation.failure.in_time import read_table
from biglog.evaluation.failure.systems import OF_CLASSES, OF_PREFIXES, Encoders, Say, System, means
from biglog.metrics.detection import confusion, macro_f1
from biglog.tasks.failure.histories import Encode, Histories, histories
from biglog.tasks.failure.predictors import Predictor
from biglog.tasks.groups import Floats

FOLDS: Final = 5
NORMAL: Final = "Normal"

EXPERIMENTS: Final = {"DEPL": "6", "NET": "4", "STO": "4"}
"""OpenStack's experiments, and the class of those without failure."""

NOTHING: Final = "no event"
"""The one line of an experiment without events."""


def evaluate_hadoop(built: Path, encoders: Encoders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Tells the fault of an application from the first part of each container's log.

    Folds are of applications, stratified by fault; all containers of one are in one fold. A seed draws the
    folds anew, and is that of the encoder and the method.

    Args:
        built: Folder of the built domain.
        encoders: See the type.
        seeds: See above.
        say: Is told what was done.

    Returns:
        `rows`, and by share of the log and system: `containers` and `applications` (an application has the
        class of the highest mean probability over its containers), each `macro_f1` and `binary_f1`.
    """
    table = read_beginnings(built)
    prefixes: dict[str, Any] = {}
    found: dict[str, Any] = {
        "folds": FOLDS,
        "prefixes": prefixes,
        "rows": {
            "containers": table["group_id"].n_unique(),
            "applications": table["application"].n_unique(),
            "faults": dict(
                table.group_by("label").agg(pl.col("application").n_unique()).sort("label").iter_rows()
            ),
        },
    }
    for number, share in enumerate(PREFIXES):
        mine = table.filter(pl.col("prefix") == number)
        seen = {seed: histories(mine, encode=encoders("Hadoop", seed)) for seed in seeds}
        told: dict[str, Any] = {}
        for system in OF_PREFIXES:
            runs = [by_application(system, seen[seed], mine, seed) for seed in seeds]
            told[system.name] = {"means": means(runs), "runs": runs}
            score = told[system.name]["means"]
            say(
                f"Hadoop {share:.0%}, {system.name}: macro-F1 {score['containers']['macro_f1']['mean']:.3f}, "
                f"applications {score['applications']['macro_f1']['mean']:.3f}"
            )
        prefixes[f"{share:g}"] = told
    return found


def read_beginnings(built: Path) -> pl.DataFrame:
    """Reads the beginnings of Hadoop's container logs.

    Args:
        built: Folder of the built domain.

    Returns:
        The table of failures, with `application`, `prefix` (which of `PREFIXES` it is) and times.
    """
    table = read_table(built, "failures").with_columns(
        application=pl.col("group_id").str.split("/").list.first()
    )
    lines = read_table(built, "lines").select("line_id", "timestamp")
    table = table.sort("group_id", pl.col("line_ids").list.len(), maintain_order=True)
    return _on_time(table.with_columns(prefix=pl.int_range(pl.len()).over("group_id")), lines)


def _on_time(table: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Adds the times of lines; where the clock of a log goes back, a line is as late as the latest before."""
    flat = table.select(pl.int_range(pl.len()).alias("row"), "line_ids").explode("line_ids")
    times = flat.join(lines, left_on="line_ids", right_on="line_id", how="left", maintain_order="left")
    lists = times.with_columns(pl.col("timestamp").cum_max().over("row")).group_by("row", maintain_order=True)
    timed = table.with_columns(lists.agg(times="timestamp")["times"])
    return timed.with_columns(time=pl.col("times").list.last())


def by_application(system: System, seen: Histories, table: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Scores a system by folds of applications."""
    labels = table["label"].to_numpy().astype(str)
    applications = table.group_by("application", maintain_order=True).agg(pl.first("label"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    classes = np.unique(labels)
    proba = np.zeros((len(labels), len(classes)))
    for _, test in folds.split(applications, applications["label"].to_numpy().astype(str)):
        held = table["application"].is_in(applications["application"].gather(test).implode()).to_numpy()
        proba[held] = _probabilities(system, seen, labels, classes, ~held, held, seed)
    names, place = np.unique(table["application"].to_numpy().astype(str), return_inverse=True)
    votes = np.zeros((len(names), len(classes)))
    np.add.at(votes, place, proba)
    truth = np.empty(len(names), dtype=labels.dtype)
    truth[place] = labels
    return {
        "containers": _scores(labels, classes[proba.argmax(axis=1)], NORMAL),
        "applications": _scores(truth, classes[votes.argmax(axis=1)], NORMAL),
    }


def _probabilities(
    system: System,
    seen: Histories,
    labels: NDArray[Any],
    classes: NDArray[Any],
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    seed: int,
) -> Floats:
    """Probabilities of the classes, of what was not learnt from."""
    method, blocks = system.settings[0]
    predictor = Predictor(method, blocks, seed).fit(seen.take(np.flatnonzero(train)), labels[train])
    proba = np.zeros((int(test.sum()), len(classes)))
    proba[:, np.searchsorted(classes, predictor.classes_)] = predictor.predict_proba(
        seen.take(np.flatnonzero(test))
    )
    return proba


def _scores(truth: NDArray[Any], told: NDArray[Any], normal: str) -> dict[str, float]:
    return {
        "macro_f1": macro_f1(truth, told),
        "binary_f1": confusion(truth != normal, told != normal).f1,
        "accuracy": float(np.mean(truth == told)),
    }


def read_experiments(folder: Path) -> tuple[pl.DataFrame, NDArray[Any]]:
    """Reads the experiments of a service.

    Args:
        folder: Has SEQ.tsv, counts of events, and Failure_Labels.txt.

    Returns:
        Counts, one row an experiment, and the class of each.

    Raises:
        InputError: They cannot be read, or are not of equal length.
    """
    try:
        counts = pl.read_csv(folder / "SEQ.tsv", separator="\t")
        labels = (folder / "Failure_Labels.txt").read_text(encoding="utf-8").split()
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = f"it cannot be read ({str(error).splitlines()[0]})"
        raise InputError(problem, where=folder, remedy="It has SEQ.tsv and Failure_Labels.txt") from error
    if len(labels) != len(counts):
        raise InputError(f"{len(labels)} labels for {len(counts)} experiments", where=folder)
    return counts, np.asarray(labels)


def experiments(counts: pl.DataFrame, encode: Encode) -> Histories:
    """Makes histories of counts: each event is a line as often as it was counted, in no order.

    Args:
        counts: One row an experiment, a column an event.
        encode: Embeds the names of events, their words apart. Numbers in them are not masked: they are
            status codes.
    """
    names = counts.columns
    lists = [
        [name for name, count in zip(names, row, strict=True) for _ in range(count)] or [NOTHING]
        for row in counts.iter_rows()
    ]
    table = pl.DataFrame(
        {
            "group_id": [str(row) for row in range(len(lists))],
            "time": [0.0] * len(lists),
            "normal_forms": lists,
            "times": [[0.0] * len(events) for events in lists],
        }
    )
    return histories(table, encode=lambda forms: encode(forms.str.replace_all(r"[^A-Za-z0-9]+", " ")))


def evaluate_openstack(folder: Path, encoders: Encoders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Tells the kind of failure from counts of events, in 5 stratified folds; a seed draws them anew.

    Many experiments have equal counts. So `unseen` has the scores of those whose counts no experiment of the
    training has.

    Args:
        folder: Has a folder for each of `EXPERIMENTS`.
        encoders: See the type.
        seeds: See above.
        say: Is told what was done.
    """
    found: dict[str, Any] = {}
    for name, normal in EXPERIMENTS.items():
        counts, labels = read_experiments(folder / name)
        identity = counts.hash_rows().to_numpy()
        seen = {seed: experiments(counts, encoders("OpenStack", seed)) for seed in seeds}
        rows = {"experiments": len(labels), "events": counts.width, "distinct": len(np.unique(identity))}
        told: dict[str, Any] = {}
        found[name] = {"rows": rows, "systems": told}
        for system in OF_CLASSES:
            runs = [by_experiment(system, seen[seed], labels, identity, normal, seed) for seed in seeds]
            told[system.name] = {"means": means(runs), "runs": runs}
            score = means(runs)
            say(
                f"OpenStack {name}, {system.name}: accuracy {score['accuracy']['mean']:.3f}, "
                f"macro-F1 {score['macro_f1']['mean']:.3f}, unseen {score['unseen']['macro_f1']['mean']:.3f}"
            )
    return found


def by_experiment(
    system: System,
    seen: Histories,
    labels: NDArray[Any],
    identity: NDArray[np.uint64],
    normal: str,
    seed: int,
) -> dict[str, Any]:
    """Scores a system by folds of experiments; `identity` tells equal counts, `normal` is no failure."""
    classes = np.unique(labels)
    proba = np.zeros((len(labels), len(classes)))
    new = np.zeros(len(labels), dtype=bool)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels):
        held = np.zeros(len(labels), dtype=bool)
        held[test] = True
        proba[held] = _probabilities(system, seen, labels, classes, ~held, held, seed)
        new[test] = ~np.isin(identity[test], identity[train])
    told = classes[proba.argmax(axis=1)]
    unseen = {"experiments": int(new.sum()), **_scores(labels[new], told[new], normal)}
    return {**_scores(labels, told, normal), "unseen": unseen}
