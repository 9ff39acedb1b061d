"""Writes what is written by command: the README's figures and tree, and the model cards, from results/*.json.

Example: python recipes/render_docs.py --check   (writes nothing; exit code 1 if something is not up to date)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from biglog.evaluation.cards import read_record, render_model_card
from biglog.evaluation.figures import figures
from biglog.evaluation.tree import tree

ROOT = Path(__file__).resolve().parents[1]


def readme() -> str:
    """Returns the README with its marked sections written anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, written in (("figures", figures(ROOT / "results")), ("tree", tree(ROOT))):
        before, rest = text.split(f"<!-- {name} -->\n", 1)
        after = rest.split(f"<!-- /{name} -->", 1)[1]
        text = f"{before}<!-- {name} -->\n{written}\n<!-- /{name} -->{after}"
    return text


def documents() -> dict[Path, str]:
    """Returns every written document by its path."""
    card = render_model_card(read_record(ROOT / "results" / "pretrain_biglog-mini.json"))
    embedded = ROOT / "src" / "biglog" / "checkpoints" / "biglog-mini" / "README.md"
    return {ROOT / "model_cards" / "biglog-mini.md": card, embedded: card, ROOT / "README.md": readme()}


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    stale = {
        path: text
        for path, text in documents().items()
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
