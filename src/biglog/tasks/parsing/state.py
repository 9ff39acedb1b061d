"""The state of a stream as JSON, versioned: what a log has shown so far, and what its user said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from biglog.errors import InputError
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.parsing.forms import FormCensus
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.stream import ParseStream

STATE: Final = "biglog-parse-state/1"


def state_of(stream: ParseStream) -> dict[str, Any]:
    """Returns a stream's state as JSON has it."""
    census = stream.census
    forms = [
        {
            "form": text,
            "lines": census.lines[number],
            "contents": census.samples[number],
            "event": stream.event_of[number],
            "written": stream.written[number],
            "doubt": stream.doubts[number],
            "seen": stream.seen[number],
            "misfits": stream.misfits.get(number, []),
        }
        for number, text in enumerate(census.texts)
    ]
    return {
        "schema": STATE,
        "masking_version": MASKING_VERSION,
        "templates": stream.library.templates,
        "keep": sorted(stream.rules.keep),
        "mask": list(stream.rules.mask),
        "max_forms": stream.max_forms,
        "lines": stream.lines,
        "batches": stream.batches,
        "settled_forms": stream.settled_forms,
        "unsettled": stream.unsettled,
        "forms": forms,
        "events": stream.totals.most_common(),
        "aliases": {old: list(new) for old, new in stream.aliases.items()},
        "folded_lines": stream.folded_lines,
        "folded_events": stream.folded_events,
    }


def stream_of(told: Mapping[str, Any], parser: ZeroShotParser) -> ParseStream:
    """Makes a stream of its state.

    Args:
        told: As `state_of` returns it.
        parser: What was learnt on other logs.

    Raises:
        InputError: It is of another version, or something in it is missing or of another type.
    """
    for name, wanted in (("schema", STATE), ("masking_version", MASKING_VERSION)):
        if told.get(name) != wanted:
            remedy = "Read it with the version that wrote it, or begin anew"
            raise InputError(f"{name} is {told.get(name)!r}, not {wanted!r}", remedy=remedy)
    try:
        return _stream(told, parser)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"the state is damaged: {type(error).__name__} at {error}"
        raise InputError(problem, remedy="Take an older copy, or begin anew") from error


def _stream(told: Mapping[str, Any], parser: ZeroShotParser) -> ParseStream:
    library, rules = TemplateLibrary(told["templates"]), Rules.of(told["keep"], told["mask"])
    stream = ParseStream(parser, library, rules, int(told["max_forms"]))
    forms = told["forms"]
    stream.census = FormCensus.of_counted(
        [str(form["form"]) for form in forms],
        [int(form["lines"]) for form in forms],
        [[str(content) for content in form["contents"]] for form in forms],
        rules,
    )
    if not all(stream.census.samples):
        raise ValueError("a form without contents")
    stream.event_of = [None if form["event"] is None else str(form["event"]) for form in forms]
    stream.written = [str(form["written"]) for form in forms]
    stream.doubts = [float(form["doubt"]) for form in forms]
    stream.seen = [int(form["seen"]) for form in forms]
    told_of = {number: [str(content) for content in form["misfits"]] for number, form in enumerate(forms)}
    stream.misfits = {number: contents for number, contents in told_of.items() if contents}
    stream.totals = Counter({str(text): int(count) for text, count in told["events"]})
    stream.aliases = {str(old): tuple(map(str, new)) for old, new in told["aliases"].items()}
    stream.lines, stream.batches = int(told["lines"]), int(told["batches"])
    stream.settled_forms, stream.unsettled = int(told["settled_forms"]), int(told["unsettled"])
    stream.folded_lines, stream.folded_events = int(told["folded_lines"]), int(told["folded_events"])
    return stream
