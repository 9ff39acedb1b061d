"""The fast ways of reading give what the plain ways give: any lines, layouts, timestamps and bytes."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.logs.detection import LAYOUTS
from biglog.logs.domains import DOMAINS
from biglog.logs.formats.columns import PADDING, Stretches, split_lines, stretches
from biglog.logs.formats.header import HEADER_COLUMNS, Layout, canonical_levels
from biglog.logs.formats.repeats import find_repeats
from biglog.logs.formats.words import read_words
from biglog.logs.sources.decoding import decode
from biglog.logs.timestamps import FORMATS, UTC_MICROSECONDS, Clock, parse_timestamps

WRITTEN = datetime(2015, 12, 1, tzinfo=UTC)
WITH_WORDS = sorted(name for name, form in LAYOUTS.items() if getattr(form, "_plan", None) is not None)
REAL = {path.stem: path.read_text().splitlines() for path in sorted(LINES.glob("*.log"))}
ODD = " :[](){}<>|-+.,Z0123456789TAa\t\n\r\x00\x1c\x85\u00a0\u2003\u00e9\ufeff\U0001f600"


def clock(layout):
    return Clock(zone=layout.zone, written=WRITTEN)


def one_by_one(texts, form, clock):
    """Each text parsed alone, in order: no neighbours to learn from."""
    parsed = [parse_timestamps(pl.Series([text], dtype=pl.String), form, clock) for text in texts]
    return pl.concat([pl.Series([], dtype=UTC_MICROSECONDS), *parsed])


def by_regex(layout, lines):
    """What `Layout.read` returns, from the regex of the whole header alone."""
    groups = lines.str.extract_groups(layout.pattern).struct.unnest()
    columns = {
        name: groups[name] if name in groups.columns else pl.Series([None] * len(lines), dtype=pl.String)
        for name in ("timestamp", *HEADER_COLUMNS)
    }
    columns["level"] = canonical_levels(columns["level"], layout.levels)
    header = groups["header"].to_list()
    contents = [
        line if head is None else pl.Series([line[len(head) :]]).str.strip_chars_end()[0]
        for line, head in zip(lines, header, strict=True)
    ]
    found = pl.Series([head is not None for head in header], dtype=pl.Boolean)
    times = pl.Series([None] * len(lines), dtype=UTC_MICROSECONDS)
    if layout.timestamp is not None:
        # A clock moves with every timestamp, so all must be parsed together where the year is not written.
        if layout.timestamp.yearless:
            times = parse_timestamps(columns["timestamp"], layout.timestamp, clock(layout))
        else:
            times = one_by_one(columns["timestamp"], layout.timestamp, clock(layout))
    return pl.DataFrame(
        {
            **columns,
            "timestamp": times,
            "content": pl.Series(contents, dtype=pl.String),
            "has_header": found,
            "bad_timestamp": found & times.is_null() & ("timestamp" in groups.columns),
        }
    )


def assert_same(layout, lines):
    found, expected = layout.read(lines, clock(layout)), by_regex(layout, lines)
    assert found.schema == expected.schema
    for name in expected.columns:
        assert found[name].to_list() == expected[name].to_list(), (layout.name, name)


# --- headers ---


@st.composite
def edited(draw, line):
    """A line with up to two edits: characters put in, taken out, doubled, or its end cut off."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(line)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "double", "cut", "append"]))
        if kind == "insert":
            line = line[:at] + draw(st.text(ODD, max_size=3)) + line[at:]
        elif kind == "replace":
            line = line[:at] + draw(st.sampled_from(ODD)) + line[at + 1 :]
        elif kind == "delete":
            line = line[:at] + line[at + draw(st.integers(1, 12)) :]
        elif kind == "double":
            line = line[:at] + line[at : at + 1] + line[at:]
        elif kind == "cut":
            line = line[:at]
        else:
            line += draw(st.sampled_from([" ", "  ", "\t", "\r", "\u00a0", " \u2003", "\x1c"]))
    return line


@st.composite
def logs(draw):
    """A layout that begins with words, and mostly lines of one domain."""
    name = draw(st.sampled_from(WITH_WORDS))
    own = st.sampled_from(REAL[name])
    line = st.one_of(own.flatmap(edited), own, st.text(ODD, max_size=40))
    return LAYOUTS[name], draw(st.lists(line, min_size=1, max_size=12))


@settings(deadline=None, max_examples=150)
@given(logs())
def test_words_are_read_as_the_regex_reads_them(log):
    layout, lines = log
    assert_same(layout, pl.Series(lines, dtype=pl.String))


@settings(deadline=None, max_examples=40)
@given(logs(), st.integers(0, 11), st.integers(0, 2**32 - 1))
def test_so_are_lines_that_share_a_buffer_in_part_or_in_another_order(log, skipped, seed):
    layout, lines = log
    joined, _ = split_lines("\n".join(line.replace("\n", "") for line in lines).encode())
    assert_same(layout, joined.slice(skipped))
    order = np.random.default_rng(seed).permutation(len(joined))
    assert_same(layout, joined[order])
    assert_same(layout, pl.concat([joined, joined], rechunk=False))


@pytest.mark.parametrize("name", ["BGL", "HDFS", "Spark"])
def test_one_character_more_or_another_at_every_place(name):
    layout, line = LAYOUTS[name], REAL[name][0]
    edits = [line[:at] + letter + line[at + cut :] for at in range(90) for letter in " Z5:" for cut in (0, 1)]
    # Most lines must be ordinary, or all are left to the regex.
    found = layout.read(pl.Series([*edits, *[line] * len(edits)]), clock(layout)).head(len(edits))
    expected = by_regex(layout, pl.Series(edits))
    assert found.select(expected.columns).equals(expected)


ZONES = [
    "2015-10-18 18:01:47,978 Z INFO: a.b.Foo: x",
    "2015-10-18 18:01:47,978 -02 INFO: a.b.Foo: x",
    "2015-10-18 18:01:47,978 Z a.b.Foo: x",
    "2015-10-18 18:01:47,978 Z Z a.b.Foo: x",
    "2015-10-18 18:01:47,978 +02:00 INFO a.b.Foo: x",
    "2015-10-18 18:01:47,978 -02 INFO a.b.Foo: x",
    "2015-10-18T18:01:47,978 INFO a.b.Foo: x",
    "2015-10-18 18:01:47Z INFO a.b.Foo: x",
    "2015-10-18 18:01:47.5-07 INFO a.b.Foo: x",
]
SERVICE = Layout(
    *("service", "<Date> <Time> <Level> <Component>: <Content>", FORMATS["iso"], ("Date", "Time")),
    fields={"Component": "[^ :]+"},
)


@pytest.mark.parametrize("line", ZONES)
def test_a_zone_after_a_space_is_not_taken_for_a_level(line):
    usual = "2015-10-18 18:01:47,978 INFO a.b.Foo: x"
    assert SERVICE._plan is not None
    assert_same(SERVICE, pl.Series([usual, line, usual, usual]))


@pytest.mark.parametrize("name", ["BGL", "HDFS", "Spark", "OpenStack", "Thunderbird"])
def test_ordinary_lines_need_no_regex_of_the_whole_header(name):
    lines, _ = split_lines(("\n".join(REAL[name]) + "\n").encode())
    found = read_words(LAYOUTS[name]._plan, lines)
    assert found is not None
    assert found.good.all()


@needs_data
@pytest.mark.parametrize("domain", sorted(set(DOMAINS) & set(WITH_WORDS)))
def test_real_lines(domain):
    data = (DATA / "loghub_2k" / domain / f"{domain}_2k.log").read_bytes()
    lines = decode(data, "utf-8", False, 0).lines
    assert_same(LAYOUTS[domain], lines.head(200))
    assert_same(LAYOUTS[domain], lines.gather_every(20))


# --- timestamps ---


@st.composite
def stamp_texts(draw):
    """A format, and texts of it that are often neighbours in time, often of one length, sometimes wrong."""
    form = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    seen = [
        ("iso", "2005-{m:02}-{d:02}T{h:02}:30:{s:02}.{f:06}"),
        ("iso", "1969-12-31 23:59:{s:02},{f:03}"),
        ("iso", "2005-{m:02}-{d:02} {h:02}:30:{s:02}.{f:09}+01:30"),
        ("iso", "2005-{m:02}-{d:02} {h:02}:30:{s:02}Z"),
        ("slashes", "2005/{m:02}/{d:02} {h:02}:30:{s:02}.{f}"),
        ("bluegene", "2005-{m:02}-{d:02}-{h:02}.30.{s:02}.{f:06}"),
        ("compact", "05{m:02}{d:02} {h:02}30{s:02}"),
        ("weekday", "Sun Apr {d:02} {h:02}:30:{s:02}.{f:06} 2005"),
        ("clf", "{d:02}/Apr/2005:{h:02}:30:{s:02} -0700"),
        ("healthapp", "2005{m:02}{d:02}-{h}:30:{s}:{f}"),
        ("epoch", "11178385{s:02}.{f}"),
        ("epoch-ms", "11178385{s:02}{f:03}"),
    ]
    name, pattern = draw(st.sampled_from(seen))
    text = st.builds(
        lambda m, d, h, s, f: pattern.format(m=m, d=d, h=h, s=s, f=f),
        *(st.integers(*bounds) for bounds in ((1, 13), (1, 31), (1, 2), (58, 61))),
        st.integers(0, 999999),
    )
    near = st.integers(58, 60).map(lambda s: pattern.format(m=4, d=3, h=2, s=s, f=s * 1001))
    texts = draw(st.lists(st.one_of(near, text, st.none(), st.text(ODD, max_size=4)), max_size=12))
    return draw(st.sampled_from([FORMATS[name], FORMATS[name], form])), texts


@settings(deadline=None, max_examples=150)
@given(stamp_texts(), st.sampled_from(["UTC", "America/Los_Angeles", "Europe/Berlin"]))
def test_neighbours_in_time_are_parsed_as_each_alone(stamps, zone):
    form, texts = stamps
    if form.yearless:
        return
    column = pl.Series(texts, dtype=pl.String)
    expected = one_by_one(texts, form, Clock(zone=zone))
    assert parse_timestamps(column, form, Clock(zone=zone)).equals(expected)


@pytest.mark.parametrize("fraction", ["", ",9", ".999999", ",999999999"])
@pytest.mark.parametrize(
    "second",
    ["2005-04-03 01:59:59", "2005-04-03 02:30:00", "2005-10-30 01:30:00", "1969-12-31 15:59:59"],
)
def test_fractions_at_the_turns_of_a_zone(second, fraction):
    texts = [second + fraction, second + fraction.replace("9", "0"), second + fraction]
    for zone in ("America/Los_Angeles", "UTC"):
        expected = one_by_one(texts, FORMATS["iso"], Clock(zone=zone))
        found = parse_timestamps(pl.Series(texts), FORMATS["iso"], Clock(zone=zone))
        assert found.equals(expected)


def test_zones_of_neighbours():
    texts = ["2005-04-03 02:30:00.5+01:00", "2005-04-03 02:30:00.5+02:00", "2005-04-03 02:30:00.7+02:00"]
    found = parse_timestamps(pl.Series(texts), FORMATS["iso"], Clock())
    assert found.equals(one_by_one(texts, FORMATS["iso"], Clock()))
    assert found.dt.hour().to_list() == [1, 0, 0]


def test_a_run_is_what_differs_in_its_fraction_only():
    texts = ["2005-06-03 15:42:50.123", "2005-06-03 15:42:50.456", "2005-06-03 15:42:51.456"]
    runs = find_repeats(pl.Series(texts), 20)
    assert runs.firsts.tolist() == [0, 2]
    assert runs.micros.tolist() == [123_000, 456_000, 456_000]
    assert find_repeats(pl.Series(texts)).firsts.tolist() == [0, 1, 2]
    # A fraction of another length stands in another place of the text: no arithmetic then.
    assert find_repeats(pl.Series([*texts, texts[0] + "1"]), 20).micros is None


# --- lines and columns ---


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"long enough for a view ", b"\xc3\xa9", b"\xff"]))
)
@example([b"\r"])
@example([b"\xff", b"\r", b"\r\n", b"\r\n"])
def test_lines_are_those_of_the_text(parts):
    data = b"".join(parts)
    run = decode(data, "utf-8", False, 0)
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    assert run.lines.to_list() == (text.removesuffix("\n") if text.endswith("\n") else text).split("\n")
    assert all(b"\xff" in raw for raw in run.raw.values())
    assert len(run.raw) == sum(b"\xff" in line for line in data.split(b"\n"))


@settings(deadline=None)
@given(st.text(ODD, max_size=60), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]))
def test_control_lines_are_counted(text, encoding):
    run = decode(text.encode(encoding), encoding, False, 0)
    assert run.control_lines == sum(
        any(ord(letter) == 127 or (ord(letter) < 32 and letter not in "\t\r") for letter in line)
        for line in text.split("\n")
    )


@settings(deadline=None)
@given(st.lists(st.text(max_size=20)), st.integers(0, 5))
def test_stretches_and_strings_are_inverse(texts, skipped):
    column = pl.Series(texts, dtype=pl.String)
    copied = pl.concat([column, pl.Series(["x" * PADDING + "end"])])
    found = stretches(copied.slice(skipped))
    if found is not None:
        # Polars holds short strings elsewhere, and a last one has no padding: these are empty.
        strings = found.strings.to_list()
        assert all(a in ("", b) for a, b in zip(strings, copied.slice(skipped), strict=True))
    data = "\n".join(text.replace("\n", "").replace("\r", "") for text in texts).encode()
    lines, _ = split_lines(data)
    again = stretches(lines)
    if again is not None:
        short = (lines.str.len_bytes() <= 12).to_numpy()
        assert np.array_equal(again.lengths == 0, short | (lines == "").to_numpy())
    assert stretches(pl.Series(["a", None])) is None


def placed(texts):
    """Stretches that hold the texts."""
    parts = [text.encode() for text in texts]
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    buffer = np.frombuffer(b"".join(parts) + bytes(PADDING), dtype=np.uint8)
    return Stretches(buffer, sizes.cumsum() - sizes, sizes.cumsum())


@settings(deadline=None)
@given(st.lists(st.text("09AZ/:@[ a\u00e9", max_size=18), min_size=1))
def test_ranges_of_bytes(texts):
    column = placed(texts)
    for low, high in (("0", "9"), ("A", "Z")):
        expected = [
            0 < len(text.encode()) <= 16 and all(low <= byte <= high for byte in text) for text in texts
        ]
        assert column.within(ord(low), ord(high)).tolist() == expected
    assert column.without(ord(":")).tolist() == [text != "" and ":" not in text for text in texts]
    assert column.strings.to_list() == texts


@given(st.integers(0, 130), st.integers(0, 130))
def test_a_byte_is_looked_for_as_far_as_marks_reach(before, length):
    found = placed(["." * before, "x" * length + ":", ":"])
    assert found.without(ord(":")).tolist() == [0 < before <= 57, False, False]
    assert Stretches(found.buffer, found.starts, found.ends - [0, 1, 1]).without(ord(":")).tolist() == [
        *(0 < before <= 57, 0 < length <= 57, False)
    ]


@settings(deadline=None)
@given(st.lists(st.text("abAB\u00e9", max_size=6), min_size=1, max_size=40))
@example([f"n{number}" for number in range(16)])
@example([f"n{number}" for number in range(17)])
def test_translation_of_few_values(texts):
    column = placed(texts)
    found = column.translated(lambda text: text.upper() + "!")
    if len(set(texts)) > 16 or max(len(text.encode()) for text in texts) > 8:
        assert found is None
    else:
        assert found.to_list() == [text.upper() + "!" for text in texts]
    assert column.translated(lambda _: None) is None


@settings(deadline=None)
@given(st.lists(st.text(ODD, max_size=6), min_size=1))
def test_white_space_at_the_end_is_what_polars_takes_for_it(texts):
    assert placed(texts).stripped().strings.to_list() == pl.Series(texts).str.strip_chars_end().to_list()


def test_a_layout_of_a_user_is_read_by_its_regex():
    layout = Layout("own", "<Date> <Content>", fields={"": ".*?"})
    assert layout._plan is None
    assert_same(layout, pl.Series(["a b c", "d", ""]))
