"""Writes what is written by command: figures, the README's tree, model cards with their pictures.

Example: python recipes/render_docs.py --check   (writes nothing; exit code 1 if something is not up to date)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from biglog.evaluation.cards import card_pictures, read_record, render_model_card
from biglog.evaluation.figures.page import between, figures, figures_page, missing, read_result
from biglog.evaluation.figures.scaling import scaling_page
from biglog.evaluation.leaderboard import collect, picture, render_markdown, tables
from biglog.evaluation.leaderboard.describing import titles
from biglog.evaluation.tree import tree

ROOT = Path(__file__).resolve().parents[1]
NAME = "biglog-mini"


def documents() -> dict[Path, str]:
    """Returns every written document by its path."""
    results, cards = ROOT / "results", ROOT / "model_cards"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    embedded = ROOT / "src" / "biglog" / "checkpoints" / NAME
    record = read_record(results / f"pretrain_{NAME}.json")
    files = (f"probes_{NAME}.json", "cold_embeddings.json", f"left_out_{NAME}.json")
    about = [read_result(results / file) for file in files]
    parser, parsing = (
        read_result(path) for path in (embedded / "parser_config.json", results / "parsing.json")
    )
    tasks = results / "leaderboard"
    board = collect([tasks]) if any(tasks.glob("*.json")) else []
    told = {
        where: render_model_card(record, *about, parser=parser, parsing=parsing, board=board, pictures=where)
        for where in ("", f"{NAME}/")
    }
    pictures = card_pictures(record, about[0], board).items()
    ranked = {"LEADERBOARD.md": render_markdown(board, cards, titles(), picture_name="LEADERBOARD.svg")}
    ranked["LEADERBOARD.svg"] = picture(tables(board))
    return {
        **{folder / name: drawn for folder in (cards / NAME, embedded) for name, drawn in pictures},
        **{cards / name: content for name, content in ranked.items() if board},
        cards / f"{NAME}.md": told[f"{NAME}/"],
        embedded / "README.md": told[""],
        ROOT / "docs" / "figures.md": figures_page(results),
        ROOT / "docs" / "scaling.md": scaling_page(read_record(results / "scaling.json")),
        ROOT / "README.md": between(between(text, "figures", figures(results)), "tree", tree(ROOT)),
    }


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
