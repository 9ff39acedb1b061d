"""Syslog over a stream with octet counting (RFC 6587): `LENGTH SPACE MESSAGE`, and no line end in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import polars as pl

from biglog.logs.sources.decoding import Cutter, Run, decode

_FRAME: Final = re.compile(rb"([1-9]\d{0,7}) (?=<\d{1,3}>)")
_LONGEST_PREFIX: Final = 9
# Frames of a chain that are looked at: a line that begins like a frame doesn't end where another begins.
_PROOF: Final = 4
# Characters that are none and stay out of text: one that a run lacks stands for line ends within messages.
_STAND_INS: Final = tuple(chr(code).encode() for code in range(0xFDD0, 0xFDF0))


def is_octet_counted(head: bytes, *, complete: bool) -> bool:
    """Whether a text begins with a chain of counted frames.

    Args:
        head: Its beginning.
        complete: Whether that is all of it.
    """
    at = count = 0
    while count < _PROOF and at < len(head):
        match = _FRAME.match(head, at)
        if match is None:
            return False
        at = match.end() + int(match[1])
        count += 1
    # A single frame proves itself only by ending where the text does.
    return count > 1 or (count == 1 and complete and at == len(head))


class OctetCutter:
    """Cuts blocks into counted frames, and into lines from where the chain of frames breaks.

    A frame, with its length before it, is one element of `Run.lines`, also where the message holds line ends.

    Args:
        bound: Frames longer than this many bytes break the chain.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._pending = b""
        self._lines: Cutter | None = None

    def feed(self, block: bytes) -> Iterator[Run]:
        """Take a block in; yield what is complete."""
        if self._lines is None:
            self._pending += block
            yield from self._frames()
            block = b""
            if self._broken():
                self._lines, block, self._pending = Cutter("utf-8", self._bound), self._pending, b""
        if self._lines is not None and block:
            for piece, continues in self._lines.feed(block):
                yield decode(piece, "utf-8", continues, 0)

    def finish(self) -> Iterator[Run]:
        """Yield what is left: of a frame that is not complete, its lines."""
        rest = self._lines or Cutter("utf-8", self._bound)
        for pieces in (rest.feed(self._pending), rest.finish()):
            for piece, continues in pieces:
                yield decode(piece, "utf-8", continues, 0)

    def _frames(self) -> Iterator[Run]:
        """All complete frames that are pending, as one run."""
        frames: list[bytes] = []
        at = 0
        while (match := _FRAME.match(self._pending, at)) and int(match[1]) <= self._bound:
            end = match.end() + int(match[1])
            if end > len(self._pending):
                break
            frames.append(self._pending[at:end])
            at = end
        if frames:
            self._pending = self._pending[at:]
            yield _run(frames)

    def _broken(self) -> bool:
        """Whether what is pending is not the beginning of a frame."""
        match = _FRAME.match(self._pending)
        if match:
            return int(match[1]) > self._bound
        return len(self._pending) > _LONGEST_PREFIX + len("<999>")


def _run(frames: list[bytes]) -> Run:
    """One line a frame. Line ends in messages are hidden from the cutting into lines, and put back."""
    size = sum(map(len, frames))
    texts = [frame.removesuffix(b"\n").removesuffix(b"\r") for frame in frames]
    text = b"\n".join(texts) + b"\n"
    if text.count(b"\n") == len(frames):
        return decode(text, "utf-8", False, size - len(text))
    stand_in = next((each for each in _STAND_INS if each not in text), _STAND_INS[0])
    text = b"\n".join(one.replace(b"\r\n", b"\n").replace(b"\n", stand_in) for one in texts) + b"\n"
    run = decode(text, "utf-8", False, size - len(text))
    lines = run.lines.str.replace_all(stand_in.decode(), "\n", literal=True)
    raw = {at: line.replace(stand_in, b"\n") for at, line in run.raw.items()}
    return replace(run, lines=pl.Series("line", lines), raw=raw)
