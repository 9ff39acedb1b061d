"""The command line, run in this process: one start of torch serves all tests."""

import sys
from dataclasses import dataclass

from biglog import cli


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def runner(capfd, monkeypatch, *first):
    """What runs `biglog`, with the first words given, as a pipe sees it."""

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["biglog", *first, *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def failed(outcome: Outcome, *said: str) -> None:
    """Checks that a command failed as all of them do."""
    assert outcome.code == 2
    assert outcome.err.startswith("biglog: ")
    assert outcome.err.count("\n") == 1, "one line, no traceback"
    for text in said:
        assert text in outcome.err
