"""Sources: compressed, in folders, in any encoding, counted in octets; nothing lost or dropped in silence."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pytest
from data_path import LINES
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.record import read_logs
from biglog.logs.sources import compression
from biglog.logs.sources.compression import Feed, Meter, RefusedError, Unpacked, codec_of
from biglog.logs.sources.expand import OpenLog, Source, expand, open_logs

PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "lz4": lambda data: pa.Codec("lz4").compress(data, asbytes=True),
}
CODECS = pytest.mark.parametrize("codec", PACK)
LOG = b"".join(path.read_bytes() for path in sorted(LINES.glob("*.log")))
LONG = b"".join(b"2024-05-01 10:00:00 INFO a.b: %d %d\n" % (n, n * n * 7919 % 104729) for n in range(40000))


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


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def raises(match, function, *arguments, **options):
    with pytest.raises(InputError, match=match) as caught:
        function(*arguments, **options)
    assert caught.value.remedy
    return caught.value


# --- compression ---


@CODECS
def test_compressed_by_its_bytes_in_files_and_streams(codec, tmp_path):
    packed = PACK[codec](LOG)
    assert codec_of(packed[:16]) == codec
    lines = LOG.decode().splitlines()
    path = write(tmp_path / "no-extension", packed)
    assert read_logs(path, layout="plain").read()["line"].to_list() == lines
    assert read(packed, layout="plain")[0] == lines


def test_compressed_through_a_real_pipe():
    code = "from biglog.logs.record import read_logs; print(len(read_logs('-').read()))"
    packed = PACK["zstd"](LOG)
    done = subprocess.run([sys.executable, "-c", code], input=packed, capture_output=True, check=True)
    assert int(done.stdout) == len(LOG.splitlines())


@CODECS
def test_members_and_frames_follow_one_another(codec):
    pack = PACK[codec]
    lines, report = read(pack(b"a\nb") + pack(b"c\n") + pack(b"") + pack(b"d"))
    assert lines == ["a", "bc", "d"]
    assert (report.bytes, report.truncated) == (6, False)


@CODECS
def test_thousands_of_small_members(codec):
    assert read(PACK[codec](b"line\n") * 5000)[1].lines == 5000


@pytest.mark.parametrize("codec", ["gzip", "xz"])
def test_zeros_may_pad_the_end(codec):
    lines, report = read(PACK[codec](LOG) + b"\0" * 5120)
    assert (len(lines), report.truncated) == (len(LOG.splitlines()), False)


def test_zstd_with_a_skippable_frame_first():
    assert read(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + PACK["zstd"](b"a\nb\n"))[0] == ["a", "b"]


@CODECS
def test_cut_off_data_are_kept_and_reported(codec):
    packed = PACK[codec](LONG)
    lines, report = read(packed[: len(packed) * 3 // 4], layout="level")
    assert report.truncated
    assert len(lines) > 1000
    assert lines[:-1] == LONG.decode().splitlines()[: len(lines) - 1]


@CODECS
def test_what_follows_compressed_data_is_reported(codec):
    lines, report = read(PACK[codec](LOG) + b"this is something else")
    assert lines == LOG.decode().splitlines()
    assert report.truncated


@CODECS
def test_nothing_to_read_is_an_error(codec):
    packed = PACK[codec](LOG)
    raises(f"damaged {codec} file", read, packed[:14])
    raises("empty", read, PACK[codec](b""))


def test_compressed_twice_names_the_way_out():
    for codec in ("gzip", "xz", "zstd"):
        assert "-dc" in str(raises("compressed twice", read, gzip.compress(PACK[codec](LOG))))


@CODECS
def test_bombs_are_refused_and_logs_are_not(codec, monkeypatch):
    monkeypatch.setattr(compression, "BOMB_BYTES", 1 << 20)
    monkeypatch.setattr(compression, "BOMB_RATIO", 100)
    meter = Meter()
    packed = PACK[codec](b"\n" * (8 << 20))
    if len(packed) * 100 < 8 << 20:
        with pytest.raises(RefusedError, match=r"bomb.log: it unpacks to more than 100 times"):
            list(Unpacked(Feed(meter.counted([packed])), codec, "bomb.log", meter))
    assert len(read(PACK[codec](LONG))[0]) == 40000


def test_a_bomb_of_many_gigabytes_is_refused_early():
    packed = PACK["bzip2"](b"\n" * (16 << 20)) * 1000
    (log,) = open_logs(expand(io.BytesIO(packed)))
    with pytest.raises(RefusedError, match="1000 times"):
        sum(map(len, log.blocks()))


@st.composite
def compressed(draw):
    codec = draw(st.sampled_from(sorted(PACK)))
    parts = draw(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
    packed = [PACK[codec](part) for part in parts]
    ends = list(zip(accumulate(map(len, packed)), accumulate(map(len, parts)), strict=True))
    return b"".join(parts), b"".join(packed), ends


def bytes_of(data):
    """Bytes of a compressed source, however little its text looks like one."""
    meter = Meter()
    unpacked = Unpacked(Feed(meter.counted([data])), codec_of(data[:16]), "x", meter)
    return b"".join(unpacked), unpacked.damage


@given(compressed())
def test_whole_data_come_back_whole(case):
    text, packed, _ = case
    assert bytes_of(packed) == (text, "")


@given(compressed(), st.data())
def test_data_cut_anywhere_are_a_beginning(case, data):
    text, packed, ends = case
    cut = data.draw(st.integers(0, len(packed)))
    if codec_of(packed[:cut][:16]) is None:
        return
    try:
        got, damage = bytes_of(packed[:cut])
    except InputError:
        assert cut < ends[0][0] or not ends[0][1]
        return
    assert text.startswith(got)
    # Only where a member ends can whole data end.
    assert damage or (cut, len(got)) in ends


@given(compressed(), st.binary(max_size=30), st.data())
def test_nothing_but_input_errors_comes_of_damage(case, noise, data):
    _, packed, _ = case
    at = data.draw(st.integers(0, len(packed)))
    damaged = packed[:at] + noise + packed[at + len(noise) :]
    try:
        reader = read_logs(io.BytesIO(damaged))
        frame = reader.read()
    except InputError:
        return
    assert frame["line_count"].sum() == reader.report.lines


@given(st.lists(st.binary(max_size=40), max_size=12), st.lists(st.integers(1, 50), max_size=20))
def test_a_feed_gives_every_byte_once(blocks, sizes):
    feed, data, got = Feed(blocks), b"".join(blocks), b""
    for size in sizes:
        assert feed.peek(size) == data[len(got) : len(got) + size]
        piece = feed.read(size)
        assert len(piece) <= size
        feed.push(piece[1:])
        got += piece[:1]
    assert got + b"".join(feed) == data


# --- folders and names ---


def names(sources, root):
    return [source.name.removeprefix(f"{root}/") for source in sources]


def test_a_folder_is_read_recursively_in_order(tmp_path):
    for name in ("b.log", "a/z.log", "a/y/x.log", "c.log.gz"):
        text = name.encode() + b"\n"
        write(tmp_path / name, gzip.compress(text) if name.endswith("gz") else text)
    write(tmp_path / ".hidden", b"x\n")
    write(tmp_path / ".git/log", b"x\n")
    write(tmp_path / "image.png", b"\x89PNG\r\n\x1a\n")
    os.mkfifo(tmp_path / "pipe")
    reader = read_logs(tmp_path)
    assert reader.read()["line"].to_list() == ["a/y/x.log", "a/z.log", "b.log", "c.log.gz"]
    skipped = {Path(one.name).name: one.reason for one in reader.report.skipped}
    assert skipped == {
        ".git": "hidden",
        ".hidden": "hidden",
        "image.png": "this is an image, not a text log",
        "pipe": "no regular file",
    }
    assert sum(len(batch.frame) for batch in reader) == 4
    assert len(reader.report.skipped) == 4


def test_links_in_a_folder_are_followed_once_and_never_in_circles(tmp_path):
    write(tmp_path / "logs/a.log", b"a\n")
    write(tmp_path / "elsewhere/b.log", b"b\n")
    (tmp_path / "logs/again.log").symlink_to("a.log")
    (tmp_path / "logs/circle").symlink_to(tmp_path / "logs")
    (tmp_path / "logs/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs/zout").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "logs")
    (tmp_path / "logs/dangling").symlink_to("nowhere")
    skipped = []
    found = expand(tmp_path / "logs", skipped)
    assert names(found, tmp_path) == ["logs/a.log", "logs/out/b.log"]
    left_out = [one.name.removeprefix(f"{tmp_path}/logs/") for one in skipped]
    assert left_out == ["again.log", "circle", "dangling", "out/back", "zout"]


def test_a_pattern_may_match_folders_and_nothing_comes_twice(tmp_path):
    for name in ("day1/a.log", "day1/b.log", "day2/c.log", "d.log"):
        write(tmp_path / name, b"x\n")
    assert names(expand(str(tmp_path / "day*")), tmp_path) == ["day1/a.log", "day1/b.log", "day2/c.log"]
    everything = expand(str(tmp_path / "**"))
    assert sorted(names(everything, tmp_path)) == ["d.log", "day1/a.log", "day1/b.log", "day2/c.log"]


def test_a_folder_without_any_text_says_what_it_left_out(tmp_path):
    write(tmp_path / "a.png", b"\x89PNG\r\n")
    error = raises("image", list, read_logs(tmp_path))
    assert "a.png" in str(error)
    write(tmp_path / "hidden/.x", b"text")
    raises(r"\.x.*hidden", read_logs, tmp_path / "hidden")


def test_a_binary_file_that_was_named_is_an_error(tmp_path):
    path = write(tmp_path / "a.png", b"\x89PNG\r\n")
    raises("an image", list, read_logs([path, LINES / "BGL.log"]))


def test_a_pipe_is_not_looked_into_before_it_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code = "import sys; from biglog.logs.record import read_logs; print(len(read_logs(sys.argv[1]).read()))"
    reader = subprocess.Popen([sys.executable, "-c", code, tmp_path / "pipe"], stdout=subprocess.PIPE)
    (tmp_path / "pipe").write_bytes(PACK["zstd"](b"a\nb\n"))
    assert reader.communicate(timeout=60)[0].split() == [b"2"]


def test_no_more_files_are_open_than_one(tmp_path):
    for number in range(50):
        write(tmp_path / f"{number}.log.gz", gzip.compress(b"x\n"))

    def handles():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = handles()
    assert max(handles() - before for _ in read_logs(tmp_path, layout="plain")) <= 1
    assert handles() == before


def test_a_source_can_be_opened_alone(tmp_path):
    path = write(tmp_path / "a.log.xz", lzma.compress(b"a\nb\n"))
    os.utime(path, (1e9, 1e9))
    log = OpenLog(Source("a", path=path))
    assert b"".join(log.blocks()) == b"a\nb\n"
    log = OpenLog(Source("a", path=path))
    assert [run.lines.to_list() for run in log.runs(100, 100)] == [["a", "b"]]
    assert (log.written, log.encoding) == (datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC), "utf-8")


# --- memory ---


def test_memory_stays_bounded_whatever_the_size(tmp_path):
    code = (
        "import sys, resource; from biglog.logs.sources.expand import *\n"
        "for log in open_logs(expand(sys.argv[1])):\n"
        "    n = sum(len(run.lines) for run in log.runs(1 << 20, 1 << 20))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = {}
    for times in (1, 40):
        path = write(tmp_path / f"{times}.zst", PACK["zstd"](LONG) * times)
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
        lines, peaks[times] = map(int, done.stdout.split())
        assert lines == 40000 * times
    assert peaks[40] < peaks[1] + 60
