"""A whole run: tables in; out comes a folder with model or adapter, tokenizer, card and record."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from transformers.utils import logging as transformers_logging

from biglog.checkpoints.quiet import quiet
from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.errors import InputError, OutputError
from biglog.logs.masking import MASKING_VERSION
from biglog.training.adaptation.adapters import save_adapter
from biglog.training.adaptation.arguments import FREE_ON_RESUME, AdaptArguments
from biglog.training.adaptation.card import render_card
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.fitting import Fitted, Progress, fit
from biglog.training.adaptation.heads import CLASSES, find_base, head_classes
from biglog.training.adaptation.ordinary import CHECKPOINTS
from biglog.training.adaptation.reading import read_examples
from biglog.training.adaptation.tables import Table, read_tables

SCHEMA: Final = "biglog-adaptation/1"
RECORD: Final = "adaptation.json"
"""Record of a run, written last: a folder that has it is whole."""

_RUN: Final = "run.json"
_RESULT: Final = ".result.tmp"


def adapt(arguments: AdaptArguments, progress: Progress = None) -> dict[str, Any]:
    """Adapts a model and writes the result with its record.

    Args:
        arguments: What to do. All goes to `output_path`.
        progress: Called with how many steps of how many; of frozen, cached training alone.

    Returns:
        The record.

    Raises:
        InputError: Data or arguments cannot be used, or training diverged.
        CheckpointError: The model cannot be used.
        OutputError: The result cannot be written.
    """
    code, folder = git_state(), Path(arguments.output_path)
    last = _last_checkpoint(folder, resume=arguments.resume)
    base = find_base(arguments.model, arguments.head)
    wanted = head_classes(base, arguments)
    learnt_from, tested_on = read_tables(arguments)
    train = read_examples(learnt_from, arguments, wanted)
    held = read_examples(tested_on, arguments, train.classes) if len(tested_on.rows) else None
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    data = {"sha256": learnt_from.sha256, "held_out_sha256": tested_on.sha256}
    _begin(folder, arguments, data, last)
    fitted = fit(base, train, held, arguments, last, progress)
    if arguments.merge and arguments.uses_adapters:
        fitted.model = fitted.model.merge_and_unload()
    scores = None if held is None else fitted.scored(held)
    record = {
        "schema": SCHEMA,
        "name": arguments.name or folder.resolve().name,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **_told(fitted),
        "data": _data(arguments, learnt_from, tested_on, train, held),
        "held_out": scores,
        "git": code,
    }
    if _is_first_process():
        _write(folder, fitted, record)
        if arguments.record_path:
            write_json(Path(arguments.record_path), record)
    return record


def _told(fitted: Fitted) -> dict[str, Any]:
    """What a record says of training."""
    arguments, learnt = fitted.arguments, fitted.learnt
    free = {"output_path": None, "record_path": None}
    return {
        "head": arguments.head,
        "mode": arguments.mode,
        "merged": arguments.merge and arguments.uses_adapters,
        "base": fitted.base.name,
        "classes": list(fitted.classes),
        "arguments": arguments.to_dict() | free | {"learning_rate": arguments.rate},
        "masking_version": MASKING_VERSION,
        "seed": arguments.seed,
        "parameters": fitted.parameters,
        "training": {
            "steps": learnt.steps,
            "epochs": learnt.epochs,
            "best_epoch": learnt.best_epoch,
            "wall_seconds": fitted.seconds,
            "lines_per_second": fitted.lines / max(fitted.seconds, 1e-9),
            "curve": learnt.curve,
        },
        "before": fitted.before,
        "hardware": hardware(),
        "versions": versions() | {"peft": version("peft")},
    }


def _data(
    arguments: AdaptArguments, learnt: Table, tested: Table, train: Examples, held: Examples | None
) -> dict[str, Any]:
    own = arguments.eval_data is not None or arguments.eval_split is not None
    how = "the last rows" if arguments.group is None else f"the last groups by {arguments.group}"
    parts = {"learnt_from": (learnt, train), "held_out": (tested, held)}
    found: dict[str, Any] = {
        "split": "a table of its own"
        if own
        else how
        if arguments.time is None
        else f"{how} by {arguments.time}"
    }
    for name, (table, examples) in parts.items():
        found[name] = {
            "source": Path(table.source).name if Path(table.source).exists() else table.source,
            "sha256": table.sha256,
            "text": table.text,
            "rows": len(table.rows),
            "unlabelled_rows": table.unlabelled,
        }
        if examples is not None:
            counts = examples.class_counts()
            found[name] |= {
                "lines": examples.lines if arguments.head != "mlm" else len(table.rows),
                "normal_forms": len(examples.groups.forms),
                "distinct_examples": len(examples),
                "labels": dict(zip(examples.classes, map(int, counts), strict=True)),
            }
    return found


# -- the folder --


def _last_checkpoint(folder: Path, *, resume: bool) -> Path | None:
    """Returns the checkpoint to go on from, None for a fresh start.

    Raises:
        InputError: The folder holds a run, finished or not, that it should not.
    """
    steps = {int(path.name.rpartition("-")[2]): path for path in (folder / CHECKPOINTS).glob("checkpoint-*")}
    whole = {step: path for step, path in steps.items() if (path / "trainer_state.json").is_file()}
    if (folder / RECORD).is_file():
        problem = "this folder holds a result"
        raise InputError(problem, where=folder, remedy="Choose another output_path")
    if folder.is_dir() and not resume and any(folder.iterdir()) and not (folder / _RUN).is_file():
        raise InputError("this folder is in use", where=folder, remedy="Choose another output_path")
    if whole and not resume:
        remedy = "Add --resume to go on with it, or choose another output_path"
        raise InputError("this folder holds a run", where=folder, remedy=remedy)
    return whole[max(whole)] if whole else None


def _begin(folder: Path, arguments: AdaptArguments, data: dict[str, str], last: Path | None) -> None:
    """Writes down what a run is about, or compares a resumed one with what it began with."""
    told = {k: v for k, v in arguments.to_dict().items() if k not in FREE_ON_RESUME} | data
    if last is not None:
        earlier = read_json(folder / _RUN)
        changed = sorted(name for name in told if earlier.get(name) != told[name])
        if changed:
            listed = ", ".join(f"{n} (was {earlier.get(n)!r}, is {told[n]!r})" for n in changed)
            remedy = "Resume with the same, or choose another output_path"
            raise InputError(f"the run began with other arguments: {listed}", where=folder, remedy=remedy)
    elif _is_first_process():
        write_json(folder / _RUN, told)


def _write(folder: Path, fitted: Fitted, record: dict[str, Any]) -> None:
    """Writes the result under another name, moves it into place, and the record last."""
    temporary = folder / _RESULT
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with quiet():
            _save(temporary, fitted)
        (temporary / "README.md").write_text(render_card(record), encoding="utf-8")
        for file in sorted(temporary.iterdir()):
            file.chmod(0o644)  # weights are written readable for their owner only
            file.replace(folder / file.name)
        temporary.rmdir()
        write_json(folder / RECORD, record)
        (folder / _RUN).unlink(missing_ok=True)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"the result cannot be written ({error.strerror or error})", where=folder
        ) from error


def _save(folder: Path, fitted: Fitted) -> None:
    model, arguments = fitted.model, fitted.arguments
    if isinstance(model, CLASSES[arguments.head]):
        # Whoever trains it on should not find its encoder frozen.
        model.config.freeze_encoder = fitted.base.config.freeze_encoder
        model.save_pretrained(folder)
    else:
        save_adapter(model, folder, fitted.base, arguments, fitted.classes, fitted.probe)
    fitted.base.tokenizer.save_pretrained(folder)
    for source in folder.glob("*.py"):
        source.unlink()  # publishing adds the code of the version that publishes


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
