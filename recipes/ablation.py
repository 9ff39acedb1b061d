"""What each objective of pretraining is worth: the same recipe with one thing changed, on the frozen probes.

Example: python recipes/ablation.py --config recipes/configs/ablation/mini.yaml

Domains that are probed are left out of every run. Runs that are finished are not run again, nor probed
again. Several of these commands may share the variants (`--variants`); the last one, without, tells of all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl

from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.data.statements import read_statements, split_statements
from biglog.errors import BigLogError, InputError
from biglog.evaluation.ablation import flat_probes, mean_of, read_plan
from biglog.inference.encoder import LogEncoder
from biglog.training.arguments import PretrainArguments
from biglog.training.pretrain import pretrain


def measured(arguments: PretrainArguments, statements: pl.DataFrame) -> dict[str, object]:
    """Trains and probes, unless that was done."""
    folder = Path(arguments.output_path)
    done, told = folder / "record.json", folder / "probes.json"
    if told.is_file():
        return read_json(told)
    record = read_json(done) if done.is_file() else pretrain(arguments)
    encoder = LogEncoder.from_pretrained(folder / arguments.name)
    root, tested = Path(arguments.data_root), arguments.leave_out
    probes = flat_probes(encoder.encode, encoder.encode_normal_forms, root, tested, statements)
    known = record["evaluation"].get("average_over_left_out_domains", {}).get("model", {})
    language = {
        f"masked tokens, {name}": known[name] for name in ("accuracy", "bits_per_byte") if name in known
    }
    found = {"probes": probes | language, "cpu_seconds": record["training"]["cpu_seconds"]}
    write_json(told, found)
    return found


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default="recipes/configs/ablation/mini.yaml")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--out", type=Path, default=Path("results/pretraining_ablation.json"))
    parser.add_argument("--variants", nargs="+", help="only these, and no result")
    options = parser.parse_args()
    try:
        plan = read_plan(options.config)
        base = PretrainArguments.from_yaml(options.config.parent / plan.base, max_steps=plan.steps)
        base = replace(base, leave_out=plan.leave_out, record_path=None, eval_steps=0, resume=False)
        tables = pl.concat([read_statements(path) for path in base.statement_paths])
        learnt, variants = split_statements(tables)["train"], {}
        unknown = set(options.variants or ()) - set(plan.variants)
        if unknown:
            raise InputError(f"no variant is called {min(unknown)}", where=options.config)
        for name in options.variants or plan.variants:
            variant, runs = plan.variants[name], []
            for seed in plan.seeds:
                changed = base.changed(variant.changes | {"seed": seed})
                # Another plan has folders of its own: a finished run of other steps is none of this one.
                digest = hashlib.sha256(json.dumps(changed.to_dict(), sort_keys=True).encode()).hexdigest()
                folder = options.runs / f"{name.replace(' ', '-')}-{seed}-{digest[:8]}"
                runs.append(measured(replace(changed, output_path=str(folder)), learnt))
                print(f"{name}, seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
            variants[name] = {"what": variant.what} | mean_of(runs)
        if options.variants:
            return 0
        told = plan.as_dict() | {"variants": variants, "hardware": hardware(), "versions": versions()}
        write_json(options.out, told | {"git": git_state()})
    except BigLogError as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
