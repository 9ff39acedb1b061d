"""What studies need of training and inference: encoders by fold and seed, and variants trained and probed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog.data.run_facts import read_json, write_json
from biglog.data.statements import read_statements, split_statements
from biglog.errors import InputError
from biglog.evaluation.ablation import Plan, flat_probes
from biglog.evaluation.anomaly.systems import Embedders
from biglog.evaluation.probes.labelled import read_events
from biglog.inference.encoder import LogEncoder
from biglog.tasks.anomaly.known import Encode
from biglog.training.arguments import PretrainArguments
from biglog.training.folds import folds
from biglog.training.pretrain import pretrain

_COLD_LINES: Final = 4000
_COLD_ROUNDS: Final = 3


def fold_embedders(models: Path, minilm_cache: Path | None) -> Embedders:
    """Returns ways to embed, ours by checkpoints of `recipes/leave_domains_out.py`.

    Args:
        models: Folder of them: `foldF-seedS/foldF-seedS`.
        minilm_cache: Keeps vectors of MiniLM; None keeps none.
    """

    @cache
    def ours(domain: str, seed: int) -> Encode:
        fold = next(number for number, left_out in enumerate(folds()) if domain in left_out)
        name = f"fold{fold}-seed{seed}"
        folder = models / name / name
        if not folder.is_dir():
            remedy = "Train it: python recipes/leave_domains_out.py"
            raise InputError(f"no encoder that left {domain} out", where=folder, remedy=remedy)
        return LogEncoder.from_pretrained(folder).encode_normal_forms

    return Embedders(ours, minilm_cache)


def trained_variants(
    plan: Plan, base: Path, runs: Path
) -> Callable[[str, Mapping[str, object], int], Mapping[str, Any]]:
    """Returns what trains and probes a variant of a recipe; a finished one is not trained again.

    Args:
        plan: Says what is left out, and how many steps.
        base: The recipe that is changed.
        runs: Folder of the runs.
    """
    recipe = PretrainArguments.from_yaml(base, max_steps=plan.steps)
    recipe = replace(recipe, leave_out=plan.leave_out, record_path=None, eval_steps=0, resume=False)
    tables = [read_statements(path) for path in recipe.statement_paths]
    learnt = split_statements(pl.concat(tables))["train"]

    def train(name: str, changes: Mapping[str, object], seed: int) -> Mapping[str, Any]:
        rest = dict(changes)
        share = rest.pop("share", 1.0)
        if not isinstance(share, float) or not 0 < share <= 1:
            raise InputError(f"the share of {name!r} is {share!r}", remedy="Give more than 0, at most 1")
        arguments = recipe.changed(rest | {"seed": seed})
        if share < 1:
            arguments = _reduced(arguments, tables, share, runs)
        digest = hashlib.sha256(json.dumps(arguments.to_dict(), sort_keys=True).encode()).hexdigest()
        return _measured(replace(arguments, output_path=str(runs / digest[:12])), learnt)

    return train


def _reduced(
    arguments: PretrainArguments, tables: Sequence[pl.DataFrame], share: float, runs: Path
) -> PretrainArguments:
    """Takes a share of each domain's forms and of the statements; what is left over is held out."""
    part = pl.concat([table.sample(fraction=share, seed=0, shuffle=False) for table in tables])
    path = runs / f"statements-{share:g}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    part.write_parquet(temporary)
    temporary.replace(path)
    held_out = 1 - (1 - arguments.held_out_share) * share
    return replace(arguments, statements=(str(path.resolve()),), held_out_share=held_out)


def _measured(arguments: PretrainArguments, statements: pl.DataFrame) -> Mapping[str, Any]:
    """Trains and probes, unless that was done."""
    folder = Path(arguments.output_path)
    told, record = folder / "study.json", folder / "record.json"
    made = read_json(record) if record.is_file() else pretrain(arguments)
    origin = {"origin": _origin(made, Path(arguments.data_root), arguments.leave_out)}
    if told.is_file():
        return read_json(told) | origin
    model = folder / arguments.name
    encoder = LogEncoder.from_pretrained(model)
    probes = flat_probes(
        encoder.encode,
        encoder.encode_normal_forms,
        Path(arguments.data_root),
        arguments.leave_out,
        statements,
    )
    facts = {
        "training_forms": float(made["data"]["train_normal_forms"]),
        "parameters": float(made["model"]["encoder_parameters"]),
        "cpu_seconds": float(made["training"]["cpu_seconds"]),
        "cold_lines_per_cpu_second": _cold(model, statements["template"]),
    }
    found = {"probes": probes, "facts": facts}
    write_json(told, found)
    return found | origin


def _origin(record: Mapping[str, Any], data: Path, probed: Sequence[str]) -> dict[str, Any]:
    """What a run has learnt from, and what it is probed on."""
    labelled = read_events(data, probed)
    files = {source["file"]: source["sha256"] for source in record["data"]["sources"]} | labelled.files
    return {
        "files": files,
        "ground_truth_versions": labelled.versions,
        "fingerprint": record["data"]["fingerprint"],
    }


def _cold(model: Path, templates: pl.Series) -> float:
    """Lines that an encoder reads in a CPU second if it knows none of them: the median of rounds."""
    texts = templates.drop_nulls().unique().sort().sample(_COLD_LINES, seed=0).to_list()
    speeds = []
    for _ in range(_COLD_ROUNDS):
        encoder = LogEncoder.from_pretrained(model)
        encoder.encode(["warm up"])
        started = time.process_time()
        encoder.encode(texts)
        speeds.append(len(texts) / (time.process_time() - started))
    return float(np.median(speeds))
