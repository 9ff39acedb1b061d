"""Control and invalid characters made visible, for tables that people and other programs read.

Reading keeps every character; nothing here is applied unless asked for. Cleaning loses what it replaces: keep
`line`, or `raw_bytes`, where the bytes matter.
"""

from __future__ import annotations

from typing import Final

import polars as pl

# Colours and cursor movements (CSI), window titles (OSC), and the two-character escapes.
_ANSI: Final = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])"
# The tab stays; so does the line end within a record of several lines, and no carriage return before it.
_PICTURES: Final = {chr(code): chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"} | {
    "\x7f": "\u2421"
}
_C1: Final = r"[\x{80}-\x{9f}]"
REPLACEMENT: Final = "\ufffd"
"""Stands for bytes that are no text, and for control characters that have no picture."""


def clean(texts: pl.Series) -> pl.Series:
    r"""Takes terminal sequences out, and shows other control characters as their pictures.

    Terminal sequences (colours, titles) vanish. Other control characters become the picture Unicode has for
    them: NUL is ``␀``, the escape character ``␛``, a carriage return ``␍``, DEL ``␡``. Tabs stay, and so do
    line feeds; carriage returns before a line feed or at the end vanish. C1 controls (U+0080 to U+009F),
    mostly remains of a wrong encoding, become U+FFFD, as invalid bytes did when they were read; a run of
    U+FFFD becomes one.

    Args:
        texts: Lines or contents, dtype String, shape (n,); null stays null.

    Returns:
        Texts without control characters but tab and line feed, shape (n,), in the same order. Cleaning twice
        changes nothing more; texts without such characters are untouched.
    """
    found = texts.str.contains("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ufffd]").fill_null(False).arg_true()
    if found.is_empty():
        return texts
    odd = texts.gather(found).str.replace_all(_ANSI, "").str.replace_all(r"\r+(\n|\z)", "${1}")
    odd = odd.str.replace_many(list(_PICTURES), list(_PICTURES.values()))
    odd = odd.str.replace_all(_C1, REPLACEMENT).str.replace_all(f"{REPLACEMENT}+", REPLACEMENT)
    # Series.scatter changes the series itself.
    return texts.clone().scatter(found, odd)
