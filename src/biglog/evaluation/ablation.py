"""Frozen probes of one checkpoint as a few flat numbers, so that many recipes can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from biglog.errors import InputError
from biglog.evaluation.probes.alerts import unseen_alerts
from biglog.evaluation.probes.events import few_shot_events
from biglog.evaluation.probes.labelled import read_alerts, read_events, read_levels
from biglog.evaluation.probes.severity import (
    auc,
    severity_from_statements,
    severity_sets,
    statement_forms,
)
from biglog.evaluation.probes.vectors import Embed

SCHEMA = "biglog-ablation/1"

STATEMENTS = 10_000
"""Statements that the head of the severity probe learns from."""


def flat_probes(
    contents: Embed, forms: Embed, folder: Path, tested: Sequence[str], statements: pl.DataFrame | None = None
) -> dict[str, float]:
    """Runs the probes on domains that a checkpoint has not seen.

    Args:
        contents: Embeds contents.
        forms: Embeds normal forms.
        folder: The data.
        tested: Domains that were left out.
        statements: Columns template and level, for the probe of severity; None leaves it out.

    Returns:
        Accuracy of 1-shot and 5-shot events, of novel keys, F1 and average precision of unseen alerts (if BGL
        is among the tested), AUC of severity learnt from statements.
    """
    events = few_shot_events(contents, read_events(folder).lines, tested=tested)
    found = {
        f"{shots}-shot {name}": row[f"per_domain_{key}"]["mean"]
        for shots, row in events.items()
        for name, key in (("events", "accuracy"), ("novel keys", "novel"))
    }
    alerts = read_alerts(folder).lines
    if "BGL" in tested:
        unseen = unseen_alerts(contents, alerts)
        found |= {"unseen alerts, F1": unseen["f1"]["mean"]}
        found |= {"unseen alerts, AP": unseen["average_precision"]["mean"]}
    if statements is not None:
        found |= _severity(forms, folder, tested, statements, alerts)
    return {name: float(value) for name, value in found.items() if value is not None}


def _severity(
    forms: Embed, folder: Path, tested: Sequence[str], statements: pl.DataFrame, alerts: pl.DataFrame
) -> dict[str, Any]:
    sets = severity_sets(read_levels(folder).lines, alerts)
    learnt = statement_forms(statements, sets["normal_form"].to_list(), most=STATEMENTS)
    scored = severity_from_statements(forms, learnt, sets, tested=tested)
    areas = [float(area[0]) for area in auc(scored, draws=1).values()]
    return {"severity, AUC": sum(areas) / len(areas)} if areas else {}


@dataclass(frozen=True)
class Variant:
    """One changed recipe.

    Attributes:
        what: What is changed, in words.
        changes: Arguments of the run that differ.
    """

    what: str
    changes: dict[str, object]


@dataclass(frozen=True)
class Plan:
    """An ablation, as its YAML file says.

    Attributes:
        base: File of the recipe that is changed, beside this one.
        leave_out: Domains that no run sees and that are probed.
        steps: Of every run.
        seeds: Of every variant.
        variants: By name; the first is the recipe itself.
    """

    base: str
    leave_out: tuple[str, ...]
    steps: int
    seeds: tuple[int, ...]
    variants: dict[str, Variant]

    def as_dict(self) -> dict[str, Any]:
        """Returns what a result says of it, the variants left to be filled in."""
        return {
            "schema": SCHEMA,
            "base": self.base,
            "steps": self.steps,
            "fold": list(self.leave_out),
            "seeds": list(self.seeds),
        }


def read_plan(path: Path) -> Plan:
    """Reads an ablation's YAML file.

    Raises:
        InputError: It cannot be read, or lacks something.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan(
            base=str(given["base"]),
            leave_out=tuple(given["leave_out"]),
            steps=int(given["steps"]),
            seeds=tuple(int(seed) for seed in given["seeds"]),
            variants={
                name: Variant(row["what"], dict(row["set"])) for name, row in given["variants"].items()
            },
        )
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    except KeyError as error:
        raise InputError(f"it lacks {error}", where=path) from error
    except (yaml.YAMLError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"it is no ablation: {' '.join(str(error).split())}", where=path) from error


def mean_of(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Averages runs of one variant: each probe, and the CPU seconds."""
    names = runs[0]["probes"].keys()
    return {
        "probes": {name: sum(run["probes"][name] for run in runs) / len(runs) for name in names},
        "cpu_seconds": sum(run["cpu_seconds"] for run in runs) / len(runs),
    }
