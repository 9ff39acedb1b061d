"""What a model attends to, as pictures: tokens among themselves in a line, and lines in a window."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np
import torch
from numpy.typing import NDArray

from biglog.data.kept_files import write_whole
from biglog.errors import InputError
from biglog.inference.encoder import MAX_FORM_CHARACTERS, LogEncoder
from modeling_biglog import BigLogForWindowClassification

MOST_TOKENS: Final = 60
"""Tokens of a line that a picture has room for; of longer lines, the first."""

MOST_LINES: Final = 100
"""Lines of a window that a picture has room for; of more, those with the largest weights."""

_CELL, _ROW, _MARGIN, _TITLE = 18, 20, 12, 50
_LETTER: Final = 7.2
_SHOWN: Final = 90
_STYLE: Final = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12"'


def token_attention(encoder: LogEncoder, content: str) -> tuple[list[str], NDArray[np.float32]]:
    """Returns what each token of a line attends to.

    Args:
        encoder: Of lines.
        content: The line without its header.

    Returns:
        The tokens, and the attention weights of the last layer, mean over its heads, shape (tokens, tokens):
        each row is one token's and adds up to 1.
    """
    tokenizer: Any = encoder.tokenizer
    longest = min(int(encoder.model.config.max_position_embeddings), int(tokenizer.model_max_length))
    told = tokenizer(content[:MAX_FORM_CHARACTERS], truncation=True, max_length=longest, return_tensors="pt")
    # A copy: only the slower way of computing attention returns it, and rounds differently.
    model: Any = copy.deepcopy(encoder.model)
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        output = model(
            input_ids=told["input_ids"], attention_mask=told["attention_mask"], output_attentions=True
        )
    tokens = tokenizer.convert_ids_to_tokens(told["input_ids"][0].tolist())
    return tokens, output.attentions[-1][0].mean(dim=0).float().numpy()


def attention_picture(encoder: LogEncoder, content: str, title: str | None = None) -> str:
    """Draws what each token of a line attends to.

    Args:
        encoder: Of lines.
        content: The line without its header.
        title: Above the picture; None is the line.

    Returns:
        A heat map as SVG: a row a token that looks, a column a token that is looked at, darker for more.
    """
    tokens, weights = token_attention(encoder, content)
    shown = tokens[:MOST_TOKENS]
    cut = len(tokens) - len(shown)
    note = f"; the first {len(shown)} of {len(tokens)} tokens" if cut else ""
    return _heat_map(
        title or f"Attention in \u201c{_short(content)}\u201d",
        f"mean over the heads of the last layer, row looks at column{note}",
        shown,
        weights[: len(shown), : len(shown)],
    )


def write_attention(encoder: LogEncoder, content: str, path: Path) -> None:
    """Writes `attention_picture` to a file.

    Raises:
        OutputError: It cannot be written.
    """
    picture = attention_picture(encoder, content)
    write_whole(path, lambda to: to.write_text(picture, encoding="utf-8"))


def line_weights(
    model: BigLogForWindowClassification, embeddings: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Returns how much each line of a window weighs in a classifier's answer.

    Args:
        model: The classifier.
        embeddings: Of the window's lines, as its head was taught on, shape (lines, hidden).

    Returns:
        Shape (lines,), 1 in sum.

    Raises:
        InputError: There are no lines, or more than the model takes.
    """
    longest = int(model.config.max_window_lines)
    if not 0 < len(embeddings) <= longest:
        raise InputError(
            f"a window of {len(embeddings)} lines", remedy=f"Give 1 to {longest}, or a piece of the group"
        )
    lines = torch.from_numpy(np.asarray(embeddings, dtype=np.float32))[None]
    with torch.inference_mode():
        weights = model(line_embeddings=lines, output_attentions=True).attentions[0][0]
    return np.asarray(weights.float().numpy())


def window_picture(
    weights: NDArray[np.floating], lines: Sequence[str], title: str = "Lines of the window"
) -> str:
    """Draws how much each line of a window weighs.

    Args:
        weights: Of the lines, shape (lines,).
        lines: Their texts.
        title: Above the picture.

    Returns:
        Bars as SVG, a row a line, in order.

    Raises:
        InputError: There is not one weight a line.
    """
    if len(weights) != len(lines) or not len(lines):
        raise InputError(f"{len(weights)} weights for {len(lines)} lines", remedy="Give one weight a line")
    rows = np.sort(np.argsort(-np.asarray(weights), kind="stable")[:MOST_LINES]).tolist()
    note = f"; {len(rows)} of {len(lines)} lines, the weightiest" if len(rows) < len(lines) else ""
    most = max(float(np.max(weights)), 1e-12)
    parts, left = [], 150
    for place, row in enumerate(rows):
        y = _TITLE + _MARGIN + place * _ROW
        width = 80 * max(0.0, float(weights[row])) / most
        parts.append(
            f'<text x="{_MARGIN}" y="{y + 14}" fill="#555">{row + 1:>5}</text>'
            f'<rect x="60" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" fill="#1f6feb"/>'
            f'<text x="{left}" y="{y + 14}">{_drawn(_short(lines[row]))}'
            f"<title>{float(weights[row]):.3f}</title></text>"
        )
    longest = max(len(_short(lines[row])) for row in rows)
    width, height = left + longest * _LETTER + _MARGIN, _TITLE + 2 * _MARGIN + len(rows) * _ROW
    return _picture(width, height, title, f"weight of each line in the answer{note}", parts)


def _heat_map(title: str, note: str, tokens: Sequence[str], weights: NDArray[np.floating]) -> str:
    label = max(len(token) for token in tokens) * _LETTER + 6
    left, top = _MARGIN + label, _TITLE + label
    most = max(float(weights.max()), 1e-12)
    parts = []
    for row, token in enumerate(tokens):
        y, x = top + row * _CELL, left + row * _CELL
        parts.append(f'<text x="{left - 6:.0f}" y="{y + 13:.0f}" text-anchor="end">{_drawn(token)}</text>')
        parts.append(
            f'<text transform="translate({x + 13:.0f} {top - 6:.0f}) rotate(-90)">{_drawn(token)}</text>'
        )
        for column, other in enumerate(tokens):
            weight = float(weights[row, column])
            parts.append(
                f'<rect x="{left + column * _CELL:.0f}" y="{y:.0f}" width="{_CELL - 1}" '
                f'height="{_CELL - 1}" fill="#1f6feb" fill-opacity="{weight / most:.3f}">'
                f"<title>{_drawn(token)} looks at {_drawn(other)}: {weight:.3f}</title></rect>"
            )
    side = len(tokens) * _CELL + _MARGIN
    return _picture(left + side, top + side, title, note, parts)


def _picture(width: float, height: float, title: str, note: str, parts: Sequence[str]) -> str:
    wide = max(width, _MARGIN * 2 + max(len(title) * 8.6, len(note) * _LETTER))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {wide:.0f} {height:.0f}" role="img" {_STYLE}>'
        f'<title>{_drawn(title)}</title><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{_MARGIN}" y="20" font-size="14" font-weight="bold">{_drawn(title)}</text>'
        f'<text x="{_MARGIN}" y="38" fill="#555">{_drawn(note)}</text>{"".join(parts)}</svg>\n'
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}\u2026"


def _drawn(text: str) -> str:
    """A text as XML may have it: log lines hold what no XML does."""
    return escape("".join(one if one.isprintable() else "\ufffd" for one in text))
