"""Encodings, line ends and counted octets: every byte is in a line, and the text is right."""

import gzip
import io

import pyarrow as pa
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.record import read_logs
from biglog.logs.sources.encodings import is_single_byte, to_utf8
from biglog.logs.sources.expand import OpenLog, Source, open_logs

LOG = b"".join(path.read_bytes() for path in sorted(LINES.glob("*.log")))
PACK = {"gzip": gzip.compress, "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True)}


def read(data, **options):
    """Lines and report row of bytes read as a stream."""
    reader = read_logs(io.BytesIO(data), **options)
    return reader.read()["line"].to_list(), reader.report.sources[0]


def text_of(source):
    """What a source unpacks to and whether it was cut short; lines and bytes must agree."""
    (log,) = open_logs([source])
    runs = list(log.runs(1 << 16, 1 << 20))
    lines = [line for run in runs for line in run.lines]
    return lines, sum(run.bytes for run in runs), log


# --- encodings ---

GERMAN = (
    "2024-05-01 10:00:00 INFO app: Benutzer Müller hat sich angemeldet\r\n"
    "2024-05-01 10:00:01 WARN app: Die Datei ‚Übersicht für Kunden.xls‘ ist größer als 5 €\r\n"
    "2024-05-01 10:00:02 INFO app: finished\r\n"
    "2024-05-01 10:00:03 ERROR app: Zugriff verweigert: Straße, Größe, Tür – naïve café\r\n"
)


@pytest.mark.parametrize("codec", ["", "gzip", "zstd"])
@pytest.mark.parametrize("batch_bytes", [7, 100, 1 << 20])
def test_windows_1252_is_recognised_and_right(codec, batch_bytes):
    data = GERMAN.encode("cp1252")
    lines, report = read(PACK[codec](data) if codec else data, batch_bytes=batch_bytes)
    assert lines == GERMAN.splitlines()
    assert (report.encoding, report.bytes, report.damaged) == ("cp1252", len(data), 0)


def test_latin_1_fills_the_gaps_of_windows_1252():
    lines, report = read("Müller\nKöln\nGrüße\n".encode("latin-1") + b"x\x81\x8d\x8f\x90\x9dy\n")
    assert lines == ["Müller", "Köln", "Grüße", "x\x81\x8d\x8f\x90\x9dy"]
    assert report.encoding == "cp1252"


def test_every_byte_is_a_character_of_its_own():
    text = bytes(byte for byte in range(256) if byte != 10)
    characters = to_utf8(text).decode()
    assert len(set(characters)) == 255
    assert to_utf8(b"plain \xc3\xa4\n") == b"plain \xc3\xa4\n"


def test_utf_8_is_not_mistaken_where_a_sample_is_cut():
    data = "Straße, Füße und Gruß".encode()
    assert not any(is_single_byte(data[:cut]) for cut in range(len(data) + 1))


def test_an_encoding_that_shows_late_is_recognised_too():
    data = LOG + b"all ASCII so far\n" * 5000 + GERMAN.encode("cp1252")
    lines, report = read(data, batch_bytes=1 << 16)
    assert lines[-4:] == GERMAN.splitlines()
    assert (report.encoding, report.bytes, report.damaged) == ("cp1252", len(data), 0)


def test_lines_of_utf_8_among_windows_1252_stay_right():
    data = (GERMAN * 3).encode("cp1252") + "Zoë said “hi” 日本\n".encode()
    lines, _ = read(data)
    assert lines[-1] == "Zoë said “hi” 日本"
    assert lines[:4] == GERMAN.splitlines()


@pytest.mark.parametrize(
    "data",
    [
        GERMAN.encode() * 20 + b"dam\xe9ged\nb\xfctes\nh\xe4re\n",
        LOG * 5 + b"fa\xe9led\n" + LOG * 5,
        "Привет мир, ошибка записи\n".encode("cp1251") * 20,
        "日本語のログです error\n".encode("shift-jis") * 20,
        "エラー abc\n".encode("euc-jp") * 20,
        b"gethostbyname error for \x18\xf7\xff\xbf%8x%hn" + b"\x90" * 200 + b"\n",
    ],
    ids=["utf-8-damaged", "bit-flip", "cyrillic", "shift-jis", "euc-jp", "exploit"],
)
def test_what_is_no_western_text_stays_utf_8_with_its_bytes_kept(data):
    _, report = read(data)
    assert report.encoding == "utf-8"
    assert report.damaged > 0
    assert report.bytes == len(data)


@needs_data
def test_real_logs_with_bytes_that_are_no_text_stay_utf_8():
    reader = read_logs(DATA / "raw/Linux/Linux.log.gz", layout="Linux")
    frame = reader.read()
    (report,) = reader.report.sources
    assert (len(frame), report.damaged, report.encoding) == (25567, 20, "utf-8")
    raw = gzip.decompress((DATA / "raw/Linux/Linux.log.gz").read_bytes())
    assert report.bytes == len(raw)
    assert frame["raw_bytes"].drop_nulls().to_list() == [
        line.removesuffix(b"\r") for line in raw.split(b"\n") if not line.isascii()
    ]


@given(st.lists(st.text(st.characters(codec="cp1252", exclude_characters="\r\n"), max_size=30), max_size=12))
def test_windows_1252_comes_back(lines):
    data = "".join(f"{line}\n" for line in [*lines, "größer", "für", "naïve"]).encode("cp1252")
    if not is_single_byte(data):
        return
    try:
        texts, size, log = text_of(Source("x", stream=io.BytesIO(data)))
    except InputError:
        return
    assert (size, log.encoding) == (len(data), "cp1252")
    for text, line in zip(texts, data.split(b"\n")[:-1], strict=True):
        # Three letters of Windows-1252 may happen to be one of UTF-8.
        assert text.encode() == line or text.encode("cp1252") == line


def test_utf_16_is_reported():
    assert read("\ufeffa\nb\n".encode("utf-16-le"))[1].encoding == "utf-16-le"
    assert read(b"\xef\xbb\xbfM\xc3\xbcller\n")[1].encoding == "utf-8"


# --- line ends ---


def test_carriage_returns_alone_end_lines():
    lines, report = read(b"first\rsecond\r\rfourth\r")
    assert lines == ["first", "second", "", "fourth"]
    assert report.bytes == 21


def test_carriage_returns_within_lines_stay():
    assert read(b"10%\r20%\r100%\ndone\r\n")[0] == ["10%\r20%\r100%", "done"]


# --- octet counting ---

MESSAGES = [
    "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed for lonvick",
    "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
    "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG! ü",
    "<11>1 2003-10-11T22:14:15.003Z h app - - - trace:\n  at a.b.C\r\n  at d.e.F",
]


def framed(messages, end=""):
    data = [(message + end).encode() for message in messages]
    return b"".join(b"%d " % len(one) + one for one in data)


def octet_lines(data, batch_bytes=1 << 20, bound=1 << 20):
    runs = list(OpenLog(Source("x", stream=io.BytesIO(data))).runs(batch_bytes, bound))
    assert sum(run.bytes for run in runs) == len(data)
    return [line for run in runs for line in run.lines]


def with_length(messages, end=0):
    return [f"{len(one.encode()) + end} {one}".replace("\r\n", "\n") for one in messages]


@pytest.mark.parametrize("batch_bytes", [1, 10, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n"])
def test_each_counted_message_is_a_line(end, batch_bytes):
    lines = octet_lines(framed(MESSAGES * 3, end), batch_bytes)
    assert lines == with_length(MESSAGES * 3, len(end))


def test_a_single_counted_message():
    assert octet_lines(framed(MESSAGES[3:])) == with_length(MESSAGES[3:])


def test_bytes_that_are_no_text_are_kept_in_counted_messages():
    data = b"".join(b"%d %s" % (len(one), one) for one in (b"<1>a\xff\nb", b"<1>ok \xef\xb7\x90", b"<1>c\n"))
    (run,) = OpenLog(Source("x", stream=io.BytesIO(data))).runs(1 << 20, 1 << 20)
    assert run.lines.to_list() == ["7 <1>a\ufffd\nb", "9 <1>ok \ufdd0", "5 <1>c"]
    assert run.raw == {0: b"7 <1>a\xff\nb"}
    assert run.bytes == len(data)


@pytest.mark.parametrize("batch_bytes", [1, 64, 1 << 20])
def test_where_the_chain_breaks_lines_go_on(batch_bytes):
    rest = b"no frame at all\nsecond line\n99 <1>last"
    lines = octet_lines(framed(MESSAGES) + rest, batch_bytes)
    assert lines == [*with_length(MESSAGES), "no frame at all", "second line", "99 <1>last"]


def test_a_cut_off_message_is_kept():
    data = framed(MESSAGES[:3])
    lines = octet_lines(data[:-5])
    assert lines == [*with_length(MESSAGES[:2]), with_length(MESSAGES[2:3])[0].encode()[:-5].decode()]


def test_lines_that_begin_like_frames_are_lines():
    data = b"10 <1> first line of a list\n20 <2> second line of a list\n" * 5
    assert octet_lines(data) == data.decode().splitlines()


def test_records_of_counted_messages_have_headers():
    frame = read_logs(io.BytesIO(framed([MESSAGES[0]] * 20))).read()
    assert len(frame) == 20
    assert frame["has_header"].all()
    assert frame["content"].str.ends_with("'su root' failed for lonvick").all()


@given(
    st.lists(st.binary(max_size=30), min_size=1, max_size=8),
    st.binary(max_size=20),
    st.sampled_from([1, 7, 1 << 20]),
)
def test_counted_or_not_every_byte_is_in_a_line(messages, rest, batch_bytes):
    data = b"".join(b"%d <1>%s" % (len(one) + 3, one) for one in messages) + rest
    try:
        runs = list(OpenLog(Source("x", stream=io.BytesIO(data))).runs(batch_bytes, 64))
    except InputError:
        return
    assert sum(run.bytes for run in runs) == len(data)
