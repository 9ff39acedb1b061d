"""Archives: members read in place, whatever they are packed by; what may do harm is refused by name."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.record import read_logs
from biglog.logs.sources.expand import expand, open_logs

BGL, HDFS = (LINES / "BGL.log").read_bytes(), (LINES / "HDFS.log").read_bytes()
PNG = b"\x89PNG\r\n\x1a\n"
TAR_CODECS = {
    "": bytes,
    "gz": gzip.compress,
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def zipped(members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def entry(name, data=b"", kind=tarfile.REGTYPE, link="", mtime=0):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mtime = len(data), kind, link, mtime
    return info, io.BytesIO(data)


def tarred(members, form=tarfile.PAX_FORMAT):
    """A tar of a dict of bytes, or of entries."""
    entries = [entry(*item) for item in members.items()] if isinstance(members, dict) else members
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, data)
    return stream.getvalue()


def write(path, data):
    path.write_bytes(data)
    return path


def texts(named, skipped=None):
    """The bytes of each log, by its name within what was named."""
    found = {}
    for log in open_logs(expand(named, skipped), skipped):
        found[log.source.name.partition("::")[2]] = b"".join(log.blocks())
    return found


class Pipe(io.RawIOBase):
    """A stream that cannot be sought, and gives little at a time."""

    def __init__(self, data, size=1000):
        super().__init__()
        self.inner, self.size = io.BytesIO(data), size

    def readable(self):
        return True

    def read(self, size=-1):
        return self.inner.read(min(size, self.size))


# --- what is read ---


@pytest.mark.parametrize("suffix", ["zip", *TAR_CODECS])
def test_every_text_member_is_a_source(suffix, tmp_path):
    members = {"b/HDFS.log": HDFS, "a.log": BGL, "z/é.log": b"last line without end"}
    data = zipped(members) if suffix == "zip" else TAR_CODECS[suffix](tarred(members))
    path = write(tmp_path / "logs", data)
    reader = read_logs(path)
    frame = reader.read()
    order = sorted(members) if suffix == "zip" else list(members)
    assert [row.name for row in reader.report.sources] == [f"{path}::{name}" for name in order]
    assert [row.bytes for row in reader.report.sources] == [len(members[name]) for name in order]
    assert frame["line"].to_list() == [line for name in order for line in members[name].decode().splitlines()]
    assert {row.name.rpartition("/")[2]: row.layout for row in reader.report.sources}["HDFS.log"] == "HDFS"
    assert reader.report.skipped == []
    assert sum(len(batch.frame) for batch in reader) == len(frame)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip_methods(method):
    data = {"a.log": BGL * 2000, "b.log": b"", "c.log": b"x\n"}
    assert texts(io.BytesIO(zipped(data, method))) == data


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_dialects_and_long_names(form):
    long = "/".join(["folder" * 5] * 6) + "/é.log"
    members = {"./short.log": BGL, "b.log": b"", "c.log": b"x" * 512, "d.log": HDFS * 500}
    members |= {long: HDFS} if form != tarfile.USTAR_FORMAT else {"p/" * 60 + "x.log": HDFS}
    expected = {name.removeprefix("./"): data for name, data in members.items()}
    assert texts(Pipe(tarred(members, form))) == expected


def test_members_that_are_compressed_or_archives_themselves():
    inner = tarred({"deep/x.log": BGL})
    members = {
        "a.log.gz": gzip.compress(BGL),
        "b.log.xz": lzma.compress(HDFS),
        "c.tar.gz": gzip.compress(inner),
        "d.zip": zipped({"y.log": HDFS, "z.log.bz2": bz2.compress(BGL)}),
    }
    expected = {"a.log.gz": BGL, "b.log.xz": HDFS, "c.tar.gz::deep/x.log": BGL}
    expected |= {"d.zip::y.log": HDFS, "d.zip::z.log.bz2": BGL}
    assert texts(io.BytesIO(zipped(members))) == expected
    assert texts(Pipe(gzip.compress(tarred(members)))) == expected


def test_a_tar_through_a_real_pipe():
    code = (
        "from biglog.logs.record import read_logs; r = read_logs('-'); r.read();"
        "print([(row.name, row.lines) for row in r.report.sources])"
    )
    data = gzip.compress(tarred({"a.log": BGL, "b.log": HDFS}))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[('stdin::a.log', 5), ('stdin::b.log', 5)]"


def test_two_tars_one_after_the_other():
    assert set(texts(io.BytesIO(tarred({"a": b"x\n"}) + tarred({"b": b"y\n"})))) == {"a", "b"}


def test_a_zip_needs_more_than_a_pipe():
    assert texts(io.BytesIO(zipped({"a.log": BGL}))) == {"a.log": BGL}
    with pytest.raises(InputError, match="a zip cannot be read from a pipe") as caught:
        texts(Pipe(zipped({"a.log": BGL})))
    assert "unzip -p" in caught.value.remedy


def test_members_in_part_read_do_not_disturb_the_next():
    data = tarred({"a.log": b"a line\n" * 100_000, "b.log": HDFS})
    first, second = "", b""
    for log in open_logs(expand(Pipe(data, 1 << 16))):
        if log.source.name.endswith("a.log"):
            first = next(log.runs(1000, 1000)).lines[0]
        else:
            second = b"".join(log.blocks())
    assert (first, second) == ("a line", HDFS)


def test_members_of_a_zip_can_be_read_anywhere_in_any_order(tmp_path):
    path = write(tmp_path / "x.zip", zipped({"a.log": BGL, "b.log": HDFS}))
    sources = pickle.loads(pickle.dumps(expand(path)))
    assert [b"".join(log.blocks()) for log in open_logs(reversed(sources))] == [HDFS, BGL]
    assert os.listdir(tmp_path) == ["x.zip"]  # noqa: PTH208 - nothing was unpacked


def test_members_say_when_they_were_written(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("dos.log", (2012, 6, 14, 20, 0, 0)), b"x")
        exact = zipfile.ZipInfo("exact.log", (2012, 6, 14, 20, 0, 0))
        exact.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_000_000_000)
        archive.writestr(exact, b"x")
        archive.writestr(zipfile.ZipInfo("unknown.log"), b"x")
    path = write(tmp_path / "x.zip", stream.getvalue())
    os.utime(path, (2e9, 2e9))
    written = {log.source.name.partition("::")[2]: log.written.year for log in open_logs(expand(path))}
    assert written == {"dos.log": 2012, "exact.log": 2001, "unknown.log": 2033}
    data = tarred([entry("a.log", b"Jun 14 15:16:01 combo su[1]: x\n", mtime=1.15e9)])
    frame = read_logs(io.BytesIO(data), layout="Linux").read()
    assert frame["timestamp"].to_list() == [datetime(2005, 6, 14, 15, 16, 1, tzinfo=UTC)]


# --- what is meant ---

TREE = {"app1/a.log": b"1\n", "app1/b.log": b"2\n", "app2/a.log": b"3\n", "labels.txt": b"4\n"}


@pytest.mark.parametrize("packed", [zipped(TREE), tarred(TREE), gzip.compress(tarred(TREE))])
def test_patterns_name_members(packed, tmp_path):
    path = write(tmp_path / "x[1].arc", packed)
    assert list(texts(f"{path}::*.log")) == ["app1/a.log", "app1/b.log", "app2/a.log"]
    assert list(texts(f"{path}::app?/a.*")) == ["app1/a.log", "app2/a.log"]
    assert list(texts(f"{path}::labels.txt")) == ["labels.txt"]
    assert list(texts(f"{tmp_path}/*.arc::app2/*")) == ["app2/a.log"]
    with pytest.raises(InputError, match=r"no member matches 'none\*'"):
        texts(f"{path}::none*")


def test_patterns_reach_into_archives_in_archives(tmp_path):
    path = write(tmp_path / "x.zip", zipped({"in.tar": tarred(TREE), "a.log": b"0\n"}))
    assert list(texts(f"{path}::in.tar::app1/*")) == ["in.tar::app1/a.log", "in.tar::app1/b.log"]
    assert list(texts(f"{path}::*.log")) == ["a.log"]


def test_names_of_sources_can_be_given_back(tmp_path):
    path = write(tmp_path / "x.zip", zipped({"in.zip": zipped(TREE), "a.log": b"0\n", "b[1].log": b"5\n"}))
    names = [log.source.name for log in open_logs(expand(path))]
    assert len(names) == 6
    assert [log.source.name for name in names for log in open_logs(expand(name))] == names


def test_members_of_what_is_no_archive(tmp_path):
    path = write(tmp_path / "a.log", BGL)
    with pytest.raises(InputError, match="not a readable zip or tar archive"):
        texts(f"{path}::*.log")
    with pytest.raises(InputError, match="no such file"):
        expand(f"{tmp_path}/none.zip::*.log")


def test_archives_in_folders_are_read(tmp_path):
    write(tmp_path / "a.zip", zipped(TREE))
    write(tmp_path / "b.tgz", gzip.compress(tarred(TREE)))
    write(tmp_path / "c.log", BGL)
    write(tmp_path / "d.zip", b"PK\x03\x04 not really")
    skipped = []
    assert len(texts(tmp_path, skipped)) == 4 + 1
    assert len(list(open_logs(expand(tmp_path)))) == 4 + 4 + 1
    assert [one.name for one in skipped] == [f"{tmp_path}/d.zip"]


# --- what is left out, and said so ---


def test_members_that_are_no_logs_are_reported():
    special = [
        entry("folder", kind=tarfile.DIRTYPE),
        entry("link", kind=tarfile.SYMTYPE, link="folder/../real.log"),
        entry("hard", kind=tarfile.LNKTYPE, link="real.log"),
        entry("device", kind=tarfile.CHRTYPE),
        entry("real.log", BGL),
    ]
    members = {
        "x.png": PNG,
        ".DS_Store": b"text",
        "__MACOSX/._a.log": b"text",
        "bad.gz": b"\x1f\x8b\x08garbage",
    }
    skipped = []
    data = tarred([*special, *(entry(*item) for item in members.items())])
    assert list(texts(io.BytesIO(data), skipped)) == ["real.log"]
    reasons = {one.name: one.reason.partition(" (")[0] for one in skipped}
    common = {
        "stream::x.png": "this is an image, not a text log",
        "stream::.DS_Store": "a hidden file",
        "stream::__MACOSX/._a.log": "metadata of macOS",
        "stream::bad.gz": "damaged gzip file",
    }
    links = {"stream::link": "a link", "stream::hard": "a link", "stream::device": "no regular file"}
    assert reasons == common | links
    skipped = []
    assert list(texts(io.BytesIO(zipped(members | {"real.log": BGL})), skipped)) == ["real.log"]
    assert {one.name: one.reason.partition(" (")[0] for one in skipped} == common


def test_an_archive_without_any_text_says_so():
    with pytest.raises(InputError, match=r"x\.png.*an image.*no text log remains"):
        list(read_logs(io.BytesIO(zipped({"x.png": PNG, "y.png": PNG}))))
    for data in (zipped({}), zipped({"folder/": b""})):
        with pytest.raises(InputError, match="no file in this archive"):
            list(read_logs(io.BytesIO(data)))


def test_a_named_member_that_is_no_text_is_an_error(tmp_path):
    path = write(tmp_path / "x.zip", zipped({"x.png": PNG, ".hidden": BGL}))
    with pytest.raises(InputError, match="an image"):
        texts(f"{path}::x.png")
    assert texts(f"{path}::.hidden") == {".hidden": BGL}


# --- damage ---


def test_a_zip_that_is_cut_off_or_none_at_all(tmp_path):
    for data in (zipped({"a.log": BGL})[:-30], b"PK\x03\x04", b"PK\x05\x06 and so on"):
        with pytest.raises(InputError, match=r"x\.zip: not a readable zip file"):
            expand(write(tmp_path / "x.zip", data))


def test_damaged_members_of_a_zip_keep_what_can_be_read():
    data = zipped(
        {"a.log": b"".join(b"%d %d\n" % (n, n * 7919 % 104729) for n in range(20000)), "b.log": BGL}
    )
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 0xFF
    reader = read_logs(io.BytesIO(bytes(damaged)), layout="plain")
    reader.read()
    first, second = reader.report.sources
    assert (first.truncated, second.truncated) == (True, False)
    assert first.lines > 5000
    assert second.lines == 5


def test_a_wrong_checksum_is_reported():
    data = bytearray(zipped({"a.log": b"one line\n" * 9}, zipfile.ZIP_STORED))
    data[data.index(b"one")] = ord("O")
    reader = read_logs(io.BytesIO(bytes(data)))
    assert len(reader.read()) == 9
    assert reader.report.sources[0].truncated


@pytest.mark.parametrize("codec", TAR_CODECS)
def test_a_tar_that_is_cut_off_keeps_what_can_be_read(codec):
    lines = b"".join(b"%d %d\n" % (n, n * 7919 % 104729) for n in range(100_000))
    data = TAR_CODECS[codec](tarred({"a.log": BGL, "b.log": lines, "c.log": HDFS}))
    reader = read_logs(io.BytesIO(data[: len(data) * 3 // 4]), layout="plain")
    reader.read()
    first, second = reader.report.sources
    assert (first.truncated, second.truncated) == (False, True)
    assert second.lines > 1000
    assert "what follows is missing" in reader.report.skipped[-1].reason


def test_a_tar_with_a_damaged_header_keeps_what_came_before():
    data = bytearray(tarred({"a.log": BGL, "b.log": HDFS, "c.log": BGL}))
    data[data.index(b"b.log")] ^= 0xFF
    skipped = []
    assert texts(io.BytesIO(bytes(data)), skipped) == {"a.log": BGL}
    assert [(one.name, one.reason) for one in skipped] == [
        ("stream", "damaged after a.log: what follows cannot be read")
    ]


# --- laws ---

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
FILES = st.dictionaries(NAMES, st.binary(max_size=600), max_size=5)


def outcome(data):
    """Bytes that were read of an archive; only an InputError may come instead."""
    try:
        reader = read_logs(io.BytesIO(data), layout="plain")
        reader.read()
    except InputError:
        return None
    return reader.report


@given(FILES, st.sampled_from([zipped, tarred]), st.data())
def test_archives_damaged_anywhere_raise_nothing_else(members, pack, data):
    try:
        packed = bytearray(pack(members))
    except ValueError:  # a name that the archive cannot hold
        return
    at = data.draw(st.integers(0, len(packed) - 1))
    noise = data.draw(st.binary(max_size=20))
    outcome(bytes(packed[:at]))
    packed[at : at + len(noise)] = noise
    outcome(bytes(packed))


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}\.log", fullmatch=True), st.binary(max_size=600)
    ),
    st.sampled_from(["zip", *TAR_CODECS]),
)
def test_every_byte_of_every_member_is_read_or_reported(members, suffix):
    data = zipped(members) if suffix == "zip" else TAR_CODECS[suffix](tarred(members))
    report = outcome(data)
    if report is not None:
        left_out = {one.name.partition("::")[2] for one in report.skipped}
        read = {row.name.partition("::")[2]: row.bytes for row in report.sources}
        plain = {name: len(text) for name, text in members.items() if name not in left_out}
        archives_in = {name: size for name, size in read.items() if name in plain}
        assert archives_in == {name: plain[name] for name in archives_in}
        assert len(archives_in) + len(left_out) >= len(members)


# --- real data ---


@needs_data
def test_all_container_logs_of_hadoop():
    path = DATA / "anomaly/hadoop/Hadoop.zip"
    sources = expand(f"{path}::*.log")
    assert len(sources) == 978
    lines = size = ends = 0
    for log in open_logs(sources):
        for run in log.runs(1 << 20, 1 << 20):
            lines += len(run.lines)
            size += run.bytes
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".log")]
        ends = sum(archive.read(info).count(b"\n") for info in infos)
    assert size == sum(info.file_size for info in infos)
    # 394,308 line ends, and two logs whose last line has none.
    assert (ends, lines) == (394_308, 394_310)
    others = [source.name.partition("::")[2] for source in expand(path) if not source.name.endswith(".log")]
    assert others == ["README.md", "abnormal_label.txt"]


def test_a_zip_that_changed_is_looked_at_anew(tmp_path):
    path = tmp_path / "x.zip"
    for number in range(7):
        write(path, zipped({f"{number}.log": b"%d\n" % number}))
        assert texts(path) == {f"{number}.log": b"%d\n" % number}
    names = [source.name for source in expand(path)]
    assert [log.source.name for name in names for log in open_logs(expand(name))] == names
