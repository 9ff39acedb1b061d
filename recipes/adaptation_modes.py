"""Compares modes of adaptation (frozen, LoRA, full): quality, parameters, time, over seeds.

Example: python recipes/adaptation_modes.py --models runs/last --seeds 0 1 2

Heads that are run alone replace those of the result that is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.adaptation_tasks import TASKS, Task
from biglog.training.adaptation.heads import find_base
from biglog.training.adaptation.modes import MAIN, SETTINGS, Trial, compare_modes
from biglog.training.adaptation.tables import Table
from biglog.training.folds import folds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    data = Path(os.environ.get("BIGLOG_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--models", type=Path, required=True, help="folder of foldF-seedS/foldF-seedS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--heads", nargs="+", default=["sequence", "token", "window"])
    parser.add_argument("--epochs", type=float, help="in place of the settings'")
    parser.add_argument("--out", type=Path, default=Path("results/adaptation_modes.json"))
    given, groups = parser.parse_args(), tuple(folds())

    def trials(task: Task, seed: int) -> Iterator[Trial]:
        for part in task.parts(given.data, seed, groups):
            name = f"fold{next(n for n, out in enumerate(groups) if part.left_out in out)}-seed{seed}"
            tables = [Table(rows, task.text, "", "") for rows in (part.learnt, *part.tested.values())]
            yield Trial(find_base(str(given.models / name / name), task.head), tables[0], tables[1:])

    found = read_json(given.out)["tasks"] if given.out.exists() else {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, task in TASKS.items():
                if task.head in given.heads:
                    compared = compare_modes(
                        task.head, partial(trials, task), given.seeds, folder, epochs=given.epochs, say=_say
                    )
                    found[name] = {"head": task.head, "protocol": task.protocol} | compared
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    settings = {mode: told.to_dict() for mode, told in SETTINGS.items()}
    facts = {"hardware": hardware(), "versions": versions(), "git": git_state(), "seeds": given.seeds}
    told = {"schema": "biglog-adaptation-modes/1", "main_metric": MAIN, "settings": settings, "tasks": found}
    write_json(given.out, told | facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
