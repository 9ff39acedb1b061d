"""Text that is no UTF-8: when high bytes speak for a single-byte encoding, and how its lines become UTF-8.

Western logs that are not UTF-8 are Windows-1252 or Latin-1. The first is the second but for 27 characters in
place of control codes; the five bytes it leaves open are read as Latin-1, so that every byte is a character.
"""

from __future__ import annotations

import re
from typing import Final

SINGLE_BYTE: Final = "cp1252"
"""What such an encoding is called."""

# Fewer words with foreign letters may as well be UTF-8 with a few damaged bytes.
_WORDS: Final = 3
_TABLE: Final = [
    bytes([byte]).decode("cp1252") if byte not in b"\x81\x8d\x8f\x90\x9d" else chr(byte)
    for byte in range(256)
]
_ENCODED: Final = {bytes([byte]): character.encode() for byte, character in enumerate(_TABLE) if byte > 127}
_LETTERS: Final = b"".join(byte for byte in _ENCODED if _TABLE[byte[0]].isalpha())
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_HIGH_LINE: Final = re.compile(rb"^[^\n\x80-\xff]*+[\x80-\xff][^\n]*+", re.MULTILINE)
_CUT_CHARACTER: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z")
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")
# One or two foreign letters, with an ASCII letter beside them: more in a row are another script.
_WORD: Final = re.compile(
    rb"(?:(?<=[A-Za-z])[%b]{1,2}(?![\x80-\xff])|(?<![\x80-\xff])[%b]{1,2}(?=[A-Za-z]))"
    % ((re.escape(_LETTERS),) * 2)
)


def is_single_byte(sample: bytes) -> bool:
    """Whether text that is not all ASCII speaks for a single-byte encoding rather than for UTF-8.

    It does if most lines with high bytes are no UTF-8, and most runs of high bytes in these are one or two
    letters of Windows-1252 beside an ASCII letter, at least three of them.

    Args:
        sample: Some of the text; it may be cut within a character.
    """
    high_lines = _HIGH_LINE.findall(_CUT_CHARACTER.sub(b"", sample))
    lines = [line for line in high_lines if not _is_utf8(line)]
    if not lines or 5 * len(lines) < 4 * len(high_lines):
        return False
    text = b"\n".join(lines)
    words = len(_WORD.findall(text))
    return words >= _WORDS and 3 * words >= 2 * len(_HIGH_RUN.findall(text))


def to_utf8(text: bytes) -> bytes:
    """The same lines as UTF-8: those that are no UTF-8 are read as Windows-1252 with Latin-1 in its gaps.

    Logs that several programs write may hold lines of both kinds.

    Args:
        text: Lines, or a piece of one.
    """
    return text if _is_utf8(text) else _HIGH_LINE.sub(_line_to_utf8, text)


def _line_to_utf8(match: re.Match[bytes]) -> bytes:
    line = match[0]
    return line if _is_utf8(line) else _HIGH.sub(lambda high: _ENCODED[high[0]], line)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
