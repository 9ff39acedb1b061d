"""A growing file: lines come once, whole and in order, whatever becomes of the file meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from biglog import LogParser
from biglog.errors import InputError
from biglog.inference.follow import Interrupts, Place, follow
from biglog.tasks.parsing.template import Template

LINES = [
    f"Jun  9 06:06:{n:02} combo sshd[{n}]: session opened for user u{n} by (uid={n})\n" for n in range(40)
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def followed(path: Path, *steps: Callable[[], object], layout: str | None = None) -> pl.DataFrame:
    """Follows a file to which something is done at each wait."""
    todo = list(steps)
    stream = LogParser.from_pretrained().stream()

    def wait() -> bool:
        if not todo:
            return False
        todo.pop(0)()
        return True

    frames = list(follow(path, stream, layout=layout, wait=wait))
    assert not todo, "it stops where `wait` says so, and no sooner"
    rows = pl.concat(frames)
    assert stream.lines == len(rows) == int(stream.events()["lines"].sum())
    return rows


def append(path: Path, text: str) -> Callable[[], object]:
    def step() -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    return step


def numbers(rows: pl.DataFrame) -> list[int]:
    return rows["line_number"].to_list()


def test_lines_are_numbered_on(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    rows = followed(path, append(path, "".join(LINES[20:22])), lambda: None, append(path, LINES[22]))
    assert numbers(rows) == list(range(1, 24))
    for line, row in zip(LINES, rows.to_dicts(), strict=False):
        values = [each["value"] for each in row["parameters"]]
        assert Template(row["template"]).format(values) == row["content"]
        assert line.endswith(row["content"] + "\n")
        for each in row["parameters"]:
            assert line[each["start"] : each["end"]] == each["value"]


def test_a_line_is_read_once_it_has_its_end(path: Path) -> None:
    path.write_text("".join(LINES[:20]) + LINES[20][:30])
    rows = followed(path, append(path, LINES[20][30:50]), append(path, LINES[20][50:] + LINES[21]))
    assert numbers(rows) == list(range(1, 23))
    assert rows["content"][20] == "session opened for user u20 by (uid=20)"


def test_a_last_line_without_end_is_read_at_last(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    rows = followed(path, append(path, LINES[20].rstrip("\n")))
    assert numbers(rows) == list(range(1, 22))
    assert rows["content"][20] == "session opened for user u20 by (uid=20)"


def test_a_character_that_comes_in_two_parts_is_one(path: Path) -> None:
    text = "größe 7 überschritten\n".encode()
    path.write_bytes(text * 5 + text[:3])
    rows = followed(path, lambda: path.write_bytes(text * 6))
    assert rows["content"].to_list() == ["größe 7 überschritten"] * 6


def test_a_file_cut_short_is_read_from_its_start(path: Path) -> None:
    path.write_text("".join(LINES[:20]) + "half a line")
    rows = followed(path, lambda: path.write_text("".join(LINES[:3])), append(path, LINES[3]))
    assert numbers(rows) == [*range(1, 22), *range(1, 5)]
    assert rows["content"][20] == "half a line", "its rest will never come"


def test_a_file_in_place_of_another_is_read_from_its_start(path: Path) -> None:
    path.write_text("".join(LINES[:20]))

    def rotate() -> None:
        # The old file has lines that were never seen under its name, the last of them without end.
        append(path, LINES[20] + LINES[21].rstrip("\n"))()
        path.rename(path.with_name("app.log.1"))
        path.write_text("".join(LINES[22:30]))

    rows = followed(path, rotate, append(path, LINES[30]))
    assert numbers(rows) == [*range(1, 23), *range(1, 10)]
    assert rows["content"].to_list() == [line.partition("]: ")[2].rstrip("\n") for line in LINES[:31]]


def test_a_file_may_be_gone_for_a_moment(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    rows = followed(path, path.unlink, lambda: None, lambda: path.write_text("".join(LINES[20:23])))
    assert numbers(rows) == [*range(1, 21), 1, 2, 3]


def test_a_file_may_stay_away(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    assert numbers(followed(path, path.unlink, lambda: None)) == list(range(1, 21))


def test_an_empty_file_may_grow(path: Path) -> None:
    path.touch()
    rows = followed(path, append(path, "\n"), append(path, LINES[0]), append(path, "\n \n" + LINES[1]))
    assert numbers(rows) == [1, 2, 3, 4, 5]
    assert rows["content"][1] == "session opened for user u0 by (uid=0)"


def test_nul_bytes_in_between_are_lines_too(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    rows = followed(path, append(path, "\0" * 300 + "\n"), append(path, LINES[20]))
    assert len(rows) == 22
    assert rows["content"][21] == "session opened for user u20 by (uid=20)"


def test_the_layout_of_the_first_lines_holds(path: Path) -> None:
    path.write_text("".join(LINES[:20]))
    rows = followed(path, append(path, LINES[20]), append(path, "no header here\n"))
    assert rows["timestamp"][:21].null_count() == 0
    assert rows["content"].to_list()[-2:] == ["session opened for user u20 by (uid=20)", "no header here"]
    plain = followed(path, layout="plain")
    assert plain["content"][0] == LINES[0].rstrip("\n")


def test_a_file_that_cannot_be_followed(path: Path) -> None:
    for where in (path, path.parent):
        with pytest.raises(InputError, match=f"{where.name}.*cannot be read"):
            next(follow(where, LogParser.from_pretrained().stream()))


def test_it_goes_on_where_it_stopped(path: Path) -> None:
    path.write_text("".join(LINES[:3]) + LINES[3][:10])
    place, stream = Place(), LogParser.from_pretrained().stream()
    first = pl.concat(follow(path, stream, wait=lambda: False, place=place))
    assert numbers(first) == [1, 2, 3, 4]
    assert place.offset == path.stat().st_size
    append(path, LINES[4])()
    again = pl.concat(follow(path, stream, wait=lambda: False, place=Place(**vars(place))))
    assert numbers(again) == [5]
    path.write_text(LINES[5])
    anew = pl.concat(follow(path, stream, wait=lambda: False, place=place))
    assert numbers(anew) == [1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_what_was_read_has_been_used(path: Path, number: int) -> None:
    path.write_text("".join(LINES[:3]) + LINES[3][:10])
    place, stream, rows = Place(), LogParser.from_pretrained().stream(), []
    before = signal.getsignal(number)

    def interrupted() -> None:
        with Interrupts() as interrupts:
            for frame in follow(path, stream, wait=lambda: True, place=place, between=interrupts.check):
                os.kill(os.getpid(), number)
                rows.extend(numbers(frame))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(number) is before
    assert (rows, place.lines, place.offset) == ([1, 2, 3], 3, sum(map(len, LINES[:3])))
    append(path, LINES[3][10:])()
    assert numbers(pl.concat(follow(path, stream, wait=lambda: False, place=place))) == [4]


def test_a_second_interrupt_comes_through_at_once() -> None:
    reached = []

    def interrupted() -> None:
        with Interrupts():
            for at in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                reached.append(at)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == [0]
