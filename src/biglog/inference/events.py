"""From counted normal forms to events: templates, levels, components, times and parameter values."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.inference.analysis import Burst, Event, Parameter
from biglog.inference.census import BIN_SECONDS, Census, First
from biglog.logs.masking import MASK_TOKENS
from biglog.tasks.anomaly import evidence as anomaly
from biglog.tasks.parsing import WILDCARD, event_id, group_forms
from biglog.tasks.parsing.extraction import KINDS
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.stream import ParseStream
from biglog.tasks.parsing.template import Template

MAX_BINS = 60
TOP_VALUES = 5
BLANK = "(blank line)"

MOST_PARSED = 10_000
"""Normal forms from which on events are made by a rule: the parser would take longer than a reader waits."""

# A burst is a bin with this many times the lines that the pace of the rest of the log would give, and with
# enough lines to be no accident.
_BURST_RATE, _BURST_LINES = 8.0, 20

_VALUE = re.compile("|".join(re.escape(token) for token in MASK_TOKENS))

# Places are numbered; no place holds as many values as this.
_SLOTS = 1000
_VALUES = pl.Schema(
    {"code": pl.Int32(), "slot": pl.Int64(), "token": pl.String(), "value": pl.String(), "count": pl.Int64()}
)

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """Bins of equal width.

    Attributes:
        starts: Start of each bin, seconds since the epoch.
        seconds: Their width.
        outside: Lines whose time lies far from all others; they are counted in the first or last bin.
    """

    starts: tuple[float, ...] = ()
    seconds: float = 0.0
    outside: int = 0


class Events:
    """The events of a log, beside those of a baseline.

    Arrays have one entry an event; events of the baseline alone come last and have no lines.

    Args:
        census: The counted log.
        baseline: The counted log of normal operation, if there is one.
        parser: What makes events of normal forms; None groups them by a rule.

    Attributes:
        ids: Identity of each event.
        templates: Template of each event, with mask tokens for values of a known kind.
        by_rule: Whether events were made by the rule: without a parser, or of too many normal forms.
        worded: Whether it has a word, and not values and punctuation alone.
        counts: Lines.
        known: Lines in the baseline.
        severities: 0 to 1, of the worst normal form.
        words: The word that tells the severity, or "".
        levels: Most frequent level, or None.
        components: Most frequent component, or None.
        firsts: First line of the worst normal form, None for events of the baseline alone.
        forms: The most frequent normal form.
        normal_forms: Distinct normal forms.
        event_of: For each normal form of the census, then of the baseline alone, its event.
        timeline: The bins of the log.
    """

    def __init__(
        self, census: Census, baseline: Census | None = None, parser: ZeroShotParser | None = None
    ) -> None:
        self._census = census
        own = len(census.forms)
        present = set(census.forms)
        extra = [form for form in (baseline.forms if baseline else ()) if form not in present]
        texts = [*census.forms, *extra]
        grouped = _parsed(texts, census, baseline, parser) or _by_rule(texts)
        self.ids = [event_id(template) for template in grouped.templates]
        self.templates = [shown or BLANK for shown in grouped.shown]
        self.worded = np.array([_has_word(template) for template in grouped.templates], dtype=bool)
        self.event_of = np.array(grouped.event_of, dtype=np.int64)
        self.by_rule = grouped.by_rule
        self._owners = pl.DataFrame(
            {"code": np.arange(own, dtype=np.int32), "event": self.event_of[:own]},
            schema={"code": pl.Int32, "event": pl.Int64},
        )
        self.counts = self._summed(census, self.event_of[:own])
        self.known = self._baseline_counts(baseline, [*census.forms, *extra])
        self.has_baseline = baseline is not None
        self.normal_forms = np.bincount(self.event_of[:own], minlength=len(self.templates))
        self._describe(census, extra)
        self.timeline = _timeline(census)
        self._timelines = self._counts_per_bin()
        self._per_bin = np.sum([*self._timelines.values(), (0,) * len(self.timeline.starts)], axis=0)
        self._parameters = _parameters(census, self.event_of, grouped.templates)

    def __len__(self) -> int:
        return len(self.templates)

    @property
    def order(self) -> list[int]:
        """Events that have lines, by count, descending."""
        return [int(i) for i in np.argsort(-self.counts, kind="stable") if self.counts[i]]

    def burst(self, index: int) -> Burst | None:
        """The strongest burst of an event, if it has one."""
        counts = np.array(self.timeline_of(index), dtype=np.float64)
        if len(counts) < 3 or counts.sum() < _BURST_LINES:
            return None
        rest = self._per_bin - counts + 1  # one line a bin more: an empty rest has no pace
        expected = counts.sum() * rest / rest.sum()
        peak = int((counts / expected).argmax())
        if counts[peak] < max(_BURST_LINES, _BURST_RATE * expected[peak]):
            return None
        first, last = peak, peak
        while first > 0 and counts[first - 1] >= 2 * expected[first - 1]:
            first -= 1
        while last + 1 < len(counts) and counts[last + 1] >= 2 * expected[last + 1]:
            last += 1
        start, end = self.timeline.starts[first], self.timeline.starts[last] + self.timeline.seconds
        within = slice(first, last + 1)
        return Burst(_utc(start), _utc(end), int(counts[within].sum()), float(expected[within].sum()))

    def timeline_of(self, index: int) -> tuple[int, ...]:
        """Lines of an event in each bin."""
        return self._timelines.get(index, (0,) * len(self.timeline.starts))

    def event(self, index: int, score: float) -> Event:
        """Everything about one event that has lines.

        Args:
            index: Which event.
            score: Its anomaly score.
        """
        first = self._earliest[index]
        return Event(
            event_id=self.ids[index],
            template=self.templates[index],
            count=int(self.counts[index]),
            share=float(self.counts[index] / self.counts.sum()),
            normal_forms=int(self.normal_forms[index]),
            level=self.levels[index],
            component=self.components[index],
            severity=float(self.severities[index]),
            first_seen=self._spans[index][0],
            last_seen=self._spans[index][1],
            first_line=first.line_number,
            first_source=first.source,
            timeline=self.timeline_of(index),
            burst=self.burst(index),
            parameters=self._parameters.get(index, ()),
            example=first.content,
            anomaly_score=float(score),
            is_new=bool(self.known[index] == 0) if self.has_baseline else None,
        )

    def lines_by_level(self) -> dict[str, tuple[int, ...]]:
        """Lines per bin for each level, `""` where the header has none; most lines first."""
        table = self._census.table("levels").with_columns(pl.col("level").fill_null(""))
        binned = {str(level): counts for level, counts in _binned(table, "level", self.timeline).items()}
        return dict(sorted(binned.items(), key=lambda item: -sum(item[1])))

    def level_counts(self) -> dict[str, int]:
        """Lines of each level, most first."""
        heads = self._census.table("heads").with_columns(pl.col("level").fill_null(""))
        counted = heads.group_by("level").agg(pl.col("count").sum())
        return dict(counted.sort("count", "level", descending=[True, False]).iter_rows())

    # -- building --

    def _summed(self, census: Census, event_of: NDArray[np.int64]) -> Counts:
        seen = census.table("seen")
        totals = np.zeros(len(self.templates), dtype=np.int64)
        np.add.at(totals, event_of[seen["code"].to_numpy()], seen["count"].to_numpy())
        return totals

    def _baseline_counts(self, baseline: Census | None, forms: list[str]) -> Counts:
        if baseline is None:
            return np.zeros(len(self.templates), dtype=np.int64)
        number = {form: i for i, form in enumerate(forms)}
        return self._summed(baseline, self.event_of[[number[form] for form in baseline.forms]])

    def _describe(self, census: Census, extra: list[str]) -> None:
        """Fills in level, component, severity and first lines."""
        forms = pl.Series("form", [*census.forms, *extra], dtype=pl.String)
        spoken, words = anomaly.word_severity(forms)
        level_of = dict(_most_frequent(census.table("heads"), "code", "level").iter_rows())
        ranked = np.array([anomaly.LEVEL_SEVERITY.get(level_of.get(i) or "", 0.0) for i in range(len(forms))])
        has_level = np.array([level_of.get(i) is not None for i in range(len(forms))], dtype=bool)
        severe = anomaly.severity(ranked, has_level, spoken)
        form_counts = np.zeros(len(forms), dtype=np.int64)
        seen = census.table("seen")
        form_counts[seen["code"].to_numpy()] = seen["count"].to_numpy()
        members: dict[int, list[int]] = defaultdict(list)
        for code, event in enumerate(self.event_of.tolist()):
            members[event].append(code)
        own = len(census.forms)
        self.severities = np.zeros(len(self.templates))
        self.words, self.forms = [""] * len(self.templates), [""] * len(self.templates)
        self.firsts: list[First | None] = [None] * len(self.templates)
        self._earliest: dict[int, First] = {}
        for event, codes in members.items():
            worst = max(codes, key=lambda code: (code < own, severe[code], -code))
            self.severities[event], self.words[event] = severe[worst], words[worst]
            self.forms[event] = forms[max(codes, key=lambda code: (form_counts[code], -code))]
            if worst < own:
                self.firsts[event], self._earliest[event] = census.firsts[worst], census.firsts[codes[0]]
        self._describe_columns(census)

    def _describe_columns(self, census: Census) -> None:
        heads = census.table("heads").join(self._owners, on="code")
        levels = dict(_most_frequent(heads, "event", "level").iter_rows())
        components = dict(_most_frequent(heads, "event", "component").iter_rows())
        self.levels = [levels.get(i) for i in range(len(self.templates))]
        self.components = [components.get(i) for i in range(len(self.templates))]
        spans = census.table("seen").join(self._owners, on="code").group_by("event")
        self._spans = {
            event: (first, last)
            for event, first, last in spans.agg(pl.col("first").min(), pl.col("last").max()).iter_rows()
        }

    def _counts_per_bin(self) -> dict[int, tuple[int, ...]]:
        times = self._census.table("times").join(self._owners, on="code")
        return {int(str(event)): counts for event, counts in _binned(times, "event", self.timeline).items()}


def _has_word(template: str) -> bool:
    return any(map(str.isalpha, _VALUE.sub("", template)))


@dataclass(frozen=True)
class _Grouped:
    """Events of normal forms: templates with `<*>`, as they are shown, and the event of each form."""

    templates: list[str]
    shown: list[str]
    event_of: list[int]
    by_rule: bool


def _parsed(
    forms: list[str], census: Census, baseline: Census | None, parser: ZeroShotParser | None
) -> _Grouped | None:
    """Events as the parser makes them, where there are not too many forms for it."""
    if parser is None or len(forms) > MOST_PARSED:
        return None
    contents = list(census.samples.contents)
    lines = dict(census.table("seen").select("code", "count").iter_rows())
    counts = [lines.get(code, 0) for code in range(len(contents))]
    if baseline is not None:
        sampled = dict(zip(baseline.forms, baseline.samples.contents, strict=True))
        contents += [sampled[form] for form in forms[len(contents) :]]
        counts += [1] * (len(forms) - len(counts))
    stream = ParseStream.of_counted(parser, forms, counts, contents)
    numbers: dict[str, int] = {}
    event_of = [numbers.setdefault(template or "", len(numbers)) for template in stream.event_of]
    shown = [_shown(template, stream.kinds_of(template)) for template in numbers]
    return _Grouped(list(numbers), shown, event_of, by_rule=False)


def _by_rule(forms: list[str]) -> _Grouped:
    grouping = group_forms(forms)
    plain = [_VALUE.sub(WILDCARD, template) for template in grouping.templates]
    return _Grouped(plain, grouping.templates, grouping.event_of, by_rule=True)


_TOKEN_OF = {KINDS.index(name): token for name, token in zip(KINDS[:-1], MASK_TOKENS, strict=True)}


def _shown(template: str, kinds: list[int]) -> str:
    """A template with the mask token of each value's kind."""
    parts = template.split(WILDCARD)
    tokens = [_TOKEN_OF.get(kind, WILDCARD) for kind in kinds]
    return parts[0] + "".join(token + part for token, part in zip(tokens, parts[1:], strict=True))


def _binned(table: pl.DataFrame, key: str, line: Timeline) -> dict[object, tuple[int, ...]]:
    """Sums a table of counts into the display bins; far-off times fall into the first or last one."""
    if not line.starts:
        return {}
    place = ((pl.col("bin") / 1e6 - line.starts[0]) / line.seconds).floor().cast(pl.Int64)
    placed = table.select(key, "count", place=place.clip(0, len(line.starts) - 1))
    rows: dict[object, list[int]] = {}
    for owner, at, count in placed.group_by(key, "place").agg(pl.col("count").sum()).iter_rows():
        rows.setdefault(owner, [0] * len(line.starts))[at] = count
    return {owner: tuple(counts) for owner, counts in rows.items()}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _most_frequent(table: pl.DataFrame, key: str, value: str) -> pl.DataFrame:
    """For each key its most frequent value that is not null; ties go to the first in alphabetical order."""
    counted = table.drop_nulls(value).group_by(key, value).agg(pl.col("count").sum())
    ranked = counted.sort("count", value, descending=[True, False])
    return ranked.group_by(key, maintain_order=True).first().select(key, value)


def _timeline(census: Census) -> Timeline:
    """Chooses at most `MAX_BINS` bins that cover the times, or all but a few far-off ones."""
    times = census.table("times").group_by("bin").agg(pl.col("count").sum()).sort("bin")
    if times.is_empty():
        return Timeline()
    starts, counts = times["bin"].to_numpy() / 1e6, times["count"].to_numpy()
    share = np.cumsum(counts) / counts.sum()
    edges = np.minimum(np.searchsorted(share, (0.001, 0.999)), len(starts) - 1)
    low, high = starts[edges]
    if starts[-1] - starts[0] <= 20 * max(high - low, census.bin_seconds):
        low, high = starts[0], starts[-1]
    seconds = _bin_width(float(high - low), census.bin_seconds)
    first = low - low % seconds
    number = int((high - first) // seconds) + 1
    outside = int(counts[(starts < first) | (starts >= first + number * seconds)].sum())
    return Timeline(tuple(float(first + i * seconds) for i in range(number)), seconds, outside)


def _bin_width(span: float, at_least: float) -> float:
    widths = [width for width in BIN_SECONDS if width >= at_least and span / width < MAX_BINS]
    if widths:
        return float(widths[0])
    width = float(max(BIN_SECONDS[-1], at_least))
    while span / width >= MAX_BINS:
        width *= 2
    return width


def _parameters(
    census: Census, event_of: NDArray[np.int64], templates: list[str]
) -> dict[int, tuple[Parameter, ...]]:
    """The most frequent values in each variable place of each event."""
    owners = pl.DataFrame(
        {"code": np.arange(len(census.forms), dtype=np.int32), "event": event_of[: len(census.forms)]}
    )
    keys = ["event", "slot", "token"]
    placed = _placed_values(census, event_of, templates).join(owners, on="code")
    counted = placed.group_by(*keys, "value").agg(pl.col("count").sum())
    counted = counted.sort("count", "value", descending=[True, False])
    summary = counted.group_by(keys, maintain_order=True).agg(
        pl.len().alias("distinct"), pl.col("value").head(TOP_VALUES), pl.col("count").head(TOP_VALUES)
    )
    found: dict[int, list[Parameter]] = defaultdict(list)
    for event, _, token, distinct, values, counts in summary.sort("event", "slot").iter_rows():
        top = tuple(zip(values, counts, strict=True))
        found[event].append(Parameter(len(found[event]), token, distinct, top))
    return {event: tuple(parameters) for event, parameters in found.items()}


def _placed_values(census: Census, event_of: NDArray[np.int64], templates: list[str]) -> pl.DataFrame:
    """Values with the place ("slot") they have in their event: masked values, and words under a wildcard."""
    known = [Template(template) for template in templates]
    slots: list[tuple[int, int, int]] = []
    words: list[tuple[int, int, str, str]] = []
    for code, form in enumerate(census.forms):
        masks = [match.span() for match in _VALUE.finditer(form)]
        places = known[event_of[code]].spans(form)
        if places is None:
            slots += [(code, ordinal, _SLOTS * ordinal) for ordinal in range(len(masks))]
            continue
        for place, (start, end) in enumerate(places):
            inside = [n for n, (first, last) in enumerate(masks) if start <= first and last <= end]
            slots += [(code, ordinal, _SLOTS * place + nth) for nth, ordinal in enumerate(inside)]
            if not inside and end > start:
                text = form[start:end]
                words.append((code, _SLOTS * place, "[NUM]" if text == "0" else WILDCARD, text))
    return _joined_values(census, slots, words)


def _joined_values(
    census: Census, slots: list[tuple[int, int, int]], words: list[tuple[int, int, str, str]]
) -> pl.DataFrame:
    """Counts of masked values by (code, position) and of spelled words by code, each in its slot."""
    by_position = pl.DataFrame(
        slots, schema=["code", "position", "slot"], orient="row", infer_schema_length=1
    )
    by_word = pl.DataFrame(
        words, schema=["code", "slot", "token", "value"], orient="row", infer_schema_length=1
    )
    columns = ["code", "slot", "token", "value", "count"]
    parts = [pl.DataFrame(schema=_VALUES)]
    if slots:
        keys = ["code", "position"]
        masked = census.table("values").join(by_position.cast({"code": pl.Int32}), on=keys)
        parts.append(masked.select(columns))
    if words:
        spelled = census.table("seen").join(by_word.cast({"code": pl.Int32}), on="code")
        parts.append(spelled.select(columns))
    return pl.concat(parts)
