"""Analyses put together by hand from real lines, for the tests of the report and of the terminal summary.

The lines are from Loghub (https://github.com/logpai/loghub): BGL_2k.log, lines 1, 5, 6, 8-10, 131-134 and
248, and OpenSSH_2k.log, lines 1-3 and 7 (their headers carry no level).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from biglog.inference.analysis import (
    Analysis,
    Burst,
    ContextLine,
    Event,
    OddLine,
    Parameter,
    Source,
)

BGL = """\
- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected
- 1117842440 2005.06.03 R23-M0-NE-C:J05-U01 2005-06-03-16.47.20.730545 R23-M0-NE-C:J05-U01 RAS KERNEL INFO 63543 double-hummer alignment exceptions
- 1117842974 2005.06.03 R24-M0-N1-C:J13-U11 2005-06-03-16.56.14.254137 R24-M0-N1-C:J13-U11 RAS KERNEL INFO 162 double-hummer alignment exceptions
- 1117848119 2005.06.03 R16-M1-N2-C:J17-U01 2005-06-03-18.21.59.871925 R16-M1-N2-C:J17-U01 RAS KERNEL INFO CE sym 2, at 0x0b85eee0, mask 0x05
APPREAD 1117869872 2005.06.04 R04-M1-N4-I:J18-U11 2005-06-04-00.24.32.432192 R04-M1-N4-I:J18-U11 RAS APP FATAL ciod: failed to read message prefix on control stream (CioStream socket to 172.16.96.116:33569
APPREAD 1117869876 2005.06.04 R27-M1-N4-I:J18-U01 2005-06-04-00.24.36.222560 R27-M1-N4-I:J18-U01 RAS APP FATAL ciod: failed to read message prefix on control stream (CioStream socket to 172.16.96.116:33370
KERNDTLB 1118544523 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-19.48.43.752466 R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt
KERNDTLB 1118544625 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-19.50.25.307011 R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt
KERNDTLB 1118544942 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-19.55.42.506216 R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt
KERNDTLB 1118545027 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-19.57.07.898567 R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt
- 1118770309 2005.06.14 R20-M1-NB-C:J03-U11 2005-06-14-10.31.49.464584 R20-M1-NB-C:J03-U11 RAS KERNEL FATAL program interrupt: trap instruction.........0
""".splitlines()  # noqa: E501

OPENSSH = """\
Dec 10 06:55:46 LabSZ sshd[24200]: reverse mapping checking getaddrinfo for ns.marryaldkfaczcz.com [173.234.31.186] failed - POSSIBLE BREAK-IN ATTEMPT!
Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186
Dec 10 06:55:46 LabSZ sshd[24200]: input_userauth_request: invalid user webmaster [preauth]
Dec 10 06:55:48 LabSZ sshd[24200]: Connection closed by 173.234.31.186 [preauth]
""".splitlines()  # noqa: E501

HOSTILE = [
    "<script>document.title='owned';window.owned=1</script>",
    '<img src=x onerror="window.owned=2"> \' " & &lt;b&gt; </code></details></table>',
    "{{ 7*7 }} {% raw %} ${owned} `window.owned=3` %{customdata} [bold red]markup[/bold red] [/]",
    "</script><script>window.owned=4</script><!-- <svg onload=window.owned=5> ]]> javascript:alert(1)",
    "nul \x00 bell \x07 escape \x1b[31;1mred\x1b[0m \x1b]0;owned\x07 backspace \x08 c1 \x9b31m",
    "admin\u202egnp.exe\u202c zero\u200bwidth \u2066isolate\u2069 \ufeffbom \u2028line \u2029par",
    "tag \U000e0001 lone surrogate \udc80 and private \ue000",
    "https://example.invalid/b.png url(https://example.invalid/x) <link rel=stylesheet href=//y.invalid>",
]
"""Contents that try to run, to break out, to phone home, or to make a reader see something else."""

_VALUE = re.compile(r"(?P<IP>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?)|(?P<CODE>0x[0-9a-f]+)|(?P<NUM>\b\d+\b)")
_LEVELS = {"FATAL": 1.0, "ERROR": 0.7, "WARNING": 0.4}
Record = tuple[str, str, datetime | None, str | None, str | None]  # line, content, time, level, component


def bgl_records() -> list[Record]:
    records: list[Record] = []
    for line in BGL:
        fields = line.split(" ", 9)
        time = datetime.strptime(fields[4], "%Y-%m-%d-%H.%M.%S.%f").replace(tzinfo=UTC)
        records.append((line, fields[9], time, fields[8], fields[7]))
    return records


def openssh_records() -> list[Record]:
    records: list[Record] = []
    for line in OPENSSH:
        time = datetime.strptime(f"2023 {line[:15]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        records.append((line, line.split(": ", 1)[1], time, None, "sshd"))
    return records


def plain_records(contents: Sequence[str]) -> list[Record]:
    """Lines without any header."""
    return [(content, content, None, None, None) for content in contents]


def spans(content: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((m.start(), m.end(), f"[{m.lastgroup}]") for m in _VALUE.finditer(content))


def analysis_of(records: Sequence[Record], *, odd: int = 4, bins: int = 24, **changes: Any) -> Analysis:
    """An analysis of records: an event for each masked text, and the rarest contents as odd lines."""
    times = [time for _, _, time, _, _ in records if time]
    start, end = (min(times), max(times)) if times else (None, None)
    width = max((end - start).total_seconds() / (bins - 1), 1.0) if start and end else None
    starts = tuple(start + timedelta(seconds=width * i) for i in range(bins)) if start and width else ()
    groups: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        groups.setdefault(_VALUE.sub(lambda m: f"[{m.lastgroup}]", record[1]), []).append(number)
    levels = {level or "": [0] * len(starts) for _, _, _, level, _ in records}
    for _, _, time, level, _ in records:
        if time and start and width:
            levels[level or ""][int((time - start).total_seconds() // width)] += 1
    events = [
        _event(i, text, numbers, records, starts, width) for i, (text, numbers) in enumerate(groups.items())
    ]
    events.sort(key=lambda event: -event.count)
    analysis = Analysis(
        version="0.1.0",
        model="biglog-mini",
        masking_version="1",
        sources=(
            Source("BGL_2k.log", len(records), sum(len(r[0]) + 1 for r in records), "BGL", 1.0, 0, 0, ()),
        ),
        lines=len(records),
        bytes=sum(len(record[0]) + 1 for record in records),
        normal_forms=len(groups),
        start=start,
        end=end,
        bin_seconds=width,
        bins=starts,
        levels={level: tuple(counts) for level, counts in levels.items()},
        level_counts=dict(Counter(level or "" for _, _, _, level, _ in records)),
        events=tuple(events),
        odd_lines=tuple(_odd(rank, event, records) for rank, event in enumerate(_rarest(events)[:odd], 1)),
        baseline=None,
        notes=(),
        seconds={"start": 1.3, "read": 0.04, "mask": 0.02, "encode": 0.31, "score": 0.05, "report": 0.0},
    )
    return dataclasses.replace(analysis, **changes)


def _rarest(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: -event.anomaly_score)


def _event(
    index: int,
    template: str,
    numbers: Sequence[int],
    records: Sequence[Record],
    starts: Sequence[datetime],
    width: float | None,
) -> Event:
    timeline = [0] * len(starts)
    times = [time for n in numbers if (time := records[n][2])]
    for time in times:
        timeline[int((time - starts[0]).total_seconds() // (width or 1))] += 1
    _, content, _, level, component = records[numbers[0]]
    burst = Burst(min(times), max(times), len(numbers), 0.4) if len(numbers) > 3 and times else None
    severity = _LEVELS.get(level or "", 0.1)
    values = [[records[n][1][a:b] for a, b, _ in spans(records[n][1])] for n in numbers]
    return Event(
        event_id=f"e{index:03d}",
        template=template,
        count=len(numbers),
        share=len(numbers) / len(records),
        normal_forms=1,
        level=level,
        component=component,
        severity=severity,
        first_seen=min(times, default=None),
        last_seen=max(times, default=None),
        first_line=numbers[0] + 1,
        first_source="BGL_2k.log",
        timeline=tuple(timeline),
        burst=burst,
        parameters=tuple(
            Parameter(i, token, len(counts := Counter(v[i] for v in values)), tuple(counts.most_common(3)))
            for i, (_, _, token) in enumerate(spans(content))
        ),
        example=content,
        anomaly_score=severity / 2 + 0.5 / len(numbers),
        is_new=None,
    )


def _odd(rank: int, event: Event, records: Sequence[Record]) -> OddLine:
    at = event.first_line - 1
    line, content, time, level, component = records[at]
    near = [ContextLine(i + 1, record[0]) for i, record in enumerate(records)]
    return OddLine(
        rank=rank,
        source=event.first_source,
        line_number=event.first_line,
        line=line,
        content=content,
        event_id=event.event_id,
        anomaly_score=event.anomaly_score,
        reasons=(f"rare: {event.count} of {len(records)} lines", "far from every common line"),
        count=event.count,
        timestamp=time,
        level=level,
        component=component,
        spans=spans(content),
        before=tuple(near[max(0, at - 2) : at]),
        after=tuple(near[at + 1 : at + 3]),
    )


def bgl(**changes: Any) -> Analysis:
    return analysis_of(bgl_records(), **changes)


def hostile() -> Analysis:
    """Hostile text wherever text of a log, of a path or of a baseline can stand."""
    time = datetime(2024, 2, 29, 12, tzinfo=UTC)
    records = [
        (f"host app: {text}", text, time + timedelta(seconds=i), HOSTILE[0][:30], HOSTILE[1])
        for i, text in enumerate(HOSTILE)
    ]
    analysis = analysis_of(records, odd=len(records))
    odd = [
        dataclasses.replace(line, reasons=(line.content, "x" * 300), event_id=HOSTILE[0])
        for line in analysis.odd_lines
    ]
    events = [
        dataclasses.replace(event, event_id=HOSTILE[i], is_new=True)
        for i, event in enumerate(analysis.events)
    ]
    source = dataclasses.replace(analysis.sources[0], name=HOSTILE[3], layout=HOSTILE[0])
    return dataclasses.replace(
        analysis,
        sources=(source, source),
        odd_lines=tuple(odd),
        events=tuple(events),
        notes=(HOSTILE[0], HOSTILE[4]),
        baseline=HOSTILE[5],
        model=HOSTILE[1],
    )


def with_line(text: str) -> Analysis:
    """A text as the line, the context, the template and a parameter of one event."""
    analysis = analysis_of(plain_records(["data TLB error interrupt 1", "short", "short"]))
    odd, event = analysis.odd_lines[0], analysis.events[1]
    odd = dataclasses.replace(odd, line=text, content=text, spans=(), before=(ContextLine(1, text),))
    parameter = dataclasses.replace(event.parameters[0], top=((text, 1),))
    event = dataclasses.replace(event, template=text, example=text, parameters=(parameter,))
    return dataclasses.replace(analysis, odd_lines=(odd,), events=(event, analysis.events[0]))


def many(count: int = 180) -> Analysis:
    """As many events as asked for, each a different word in a real line."""
    records = bgl_records()
    line, content, time, level, component = records[6]
    assert time
    words = [f"unit-{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(count)]
    more: list[Record] = [
        (line, f"{content} {word}", time + timedelta(minutes=i), level, component)
        for i, word in enumerate(words)
    ]
    return analysis_of([*records, *more])
