"""What is written by command: figures, the tree, model cards and the leaderboard, with their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from biglog.evaluation.cards import card_pictures, read_record, render_model_card
from biglog.evaluation.figures.page import between, figures, figures_page, read_result
from biglog.evaluation.figures.scaling import scaling_page
from biglog.evaluation.leaderboard import collect, picture, render_markdown, tables
from biglog.evaluation.leaderboard.describing import titles
from biglog.evaluation.studies.registry import study_pictures
from biglog.evaluation.tree import tree

NAME: Final = "biglog-mini"
"""The checkpoint whose card is written."""


def documents(root: Path) -> dict[Path, str]:
    """Returns every written document by its path.

    Args:
        root: The checkout.

    Raises:
        InputError: A result that a document needs is missing, or lacks what it says.
    """
    results, cards = root / "results", root / "model_cards"
    text = (root / "README.md").read_text(encoding="utf-8")
    embedded = root / "src" / "biglog" / "checkpoints" / NAME
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
        **{root / "docs" / "studies" / name: drawn for name, drawn in study_pictures(results).items()},
        root / "docs" / "figures.md": figures_page(results),
        root / "docs" / "scaling.md": scaling_page(read_record(results / "scaling.json")),
        root / "README.md": between(between(text, "figures", figures(results)), "tree", tree(root)),
    }
