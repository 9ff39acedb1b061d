"""A log parsed as it comes in: lines get their events at once, and what an `event_id` says never changes.

Forms are counted (`FormCensus`) and lines take the event of their form. A new form takes an event that fits
it, or is placed among forms that are like it. Once many fitted nothing, all are parsed together again
(`settle`), as if the log had come in one piece; an event that became part of another is reported as an alias
of it. So a log in one piece and in many has the same events after settling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from biglog.logs.masking import spans
from biglog.tasks.parsing.extraction import KINDS, PARAMETERS, extract, kinds_of
from biglog.tasks.parsing.forms import MOST_CHARACTERS, FormCensus, Numbers
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.parser import Parsed, ZeroShotParser, known_forms, taught, worthy
from biglog.tasks.parsing.placing import like, placed
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.template import Spans, Template, event_id, fold, has_text

MAX_FORMS: Final = 20_000
"""Normal forms that are remembered; of more, those that were not seen for longest are forgotten."""

PIECE_LINES: Final = 100_000
"""Lines that are taken at once of a log in one piece."""

_TEXT = pl.String()
SCHEMA: Final = pl.Schema(
    {"line_id": pl.Int64(), "event_id": _TEXT, "template": _TEXT, "parameters": PARAMETERS}
)
"""Columns of a parse."""

_GROWTH = 1.25
_FIRST = 16
_MISFITS = 4


@dataclass(frozen=True)
class Alias:
    """What became of an event.

    Attributes:
        old: Its identity.
        new: The event that has its lines now; several where they were told apart.
    """

    old: str
    new: tuple[str, ...]


@dataclass
class ParseStream:
    """A log that is being parsed.

    Attributes:
        parser: What was learnt on other logs.
        library: Templates that are known.
        rules: A user's rules.
        max_forms: As `MAX_FORMS`.
        lines: Lines parsed.
        census: The forms of its lines.
        event_of: Template of each form's event, None for a form that was not placed yet.
        written: Template of each form as it is written before templates are merged.
        doubts: How likely something of its event is wrong.
        misfits: The first contents of a form that its template did not fit, by form: what all kept contents
            of it agree on may be no constant.
        totals: Lines of each event, by template, as they were given out.
        seen: The batch in which each form came last.
        batches: Batches so far.
        settled_forms: Forms at the last `settle`.
        unsettled: Forms since then that no event fitted.
        aliases: What became of events, by their identity, as far as they are no events any more.
        folded_lines: Lines of events that were forgotten.
        folded_events: How many events were forgotten.
    """

    parser: ZeroShotParser
    library: TemplateLibrary = field(default_factory=TemplateLibrary)
    rules: Rules = field(default_factory=Rules)
    max_forms: int = MAX_FORMS
    lines: int = 0
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    folded_lines: int = 0
    folded_events: int = 0
    census: FormCensus = field(init=False)
    event_of: list[str | None] = field(default_factory=list)
    misfits: dict[int, list[str]] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    seen: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    doubts: list[float] = field(default_factory=list)
    _kinds: dict[str, list[int]] = field(default_factory=dict)
    _forms_of: dict[str, list[int]] | None = None
    settled_forms: int = 0
    unsettled: int = 0
    batches: int = 0

    def __post_init__(self) -> None:
        self.census = FormCensus(rules=self.rules)

    @classmethod
    def of_counted(
        cls, parser: ZeroShotParser, forms: list[str], lines: list[int], contents: list[list[str]]
    ) -> ParseStream:
        """Makes a stream of forms that were counted elsewhere, and settles it.

        Args:
            parser: What was learnt on other logs.
            forms: Normal forms.
            lines: Lines of each.
            contents: Some contents of each, one at least.
        """
        stream = cls(parser)
        stream.census = FormCensus.of_counted(forms, lines, contents, stream.rules)
        stream.event_of, stream.seen = [None] * len(forms), [0] * len(forms)
        stream.settle()
        return stream

    # -- lines in, events out --

    def parse(
        self, contents: pl.Series, starts: Numbers | None = None, *, parameters: bool = True
    ) -> pl.DataFrame:
        """Parses the next lines.

        Args:
            contents: Contents, dtype String, shape (lines,); null is read as empty.
            starts: As of `emit`.
            parameters: As of `emit`.

        Returns:
            A row a line, columns of `SCHEMA`; `line_id` counts from 0 over the whole stream. `template` is
            the event's, spelled with the line's own blanks: with its parameters in it is the content.
        """
        numbers = self.count(contents)
        if self.settled_forms:
            self._place()
        else:
            self.settle()
        table = self.emit(contents, numbers, starts, parameters=parameters)
        self.forget()
        return table

    def parse_whole(self, contents: pl.Series) -> pl.DataFrame:
        """As `parse`, after settling: for a log, or what is left of one, in one piece.

        Of a log with more forms than are remembered, the lines from there on are parsed as they come.
        """
        pieces = [contents.slice(at, PIECE_LINES) for at in range(0, max(1, len(contents)), PIECE_LINES)]
        counted = []
        while pieces and len(self.census.texts) <= self.max_forms:
            counted.append((pieces[0], self.count(pieces.pop(0))))
        self.settle()
        misfits, before = self.misfit_count, self.counts()
        tables = [self.emit(*piece) for piece in counted]
        if self.misfit_count > misfits:
            # Seen only now: what all kept contents of a form agree on differs in others.
            self.restore(before)
            self.settle()
            tables = [self.emit(*piece) for piece in counted]
        self.forget()
        return pl.concat([*tables, *(self.parse(piece) for piece in pieces)])

    def templates(self, contents: pl.Series, numbers: Numbers) -> pl.Series:
        """Returns the template of each line's event, dtype String, shape (lines,); as of `emit`."""
        texts, codes = self._events_of(contents.fill_null(""), numbers)
        return pl.Series("template", texts, dtype=pl.String).gather(codes)

    def count(self, contents: pl.Series) -> Numbers:
        """Counts lines without parsing them; returns the form of each, for `emit`."""
        numbers = self.census.add(contents)
        self.batches += 1
        self.event_of += [None] * (len(self.census.texts) - len(self.event_of))
        self.seen += [0] * (len(self.census.texts) - len(self.seen))
        self.written += [""] * (len(self.census.texts) - len(self.written))
        self.doubts += [1.0] * (len(self.census.texts) - len(self.doubts))
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            self.seen[number] = self.batches
        return numbers

    def emit(
        self,
        contents: pl.Series,
        numbers: Numbers,
        starts: Numbers | None = None,
        *,
        parameters: bool = True,
    ) -> pl.DataFrame:
        """Writes lines that were counted, by the events as they are now.

        Args:
            contents: Contents, as given to `count`.
            numbers: What it returned.
            starts: Where each content starts in its line, for spans in the line; -1 where that is not known,
                and spans then are null; None for spans in the content.
            parameters: Whether parameters are wanted. Without them the column is null, and a template is the
                event's as it stands.
        """
        contents = contents.fill_null("")
        texts, codes = self._events_of(contents, numbers)
        templates = [Template(text) for text in texts]
        if parameters:
            exact, found = self._extracted(contents, numbers, templates, codes, starts)
        else:
            exact = pl.Series(texts, dtype=pl.String).gather(codes)
            found = pl.repeat(None, len(contents), dtype=PARAMETERS, eager=True)
        for code, count in enumerate(np.bincount(codes, minlength=len(texts)).tolist()):
            self.totals[texts[code]] += count
        identities = pl.Series([template.event_id for template in templates], dtype=pl.String)
        first = self.lines
        self.lines += len(contents)
        return pl.DataFrame(
            {
                "line_id": pl.int_range(first, self.lines, dtype=pl.Int64, eager=True),
                "event_id": identities.gather(codes),
                "template": exact,
                "parameters": found,
            },
            schema=SCHEMA,
        )

    def _extracted(
        self,
        contents: pl.Series,
        numbers: Numbers,
        templates: Sequence[Template],
        codes: Numbers,
        starts: Numbers | None,
    ) -> tuple[pl.Series, pl.Series]:
        kinds = [self.kinds_of(template.text) for template in templates]
        return extract(
            contents,
            codes,
            templates,
            kinds,
            lambda row, content: self._otherwise(int(numbers[row]), content),
            starts,
        )

    def counts(self) -> tuple[int, Counter[str]]:
        """What `emit` has counted so far, for `restore`."""
        return self.lines, self.totals.copy()

    def restore(self, counts: tuple[int, Counter[str]]) -> None:
        """Forgets what `emit` counted since `counts`."""
        self.lines, self.totals = counts[0], counts[1].copy()

    @property
    def misfit_count(self) -> int:
        """How many misfits are kept."""
        return sum(map(len, self.misfits.values()))

    def _events_of(self, contents: pl.Series, numbers: Numbers) -> tuple[list[str], Numbers]:
        """The templates of some lines' events, and which of them each line has."""
        codes: dict[str, int] = {}
        present = np.flatnonzero(np.bincount(numbers))
        of_form = np.zeros(len(self.event_of), dtype=np.int64)
        for form in present.tolist():
            of_form[form] = codes.setdefault(self.event_of[form] or "", len(codes))
        of_line = of_form[numbers]
        if self.library.templates:
            known = self.library.match_forms(contents, numbers, self.census.texts)
            rows = known.is_not_null().arg_true().to_numpy()
            told = known.gather(rows)
            for template in told.unique(maintain_order=True).to_list():
                codes.setdefault(template, len(codes))
            of_line[rows] = told.replace_strict(codes, return_dtype=pl.Int64).to_numpy()
        return list(codes), of_line

    def _otherwise(self, form: int, content: str) -> Spans:
        """The values of a line that its event's template does not fit."""
        own = Template(self.written[form]).spans(content)
        if own is not None:
            return own
        # Something was taken for constant that is none.
        head = content[:MOST_CHARACTERS]
        misfits = self.misfits.setdefault(form, [])
        if len(misfits) < _MISFITS and head not in misfits:
            misfits.append(head)
        found = [(span.start, span.end) for span in spans(head)]
        return found if head == content else [*found, (len(head), len(content))]

    def kinds_of(self, text: str) -> list[int]:
        """Returns the kinds of a template's parameters, as numbers of `KINDS`; -1 where none is known.

        A kind is what most values have of the contents that are kept.
        """
        known = self._kinds.get(text)
        if known is not None:
            return known
        template = Template(text)
        if self._forms_of is None:
            self._forms_of = defaultdict(list)
            for form, event in enumerate(self.event_of):
                self._forms_of[event or ""].append(form)
        forms = self._forms_of.get(text, ())
        sampled = [content for form in forms[:16] for content in self.census.samples[form]][:16]
        rows = [(content, found) for content in sampled if (found := template.spans(content)) is not None]
        if not rows or not rows[0][1]:
            return [-1] * (len(template.parts) - 1)
        values = pl.Series([c[start:end] for c, found in rows for start, end in found], dtype=pl.String)
        table = kinds_of(values).reshape(len(rows), -1)
        kinds = [int(np.bincount(column, minlength=len(KINDS)).argmax()) for column in table.T]
        self._kinds[text] = kinds
        return kinds

    # -- forms to events --

    def settle(self) -> list[Alias]:
        """Parses all forms together, as if the log had come in one piece.

        Returns:
            What became of events that are none any more.
        """
        forms, samples = self.census.forms(), self.census.samples
        examples = [sample[0] for sample in samples]
        parser, known = self.parser, None
        if self.library.templates:
            known = known_forms(self.library, samples)
            parser = taught(parser, forms, examples, known)
        parsed = parser.parse_forms(forms, examples, known=known, misfits=self.misfits)
        before = list(self.event_of)
        self.written, self.doubts = parsed.written, parsed.doubts
        self.event_of, self._forms_of = list(parsed.templates), None
        self._kinds.clear()
        self.settled_forms, self.unsettled = len(forms.texts), 0
        return self._aliases(before)

    def _aliases(self, before: Sequence[str | None]) -> list[Alias]:
        current = set(self.event_of)
        became: dict[str, set[str]] = defaultdict(set)
        for old, new in zip(before, self.event_of, strict=True):
            if old is not None and new is not None and old not in current:
                became[old].add(new)
        found = [
            Alias(event_id(old), tuple(sorted(map(event_id, new))))
            for old, new in became.items()
            if self.totals[old]
        ]
        self.aliases |= {alias.old: alias.new for alias in found}
        for text in current:
            self.aliases.pop(event_id(text or ""), None)
        return found

    def _place(self) -> None:
        """Gives new forms an event: one that fits them, or their own."""
        new = [form for form, template in enumerate(self.event_of) if template is None]
        if not new:
            return
        self._forms_of = None
        # What has become part of another event gets no more lines.
        names = [text for text, _ in self.totals.most_common() if event_id(text) not in self.aliases]
        known, left = [placed(text) for text in names], []
        for form in new:
            example = fold(self.census.samples[form][0])
            fitting = next((each.template.text for each in known if each.fits(example)), None)
            if fitting is None:
                left.append(form)
            else:
                self.event_of[form] = self.written[form] = fitting
        self.unsettled += len(left)
        if self.unsettled >= (_GROWTH - 1) * self.settled_forms + _FIRST:
            self.settle()
        elif left:
            self._place_alone(left)

    def _place_alone(self, new: Sequence[int]) -> None:
        """Gives new forms an event of their own, as what is like them has it."""
        forms = self.census.forms()
        chosen = [*new, *like(forms, new, [template is not None for template in self.event_of])]
        examples = [self.census.samples[form][0] for form in chosen]
        parsed = self.parser.parse_forms(forms.part(chosen), examples)
        for place, form in enumerate(new):
            self.event_of[form], self.written[form] = parsed.templates[place], parsed.written[place]

    # -- memory --

    def forget(self) -> None:
        """Forgets the forms that were not seen for longest; counts of events stay."""
        if len(self.census.texts) > self.max_forms:
            order = np.argsort(-np.array(self.seen), kind="stable")[: self.max_forms * 3 // 4]
            kept = np.sort(order).tolist()
            self.census = self.census.part(kept)
            self._forms_of = None
            places = {form: place for place, form in enumerate(kept)}
            self.misfits = {places[form]: told for form, told in self.misfits.items() if form in places}
            self.event_of = [self.event_of[form] for form in kept]
            self.seen = [self.seen[form] for form in kept]
            self.written = [self.written[form] for form in kept]
            self.doubts = [self.doubts[form] for form in kept]
            self.settled_forms = min(self.settled_forms, len(kept))
        if len(self.totals) > 2 * self.max_forms:
            self._fold()

    def _fold(self) -> None:
        """Counts the rarest events of no remembered form together."""
        current = set(self.event_of)
        rare = [text for text, _ in reversed(self.totals.most_common()) if text not in current]
        for text in rare[: len(self.totals) - self.max_forms]:
            self.folded_lines += self.totals.pop(text)
            self.folded_events += 1
            self.aliases.pop(event_id(text), None)

    # -- what is known --

    def events(self) -> pl.DataFrame:
        """Returns the events of the lines so far, most frequent first.

        Returns:
            Columns event_id, template, lines (as they were given out), normal_forms, doubt and example. Lines
            of events that have become part of others are counted there.
        """
        rows: dict[str, dict[str, object]] = {}
        for form, text in enumerate(self.event_of):
            if text is not None and text not in rows:
                example = self.census.samples[form][0]
                rows[text] = {"example": example, "normal_forms": 0, "doubt": self.doubts[form]}
            if text is not None:
                rows[text]["normal_forms"] = int(str(rows[text]["normal_forms"])) + 1
        counts = self._counts()
        table = [
            {"event_id": event_id(text), "template": text, "lines": counts[text]} | rows.get(text, {})
            for text in counts
        ]
        schema = {"event_id": pl.String, "template": pl.String, "lines": pl.Int64}
        more = {"normal_forms": pl.Int64, "doubt": pl.Float64, "example": pl.String}
        frame = pl.DataFrame(table, schema=schema | more, orient="row")
        return frame.sort("lines", "template", descending=[True, False])

    def _counts(self) -> Counter[str]:
        """Lines of each event, those of merged ones with what they became."""
        text_of = {event_id(text): text for text in (*self.totals, *filter(None, self.event_of))}
        counts: Counter[str] = Counter()
        for text, count in self.totals.items():
            new = self.resolve(event_id(text))
            counts[text_of.get(new, text)] += count
        return +counts

    def resolve(self, identity: str) -> str:
        """Returns the event that an event is part of now; itself where it is none's, or of several."""
        passed = {identity}
        while len(new := self.aliases.get(identity, ())) == 1 and new[0] not in passed:
            identity = new[0]
            passed.add(identity)
        return identity

    def propose(self, count: int) -> list[str]:
        """Says which lines are worth a label: a content of each doubtful and frequent event."""
        return [content for content, _ in self.proposals(count)]

    def proposals(self, count: int) -> list[tuple[str, str]]:
        """As `propose`, each with the template that it has now; an empty one where that could be no label."""
        if self.settled_forms != len(self.census.texts):
            self.settle()
        samples = self.census.samples
        parsed = Parsed([text or "" for text in self.event_of], self.written, self.doubts)
        order = worthy(parsed, self.census.lines, known_forms(self.library, samples))
        return [(samples[form][0], self._label(form)) for form in order[:count]]

    def _label(self, form: int) -> str:
        """A template that fits a form's first content and has constant text: its event's, or its own."""
        for text in (self.event_of[form] or "", self.written[form]):
            if has_text(text) and Template(text).spans(self.census.samples[form][0]) is not None:
                return text
        return ""

    def learn(self, library: TemplateLibrary) -> None:
        """Takes known templates in place of those it had; what was given out stays."""
        self.library = library
        self.settled_forms = 0

    def obey(self, rules: Rules) -> None:
        """Takes a user's rules in place of those it had."""
        self.rules = self.census.rules = rules
        self.settled_forms = 0

    def search(self, words: Iterable[str]) -> pl.DataFrame:
        """Returns the events whose template has all of some words, in any case of letters."""
        table = self.events()
        for word in words:
            found = table["template"].str.to_lowercase().str.contains(word.lower(), literal=True)
            table = table.filter(found)
        return table
