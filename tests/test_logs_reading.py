"""Reading: every line of anything that is text, in order, once, in bounded memory."""

import gzip
import io
import os
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from data_path import LINES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.record import SCHEMA, read_logs
from biglog.logs.sources.decoding import sniff
from biglog.logs.sources.expand import expand

SYSLOG = b"Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0\n"


def read(data, **options):
    """Frame and report row of bytes read as a stream."""
    reader = read_logs(io.BytesIO(data), **options)
    return reader.read(), reader.report.sources[0]


def write(path, data):
    path.write_bytes(data)
    return path


# --- what comes out ---


def test_columns_are_those_of_the_schema():
    frame = next(iter(read_logs(io.BytesIO(SYSLOG)))).frame
    assert frame.schema == SCHEMA


def test_line_ends_mixed_and_missing():
    frame, report = read(b"a\nb\r\n\r\n\nc\rd\r\ne")
    assert frame["line"].to_list() == ["a", "b", "", "", "c\rd", "e"]
    assert frame["line_number"].to_list() == [1, 2, 3, 4, 5, 6]
    assert (report.lines, report.bytes) == (6, 14)


def test_carriage_return_at_the_very_end_is_text():
    assert read(b"a\r\nb\r")[0]["line"].to_list() == ["a", "b\r"]


def test_batches_have_right_line_numbers_and_carry_the_time():
    record = b"2024-05-01 10:00:%02d,000 ERROR [main] org.apache.hadoop.Foo: x\n"
    data = b"".join(record % n + b"\tat a.b.C.d(C.java:1)\n" * 3 for n in range(60))
    batches = list(read_logs(io.BytesIO(data), batch_bytes=100))
    assert len(batches) > 10
    assert {batch.layout for batch in batches} == {"Hadoop"}
    frame = pl.concat([batch.frame for batch in batches])
    assert frame["line_number"].to_list() == list(range(1, 241))
    assert frame["timestamp"].dt.second().to_list() == [n // 4 for n in range(240)]
    assert frame["level"].to_list() == ["ERROR", None, None, None] * 60


def test_batches_have_no_more_lines_than_asked_for():
    reader = read_logs(io.BytesIO(SYSLOG * 7 + b"\xff\0\n" + SYSLOG * 2), batch_lines=3)
    batches = list(reader)
    assert [len(batch.frame) for batch in batches] == [3, 3, 3, 1]
    assert batches[2].frame["raw_bytes"].to_list() == [None, b"\xff\0", None]
    report = reader.report.sources[0]
    assert (report.bytes, report.first_damaged, report.control_lines) == (9 * len(SYSLOG) + 3, (8,), 1)


def test_first_lines_without_header_have_no_time():
    frame, _ = read(b"  continued\n" + SYSLOG, year=2005)
    assert frame["timestamp"].to_list() == [None, datetime(2005, 6, 14, 15, 16, 1, tzinfo=UTC)]


def test_several_sources_in_order_each_with_its_own_layout(tmp_path):
    first, second = LINES / "BGL.log", LINES / "HDFS.log"
    reader = read_logs([first, second])
    frame = reader.read()
    assert frame["source"].to_list() == [str(first)] * 5 + [str(second)] * 5
    assert frame["line_number"].to_list() == [1, 2, 3, 4, 5] * 2
    assert [row.layout for row in reader.report.sources] == ["BGL", "HDFS"]
    assert (reader.report.lines, reader.report.bytes) == (10, first.stat().st_size + second.stat().st_size)


def test_report_grows_and_starts_anew():
    reader = read_logs(LINES / "BGL.log", batch_bytes=64)
    batches = iter(reader)
    next(batches)
    begun = reader.report.lines
    assert 0 < begun < 5
    assert sum(len(batch.frame) for batch in batches) == 5 - begun
    assert reader.report.lines == 5
    assert sum(len(batch.frame) for batch in reader) == 5
    assert reader.report.lines == 5


# --- sources ---


def test_glob_is_sorted_and_skips_folders(tmp_path):
    for name in ("b.log", "a.log"):
        write(tmp_path / name, name.encode())
    (tmp_path / "c.log").mkdir()
    assert read_logs(str(tmp_path / "*.log")).read()["line"].to_list() == ["a.log", "b.log"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    path = write(tmp_path / "app[1].log", b"x\n")
    assert read_logs(str(path)).read()["line"].to_list() == ["x"]


def test_a_file_whose_name_is_no_utf8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.log")
    Path(path).write_bytes(b"x\n")
    assert read_logs(path).read()["source"].to_list() == [f"{tmp_path}/caf\ufffd.log"]


def test_an_empty_file_among_others_is_only_reported(tmp_path):
    write(tmp_path / "a.log", b"")
    write(tmp_path / "b.log", b"x\n")
    reader = read_logs(str(tmp_path / "*.log"))
    assert reader.read()["line"].to_list() == ["x"]
    assert [row.lines for row in reader.report.sources] == [0, 1]


def test_standard_input_through_a_real_pipe():
    code = (
        "from biglog.logs.record import read_logs; r = read_logs('-');"
        "print(sum(len(b.frame) for b in r), r.report.sources[0].layout, r.report.sources[0].name)"
    )
    log = b"".join(path.read_bytes() for path in [LINES / "Zookeeper.log"] * 2000)
    done = subprocess.run(
        [sys.executable, "-c", code], input=gzip.compress(log), capture_output=True, check=True
    )
    assert done.stdout.decode().split() == ["10000", "Zookeeper", "stdin"]


def test_stream_that_gives_little_at_a_time():
    class Dripping(io.RawIOBase):
        def __init__(self, data):
            self.left = data

        def readable(self):
            return True

        def read(self, size=-1):
            piece, self.left = self.left[:7], self.left[7:]
            return piece

    reader = read_logs(Dripping(SYSLOG * 50))
    assert len(reader.read()) == 50
    assert reader.report.sources[0].layout == "Linux"


# --- gzip ---


def test_gzip_by_its_bytes_with_several_members_and_padding(tmp_path):
    packed = (
        gzip.compress(b"a\nb")
        + gzip.compress(b"c\n")
        + gzip.compress(b"")
        + gzip.compress(b"d")
        + b"\0" * 100
    )
    path = write(tmp_path / "no-extension", packed)
    reader = read_logs(path)
    assert reader.read()["line"].to_list() == ["a", "bc", "d"]
    assert not reader.report.sources[0].truncated
    assert reader.report.sources[0].bytes == 6


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage"])
def test_damaged_gzip_keeps_what_can_be_read_and_says_so(damage):
    lines = b"".join(
        b"2024-05-01 10:00:00 INFO a.b: line %d %d\n" % (n, n * n * 7919 % 104729) for n in range(20000)
    )
    packed = bytearray(gzip.compress(lines))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "flipped":
        packed[-8] ^= 0xFF
    else:
        packed += b"this is no gzip member"
    frame, report = read(bytes(packed))
    assert report.truncated
    kept = len(frame) if damage == "cut" else 20000
    assert 1000 < len(frame) == report.lines == kept
    assert frame["line"].to_list()[: kept - 1] == lines.decode().splitlines()[: kept - 1]


def test_gzip_that_is_broken_from_the_start():
    for data in (b"\x1f\x8b", b"\x1f\x8b\x08\x00garbage garbage", gzip.compress(SYSLOG)[:12]):
        with pytest.raises(InputError, match="gzip"):
            read(data)


def test_year_comes_from_the_time_inside_gzip():
    packed = bytearray(gzip.compress(SYSLOG, mtime=int(datetime(2006, 2, 1, tzinfo=UTC).timestamp())))
    assert read(bytes(packed))[0]["timestamp"].dt.year().to_list() == [2005]


def test_year_comes_from_the_time_the_file_was_written(tmp_path):
    path = write(tmp_path / "messages", SYSLOG)
    when = datetime(2012, 6, 14, 20, tzinfo=UTC).timestamp()
    os.utime(path, (when, when))
    assert read_logs(path).read()["timestamp"].to_list() == [datetime(2012, 6, 14, 15, 16, 1, tzinfo=UTC)]


def test_a_gzip_bomb_is_read_in_bounded_pieces():
    packed = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packed.compress(b"\n" * (1 << 20)) for _ in range(16)) + packed.flush()
    assert len(bomb) < 30_000
    batches = [
        (len(batch.frame), batch.frame["line"].str.len_bytes().sum())
        for batch in read_logs(io.BytesIO(bomb), batch_bytes=1 << 20)
    ]
    assert sum(lines for lines, _ in batches) == 16 << 20
    assert max(lines for lines, _ in batches) <= 1 << 18


# --- encodings ---


TEXT = "2024-05-01 10:00:00 INFO a.b: grüße 日本語 😀\r\n\r\nzweite\n𝔘nd\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be"],
)
@pytest.mark.parametrize("batch_bytes", [1, 2, 3, 17, 1 << 20])
def test_encodings_with_marks(data, batch_bytes):
    frame, report = read(data, batch_bytes=batch_bytes)
    assert frame["line"].to_list() == TEXT.replace("\r\n", "\n").split("\n")
    assert (report.damaged, report.bytes, report.without_header) == (0, len(data), 3)
    assert frame["raw_bytes"].null_count() == len(frame)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark(encoding):
    data = SYSLOG.decode().encode(encoding) * 3
    assert read(data)[0]["line"].to_list() == [SYSLOG.decode().rstrip()] * 3


def test_bytes_that_are_no_text_are_kept():
    frame, report = read(b"good\nb\xe4d\r\ngood \xef\xbf\xbd\n\xc3\n\xf0\x9f\x98")
    assert frame["line"].to_list() == ["good", "b\ufffdd", "good \ufffd", "\ufffd", "\ufffd"]
    assert frame["raw_bytes"].to_list() == [None, b"b\xe4d", None, b"\xc3", b"\xf0\x9f\x98"]
    assert (report.damaged, report.first_damaged) == (3, (2, 4, 5))


def test_damaged_utf16_is_kept():
    data = b"\xff\xfe" + "ab\n".encode("utf-16-le") + b"\x00\xd8c\x00\n\x00" + b"d\x00e"
    frame, report = read(data)
    assert frame["line"].to_list() == ["ab", "\ufffdc", "d\ufffd"]
    assert frame["raw_bytes"].to_list() == [None, b"\x00\xd8c\x00", b"d\x00e"]
    assert report.first_damaged == (2, 3)


def test_damage_is_counted_in_full_and_named_in_part():
    _, report = read(b"ok\n" + b"\xff\n" * 100, batch_bytes=10)
    assert report.damaged == 100
    assert report.first_damaged == (2, 3, 4, 5, 6)


def test_control_characters_are_kept_and_counted():
    frame, report = read(b"plain text of a log\n" * 20 + b"a\0b\n\x1b[31mred\x1b[0m\ntab\tonly\n")
    assert frame["line"].to_list()[-3:] == ["a\0b", "\x1b[31mred\x1b[0m", "tab\tonly"]
    assert report.control_lines == 2


def test_sparse_beginning_of_a_rotated_log():
    frame, report = read(b"\0" * 5000 + SYSLOG * 3)
    assert (len(frame), report.control_lines, report.layout) == (3, 1, "Linux")
    assert frame["line"][0].startswith("\0" * 5000 + "Jun 14")


# --- long lines ---


def test_a_line_of_ten_megabytes():
    frame, report = read(SYSLOG + b"x" * (10 << 20) + b"\n" + SYSLOG)
    assert frame["line"].str.len_bytes().to_list() == [len(SYSLOG) - 1, 10 << 20, len(SYSLOG) - 1]
    assert report.split_lines == 0


@pytest.mark.parametrize("batch_bytes", [7, 64, 1 << 20])
def test_lines_over_the_bound_come_in_pieces(batch_bytes):
    long = "Jun 14 15:16:02 combo kernel: " + "ä€😀" * 40
    data = f"{SYSLOG.decode()}{long}\r\n\n{long}\n{SYSLOG.decode()}".encode()
    frame, report = read(data, batch_bytes=batch_bytes, max_line_bytes=100, year=2005)
    joined = frame.group_by("line_number", maintain_order=True).agg(pl.col("line").str.join())
    assert joined["line"].to_list() == data.decode().replace("\r\n", "\n").split("\n")[:-1]
    assert joined["line_number"].to_list() == [1, 2, 3, 4, 5]
    assert frame["line"].str.len_bytes().max() <= 104
    assert (report.lines, report.split_lines, report.first_split, report.damaged) == (5, 2, (2, 4), 0)
    pieces = frame.filter(pl.col("line_number") == 2)
    assert pieces["has_header"].to_list() == [True] + [False] * (len(pieces) - 1)
    assert pieces["timestamp"].n_unique() == 1


def test_a_piece_is_no_new_header():
    data = b"x" * 20 + b"2024-05-01 10:00:00 INFO a.b: inside\n2024-05-01 10:00:00 INFO a.b: real\n"
    frame, _ = read(data, max_line_bytes=20, layout="level-logger")
    assert frame.filter(pl.col("line_number") == 1)["has_header"].sum() == 0


# --- what is refused ---


def raises(match, function, *arguments, **options):
    with pytest.raises(InputError, match=match) as caught:
        function(*arguments, **options)
    assert caught.value.remedy
    return caught.value


def test_missing_file(tmp_path):
    error = raises("no such file", read_logs, tmp_path / "none.log")
    assert str(tmp_path / "none.log") in str(error)


def test_missing_file_after_a_good_one_is_found_before_reading(tmp_path):
    raises("no such file", read_logs, [LINES / "BGL.log", tmp_path / "none.log"])


def test_folder_without_files(tmp_path):
    raises("no file in this folder", read_logs, tmp_path)


def test_pattern_without_a_match(tmp_path):
    raises("no file matches", read_logs, str(tmp_path / "*.log"))


def test_nothing_named():
    raises("no log was named", read_logs, [])


def test_name_with_a_nul():
    raises("cannot be read", read_logs, "a\0b")


def test_empty_file(tmp_path):
    raises("empty", list, read_logs(write(tmp_path / "a.log", b"")))
    raises("empty", list, read_logs(write(tmp_path / "bom.log", b"\xef\xbb\xbf")))
    raises("empty", list, read_logs(write(tmp_path / "a.gz", gzip.compress(b""))))


def test_vanishing_file(tmp_path):
    path = write(tmp_path / "a.log", SYSLOG)
    reader = read_logs(path)
    path.unlink()
    raises("no such file", list, reader)


def test_unreadable_file(tmp_path):
    path = write(tmp_path / "a.log", SYSLOG)
    path.chmod(0)
    if os.geteuid() != 0:
        raises("no permission", read_logs, path)
        return
    # Root may read anything: ask as somebody else.
    code = f"import os; os.setuid(65534); from biglog.logs.record import read_logs; read_logs({str(path)!r})"
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and "pytest" in folder.name:
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", "import polars, biglog.logs.record\n" + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no permission" in done.stderr


def test_read_error_in_the_middle():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 50_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    raises("Input/output error", list, read_logs(Failing(SYSLOG * 5000), batch_bytes=10_000))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (Path(sys.executable).resolve().read_bytes()[:100_000], "program"),
        (b"BZh91AY&SY" + b"\x00" * 20, "bzip2"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (bytes(range(256)) * 20, "binary"),
        (b"\0" * 1000, "binary"),
        ("text\n".encode("utf-32"), "UTF-32"),
        (gzip.compress(bytes(range(256)) * 20), "binary"),
    ],
)
def test_binary(data, what):
    raises(what, read, data)


def test_text_stream_and_nonsense():
    raises("text, not bytes", list, read_logs(io.StringIO("x\n")))
    raises("text, not bytes", expand, io.TextIOWrapper(io.BytesIO(b"x")))
    raises("neither a path nor a stream", read_logs, [3])


def test_a_stream_is_read_once():
    reader = read_logs(io.BytesIO(SYSLOG))
    assert len(list(reader)) == 1
    raises("read already", list, reader)


def test_unknown_layout_and_zone():
    raises("BGL", read_logs, LINES / "BGL.log", layout="BGLL")
    raises("Mars", read_logs, LINES / "BGL.log", zone="Mars/Olympus")


# --- laws ---

FRAGMENTS = [b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xc3", b"\xe2\x82\xac", b"a", b" ", b"\xed\xa0\x80"]
HEADERS = [b"2024-05-01 10:00:00,123 INFO x.y: ", b"Jun 14 15:16:01 combo a[1]: ", b"[ERROR] "]
LOG_BYTES = st.one_of(
    st.binary(max_size=400), st.lists(st.sampled_from(FRAGMENTS + HEADERS), max_size=80).map(b"".join)
)


def with_line_feeds(data):
    """The text with every line end a line feed: where there is none, carriage returns end lines."""
    ends = b"\r" if b"\n" not in data and b"\r" in data[:-1] else b"\r\n"
    return data.replace(ends, b"\n")


@settings(deadline=None)
@given(LOG_BYTES, st.sampled_from([1, 5, 64, 1 << 20]), st.sampled_from([16, 40, 1 << 20]))
@example(b"a\r\n", 1, 16)
@example(b"\xff" * 40, 5, 16)
@example(b"aaaaaaaaaaaaaaa\r\nb", 1, 16)
def test_any_bytes_are_accounted_for(data, batch_bytes, max_line_bytes):
    try:
        frame, report = read(data, batch_bytes=batch_bytes, max_line_bytes=max_line_bytes)
    except InputError:
        return
    assert report.bytes == len(data)
    lines = frame.with_columns(
        bytes=pl.coalesce(pl.col("raw_bytes"), pl.col("line").cast(pl.Binary)),
    )
    joined = {}
    for number, text in lines.select("line_number", "bytes").rows():
        joined[number] = joined.get(number, b"") + text
    assert list(joined) == list(range(1, report.lines + 1))
    if sniff(data, "") != ("utf-8", 0) or report.encoding != "utf-8":
        return  # another encoding, or a mark that is taken off: other laws
    assert b"\n".join(joined.values()) == with_line_feeds(data).removesuffix(b"\n")
    assert report.damaged == sum(1 for (text,) in lines.select("raw_bytes").rows() if text is not None)


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    st.sampled_from([("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-8", b"\xef\xbb\xbf")]),
    st.sampled_from([1, 3, 64, 1 << 20]),
    st.sampled_from([16, 1 << 20]),
)
def test_any_text_comes_back_in_any_encoding(text, encoding, batch_bytes, max_line_bytes):
    name, mark = encoding
    data = mark + text.encode(name)
    if data.startswith(b"\xff\xfe\x00\x00"):
        return  # the mark of UTF-32
    frame, report = read(data, batch_bytes=batch_bytes, max_line_bytes=max_line_bytes)
    joined = (
        frame.group_by("line_number", maintain_order=True).agg(pl.col("line").str.join())["line"].to_list()
    )
    expected = with_line_feeds(text.encode()).decode() if name == "utf-8" else text.replace("\r\n", "\n")
    assert "\n".join(joined) == expected.removesuffix("\n")
    assert (report.bytes, report.damaged) == (len(data), 0)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_gzip_tail_is_read_or_refused(tail):
    try:
        frame, report = read(gzip.compress(SYSLOG)[:10] + tail)
    except InputError:
        return
    assert len(frame) == report.lines
