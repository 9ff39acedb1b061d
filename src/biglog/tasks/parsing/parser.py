"""Parsers: forms to events with templates, by what was learnt on other logs and by labels of the own one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import Judges, flags_of, lessons_of, teach
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.merging import merge_lists, take_in
from biglog.tasks.parsing.partition import Event, Known, events_of
from biglog.tasks.parsing.template import Template
from biglog.tasks.parsing.writing import write


@dataclass(frozen=True)
class Parsed:
    """The templates of a log's forms.

    Attributes:
        templates: Of each form, shape (forms,); one template is one event.
        written: Of each form as it is written before templates are merged, shape (forms,).
        doubts: How likely something of its event is wrong, from 0 to 1, shape (forms,).
    """

    templates: list[str]
    written: list[str]
    doubts: list[float]


@dataclass(frozen=True)
class ZeroShotParser:
    """Parses logs by what was learnt on others.

    Attributes:
        lexicon: Of log statements.
        judges: Of columns.
    """

    lexicon: Lexicon
    judges: Judges

    def parse_forms(
        self,
        forms: Forms,
        examples: Sequence[str],
        *,
        known: Known | None = None,
        misfits: Mapping[int, Sequence[str]] | None = None,
    ) -> Parsed:
        """Writes the template of each form.

        Args:
            forms: Of the log.
            examples: A content of each.
            known: Templates that are known; they are not written, but say what is an event.
            misfits: Further contents of some forms. If one does not fit what would be written, no masked
                value is constant, whatever the judges say.
        """
        told = None if known is None else flags_of(forms, examples, known)
        divides, is_value = self.judges.divides, self.judges.is_value
        events = events_of(forms, self.lexicon, divides, is_value, known, told)
        templates, doubts = [""] * len(forms.texts), [0.0] * len(forms.texts)
        for event in events:
            flags = _loosened(forms, event, misfits or {})
            for form in event.forms:
                templates[form] = write(forms, form, flags)
                doubts[form] = event.doubt
        # What a known template covers says nothing of how the rest is best written.
        lines = [
            0 if known is not None and known[form] is not None else count
            for form, count in enumerate(forms.lines.tolist())
        ]
        merged = merge_lists(templates, lines)
        taken = take_in(merged, lines, examples, forms.rules.keep)
        return Parsed([taken.get(template, template) for template in merged], templates, doubts)


def worthy(parsed: Parsed, lines: Sequence[int], known: Known) -> list[int]:
    """Returns the most frequent form of each event, most worthy of a label first.

    An event counts by its doubt times the square root of its lines.

    Args:
        parsed: The forms' templates.
        lines: How many lines each form has.
        known: Their templates that are known already: those forms need no label.
    """
    total: Counter[str] = Counter()
    doubt: dict[str, float] = {}
    chosen: dict[str, int] = {}
    rows = zip(parsed.templates, parsed.doubts, known, strict=True)
    for form, (template, own, label) in enumerate(rows):
        if label is not None:
            continue
        total[template] += int(lines[form])
        doubt[template] = max(own, doubt.get(template, 0.0))
        if template not in chosen or lines[form] > lines[chosen[template]]:
            chosen[template] = form
    worth = {template: doubt[template] * total[template] ** 0.5 for template in total}
    return [chosen[template] for template in sorted(worth, key=lambda each: -worth[each])]


def _loosened(forms: Forms, event: Event, misfits: Mapping[int, Sequence[str]]) -> list[bool]:
    """The event's flags, with every masked value a value where a further content does not fit otherwise."""
    told = [(form, content) for form in event.forms for content in misfits.get(form, ())]
    if all(Template(write(forms, form, event.is_value)).spans(content) is not None for form, content in told):
        return event.is_value
    rows = [forms.tokens[form] for form in event.forms]
    masked = [any(token.has_mark for token in column) for column in zip(*rows, strict=True)]
    return [flag or mark for flag, mark in zip(event.is_value, masked, strict=True)]


def taught(
    parser: ZeroShotParser, forms: Forms, examples: Sequence[str], known: Known, seed: int = 0
) -> ZeroShotParser:
    """Teaches a parser's judges by the forms whose templates are known.

    Args:
        parser: As learnt on other logs.
        forms: Of the log.
        examples: A content of each.
        known: Template of each, None where none is known.
        seed: Of what is drawn.
    """
    told = [(form, template) for form, template in enumerate(known) if template is not None]
    if not told:
        return parser
    numbers = [form for form, _ in told]
    contents = pl.Series([examples[form] for form in numbers], dtype=pl.String)
    templates = [template for _, template in told]
    lesson = lessons_of(forms.part(numbers), contents, templates, parser.lexicon, seed)
    return ZeroShotParser(parser.lexicon, teach(parser.judges, lesson, seed=seed))


def known_forms(library: TemplateLibrary, samples: Sequence[Sequence[str]]) -> list[str | None]:
    """Returns the known template of each form: the most frequent of its contents' ones.

    Args:
        library: Known templates.
        samples: Contents of each form.
    """
    owners = [form for form, sample in enumerate(samples) for _ in sample]
    contents = pl.Series([content for sample in samples for content in sample], dtype=pl.String)
    counted: list[Counter[str]] = [Counter() for _ in samples]
    for owner, template in zip(owners, library.match(contents).to_list(), strict=True):
        if template is not None:
            counted[owner][template] += 1
    return [each.most_common(1)[0][0] if each else None for each in counted]
