"""Probes of frozen line embeddings beside baselines, written to results/.

A model is scored on the domains that its record (`held_out_domains`) or the command says were left out;
where neither does, on all, marked in-domain. Repeat --model for folds and for training seeds.

Example: python recipes/probes.py --model runs/fold0=BGL,HDFS --model runs/fold1 --out results/folds.json
"""

import argparse
import os
import sys
from pathlib import Path

from biglog.checkpoints import checkpoint_path
from biglog.data.run_facts import git_state, hardware, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.probes import running
from biglog.evaluation.probes.rendering import render_probes
from biglog.inference.encoder import LogEncoder


def system(name: str, given: str) -> running.System:
    """A checkpoint as `FOLDER`, `FOLDER=DOMAIN,DOMAIN` or `embedded`."""
    path, _, named = given.partition("=")
    folder = checkpoint_path() if path == "embedded" else Path(path)
    encoder = LogEncoder.from_pretrained(folder)
    embed = {"contents": encoder.encode, "forms": encoder.encode_normal_forms}
    return running.checkpoint(name, folder, named, **embed)


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", action="append", default=[], help="FOLDER[=DOMAIN,...], or embedded")
    parser.add_argument("--name", default="biglog-mini", help="what tables call the models")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BIGLOG_DATA", "../shared/data")))
    parser.add_argument("--statements", type=Path, nargs="+", default=[], help="tables of log statements")
    parser.add_argument("--probes", nargs="+", default=running.PROBES, choices=running.PROBES)
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--kept", type=Path, default=Path.home() / ".cache" / "biglog" / "probes")
    parser.add_argument("--out", type=Path, default=Path("results/probes_biglog-mini.json"))
    given = parser.parse_args()
    try:
        systems = [system(given.name, model) for model in given.model]
        systems += [running.beside_ngrams(one) for one in systems]
        systems += [] if given.no_baselines else running.standard_baselines(given.kept)
        options = {name: getattr(given, name) for name in ("probes", "statements", "kept")}
        result = running.run_probes(systems, given.data, say=print, **options)
        write_json(given.out, result | {"hardware": hardware(), "versions": versions(), "git": git_state()})
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(render_probes(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
