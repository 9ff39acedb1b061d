"""Timestamp texts as real logs have them, to UTC."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.timestamps import (
    FORMATS,
    UTC_MICROSECONDS,
    Clock,
    guess_format,
    known_zone,
    parse_timestamps,
)

WRITTEN = datetime(2006, 2, 28, 12, tzinfo=UTC)


def parse(form, *texts, **clock):
    column = pl.Series(texts, dtype=pl.String)
    parsed = parse_timestamps(column, FORMATS[form], Clock(**{"written": WRITTEN, **clock}))
    assert parsed.dtype == UTC_MICROSECONDS
    assert len(parsed) == len(column)
    return [None if point is None else point.strftime("%Y-%m-%dT%H:%M:%S.%f") for point in parsed]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("iso", "2015-10-18 18:01:47,978", "2015-10-18T18:01:47.978000"),
        ("iso", "2015-10-18T18:01:47.123456789Z", "2015-10-18T18:01:47.123456"),
        ("iso", "2015-10-18T18:01:47+02:00", "2015-10-18T16:01:47.000000"),
        ("iso", "2018-01-05 04:34:57-08", "2018-01-05T12:34:57.000000"),
        ("iso", "2022-10-08T06:43:19-0730", "2022-10-08T14:13:19.000000"),
        ("slashes", "2020/03/06 06:30:43", "2020-03-06T06:30:43.000000"),
        ("short-slashes", "17/06/09 20:10:40", "2017-06-09T20:10:40.000000"),
        ("compact", "081109 203615", "2008-11-09T20:36:15.000000"),
        ("rfc3164", "Jul  7 08:06:15", "2005-07-07T08:06:15.000000"),
        ("weekday", "Sun Dec 04 04:47:44 2005", "2005-12-04T04:47:44.000000"),
        ("weekday", "Mon Oct 10 23:56:29.204401 2022", "2022-10-10T23:56:29.204401"),
        ("clf", "06/Mar/2020:06:30:43 -0800", "2020-03-06T14:30:43.000000"),
        ("android", "03-17 16:13:38.811", "2005-03-17T16:13:38.811000"),
        ("proxifier", "10.30 16:49:06", "2005-10-30T16:49:06.000000"),
        ("klog", "0120 11:42:11.676451", "2006-01-20T11:42:11.676451"),
        ("bluegene", "2005-06-03-15.42.50.675872", "2005-06-03T15:42:50.675872"),
        ("healthapp", "20171223-22:15:29:606", "2017-12-23T22:15:29.606000"),
        ("healthapp", "20171224-0:0:0:6", "2017-12-24T00:00:00.006000"),
        ("epoch", "1117838570", "2005-06-03T22:42:50.000000"),
        ("epoch", "1117838570.123456789", "2005-06-03T22:42:50.123456"),
        ("epoch-ms", "1117838570123", "2005-06-03T22:42:50.123000"),
        ("epoch-us", "1117838570123456", "2005-06-03T22:42:50.123456"),
        ("epoch-ns", "1117838570123456789", "2005-06-03T22:42:50.123456"),
    ],
)
def test_each_format(form, text, expected):
    assert pl.Series([text]).str.contains(f"^(?:{FORMATS[form].pattern})$").all()
    assert parse(form, text) == [expected]


def test_what_is_no_point_in_time_is_null():
    assert parse("iso", "2015-13-18 18:01:47", None, "2015-10-18 18:01:47") == [
        None,
        None,
        "2015-10-18T18:01:47.000000",
    ]
    assert parse("rfc3164", "Feb 30 00:00:00") == [None]
    assert parse("rfc3164") == []


def test_a_column_may_mix_zones():
    assert parse("iso", "2015-10-18T18:00:00Z", "2015-10-18T18:00:00+02:00", "2015-10-18T18:00:00") == [
        "2015-10-18T18:00:00.000000",
        "2015-10-18T16:00:00.000000",
        "2015-10-18T18:00:00.000000",
    ]


def test_zone_of_timestamps_without_one():
    # BGL's own line: epoch 1117838570 stands beside this local time.
    assert parse("bluegene", "2005-06-03-15.42.50.675872", zone="America/Los_Angeles") == [
        "2005-06-03T22:42:50.675872"
    ]
    assert parse("iso", "2015-10-18T18:00:00Z", zone="Asia/Tokyo") == ["2015-10-18T18:00:00.000000"]
    assert parse("iso", "2015-10-18T18:00:00", zone="Asia/Tokyo") == ["2015-10-18T09:00:00.000000"]


def test_unknown_zone_is_refused():
    with pytest.raises(InputError, match="Mars/Olympus"):
        known_zone("Mars/Olympus")


def test_year_is_the_latest_that_is_not_in_the_future():
    assert parse("rfc3164", "Feb 28 23:00:00") == ["2006-02-28T23:00:00.000000"]
    assert parse("rfc3164", "Mar  2 00:00:00") == ["2005-03-02T00:00:00.000000"]
    assert parse("rfc3164", "Mar  2 00:00:00", year=1999) == ["1999-03-02T00:00:00.000000"]


def test_year_turns_in_the_file_and_late_lines_of_the_old_year_stay_there():
    texts = (
        "Jun  9 06:06:20",
        "Dec 31 23:59:59",
        None,
        "Jan  1 00:00:01",
        "Dec 31 23:59:58",
        "Jan  1 00:00:02",
    )
    years = [text and text[:4] for text in parse("rfc3164", *texts)]
    assert years == ["2005", "2005", None, "2006", "2005", "2006"]


def test_year_goes_on_in_the_next_batch():
    clock = Clock(written=WRITTEN)
    first = parse_timestamps(pl.Series(["Dec 31 23:59:59"]), FORMATS["rfc3164"], clock)
    second = parse_timestamps(pl.Series(["Jan  1 00:00:01"]), FORMATS["rfc3164"], clock)
    assert (first[0].year, second[0].year) == (2005, 2006)


def test_february_29_moves_to_a_year_that_has_it():
    assert parse("rfc3164", "Feb 28 10:00:00", "Feb 29 10:00:00")[1] == "2004-02-29T10:00:00.000000"
    assert parse("rfc3164", "Dec 31 10:00:00", "Feb 29 10:00:00") == [
        "2003-12-31T10:00:00.000000",
        "2004-02-29T10:00:00.000000",
    ]
    assert parse("rfc3164", "Feb 29 10:00:00", year=2005) == [None]


@settings(deadline=None)
@given(st.lists(st.integers(0, 86400 * 20), min_size=1, max_size=60), st.integers(1, 366))
def test_years_of_an_ordered_log_are_the_true_ones(gaps, first_day):
    """However often the year turns, timestamps without a year come back as they were (gaps up to 20 days)."""
    start = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=first_day)
    true = [start + timedelta(seconds=sum(gaps[: index + 1])) for index in range(len(gaps))]
    texts = pl.Series([point.strftime("%b %e %H:%M:%S") for point in true])
    parsed = parse_timestamps(texts, FORMATS["rfc3164"], Clock(year=true[0].year))
    assert parsed.to_list() == true


@settings(deadline=None)
@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31)),
    st.sampled_from(["T", " "]),
    st.sampled_from(".,"),
)
def test_iso_round_trip(point, between, decimal):
    text = point.isoformat(between, "microseconds").replace(".", decimal)
    assert parse("iso", text) == [point.strftime("%Y-%m-%dT%H:%M:%S.%f")]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8), st.sampled_from(sorted(FORMATS)))
def test_any_text_is_a_time_or_null(texts, form):
    assert len(parse(form, *texts)) == len(texts)


def test_guess_by_what_most_texts_have():
    assert (
        guess_format(pl.Series(["2015-10-18 18:01:47,978", None, "2015-10-18 18:01:48,978"]))
        is FORMATS["iso"]
    )
    assert guess_format(pl.Series(["1117838570"])) is FORMATS["epoch"]
    assert guess_format(pl.Series(["yesterday", "today"])) is None
    assert guess_format(pl.Series([], dtype=pl.String)) is None
