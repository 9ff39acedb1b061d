"""Writes the README's figures, from results/*.json, and its tree, from the files' first lines.

Example: python recipes/render_docs.py --check   (writes nothing; exit code 1 if the README is not up to date)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from biglog.evaluation.figures import figures
from biglog.evaluation.tree import tree

ROOT = Path(__file__).resolve().parents[1]


def render(readme: str) -> str:
    """Returns the README with its marked sections written anew."""
    for name, text in (("figures", figures(ROOT / "results")), ("tree", tree(ROOT))):
        before, rest = readme.split(f"<!-- {name} -->\n", 1)
        after = rest.split(f"<!-- /{name} -->", 1)[1]
        readme = f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}"
    return readme


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = render(before)
    if check:
        return int(before != after)
    path.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
