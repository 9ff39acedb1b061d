"""Templates of logparser3's Drain, AEL, Brain and Spell for the annotated samples, one setting for all.

    python -m venv peer && peer/bin/pip install logparser3==1.0.4
    python benchmarks/peer_parsers.py --peer-python peer/bin/python

(`make peers` does both.) Each parser gets the contents of a domain and nothing else, in an environment of
its own. What it made of them stands in `runs/peers/templates.json`, which `biglog.evaluation.peer_templates`
reads: the evaluation of parsing scores it beside ours. Four contents differ between versions of the ground
truth, so each version has a parse of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import ROOT, arguments, write

from biglog.errors import BigLogError
from biglog.evaluation.parsing import GROUND_TRUTHS, read_truth
from biglog.evaluation.peer_templates import SCHEMA, describe
from biglog.logs.domains import DOMAINS

WORKER = Path(__file__).with_name("peer_parsers_worker.py")
OUT = ROOT / "runs" / "peers" / "templates.json"


def read_contents(folder: Path, limit: int) -> dict[str, dict[str, list[str]]]:
    """Contents of all domains by ground truth, at most `limit` lines of each (0: all)."""
    return {
        truth: {domain: read_truth(domain, folder, kept)[1].to_list()[: limit or None] for domain in DOMAINS}
        for truth, kept in GROUND_TRUTHS.items()
    }


def peer_templates(python: str, contents: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """What the worker writes, run by the interpreter that has logparser3."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "contents.json"), Path(folder, "templates.json")
        given.write_text(json.dumps(contents), encoding="utf-8")
        # Its warnings are of escapes in logparser3's patterns; and it opens files in the locale's encoding.
        command = [python, "-W", "ignore", str(WORKER), str(given), str(made)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONUTF8": "1"})
        result: dict[str, Any] = json.loads(made.read_text(encoding="utf-8"))
    return result


def main() -> int:
    """Runs the parsers and writes what they made."""
    parser = arguments(__doc__, OUT.name)
    parser.set_defaults(out=OUT)
    parser.add_argument("--peer-python", required=True, help="interpreter that has logparser3")
    options = parser.parse_args()
    try:
        contents = read_contents(options.data, options.limit)
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    made = peer_templates(options.peer_python, contents)
    parsers = made.pop("parsers")
    truths = {
        truth: {
            "contents": {domain: describe(lines) for domain, lines in domains.items()},
            "parsers": parsers[truth],
        }
        for truth, domains in contents.items()
    }
    for truth, row in parsers.items():
        print(f"{truth}: " + ", ".join(f"{name} {one['seconds']:.1f} s" for name, one in row.items()))
    write(options.out, {"schema": SCHEMA, **made, "ground_truths": truths})
    return 0


if __name__ == "__main__":
    sys.exit(main())
