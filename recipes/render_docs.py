"""Writes what is written by command: figures, the README's tree, model cards with their pictures.

Example: python recipes/render_docs.py --check   (writes nothing; exit code 1 if something is not up to date)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from biglog.evaluation.documents import documents
from biglog.evaluation.figures.page import missing

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    for name in missing(ROOT / "results"):
        print(f"left out, as there is no results/{name}", file=sys.stderr)
    stale = {
        path: text
        for path, text in documents(ROOT).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        print(f"{'not up to date' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
