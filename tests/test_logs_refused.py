"""Archives that may do harm are refused, by the name of the archive and of the member."""

import bz2
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile

import pytest
from test_logs_archives import BGL, HDFS, entry, tarred, texts, write, zipped

from biglog.logs.record import read_logs
from biglog.logs.sources import archives, compression, opening, zips
from biglog.logs.sources.compression import RefusedError


def refused(match, named, *places):
    with pytest.raises(RefusedError, match=match) as caught:
        texts(named)
    assert caught.value.remedy
    for place in places:
        assert place in str(caught.value)


# --- what is refused ---

EVIL = ["../x", "a/../../x", "/etc/passwd", "C:\\x.log", "c:x", "\\\\host\\x", "a\\..\\..\\x", "..", "a/.."]


@pytest.mark.parametrize("name", EVIL)
def test_names_that_lead_out_of_the_archive(name, tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("good.log", BGL)
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"text")
    refused("leads out", write(tmp_path / "evil.zip", data.getvalue()), "evil.zip", repr(name))
    refused("leads out", write(tmp_path / "evil.tar", tarred({name: b"text"})), "evil.tar")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../../x", "C:\\x"])
def test_links_that_lead_out_of_the_archive(kind, target, tmp_path):
    data = tarred([entry("good.log", BGL), entry("f/link", kind=kind, link=target)])
    refused("link that leads out", write(tmp_path / "evil.tar", data), "evil.tar", "f/link")


def test_a_zip_link_that_leads_out(tmp_path):
    for target, harmless in (("a.log", True), ("/etc/passwd", False), ("../x", False)):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.log", BGL)
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
        path = write(tmp_path / "x.zip", stream.getvalue())
        if harmless:
            assert list(texts(path)) == ["a.log"]
        else:
            refused("link that leads out", path, "x.zip", "link")


def test_encrypted_members(tmp_path):
    data = bytearray(zipped({"a.log": BGL, "secret.log": HDFS}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(magic) + at] |= 1
    path = write(tmp_path / "x.zip", bytes(data))
    refused("encrypted", path, "x.zip::secret.log")
    assert list(texts(f"{path}::a.log")) == ["a.log"]


def test_archives_in_archives_in_archives(tmp_path):
    inner = gzip.compress(tarred({"in.zip": zipped({"a.log": BGL})}))
    refused(
        "archives in archives", write(tmp_path / "x.zip", zipped({"m.tgz": inner})), "x.zip::m.tgz::in.zip"
    )
    refused(
        "archives in archives", write(tmp_path / "x.tar", tarred({"m.tgz": inner})), "x.tar::m.tgz::in.zip"
    )


def test_bombs_are_refused_by_what_they_declare(tmp_path):
    bomb = zipped({"bomb.log": b"\n" * (65 << 20)})
    refused("1000 times", write(tmp_path / "x.zip", bomb), "x.zip::bomb.log")


def test_declared_sizes_that_lie(tmp_path):
    data = bytearray(zipped({"a.log": b"line\n" * 1000}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    refused("more than the 100 bytes it declares", write(tmp_path / "x.zip", bytes(data)), "x.zip::a.log")
    data[at + 24 : at + 28] = struct.pack("<I", 9999)
    reader = read_logs(write(tmp_path / "x.zip", bytes(data)))
    assert len(reader.read()) == 1000
    assert reader.report.sources[0].truncated


def test_bombs_are_refused_by_what_comes_out(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "BOMB_BYTES", 1 << 20)
    blanks = b"\n" * (8 << 20)
    twice = zipped({"x.log.bz2": bz2.compress(blanks)})
    refused("1000 times", write(tmp_path / "x.zip", twice), "x.zip::x.log.bz2")
    once = tarred({"good.log": BGL, "x.log.bz2": bz2.compress(blanks)})
    refused("1000 times", write(tmp_path / "x.tgz", gzip.compress(once)), "x.tgz::x.log.bz2")
    many = zipped({f"{n}.log": b"\n" * 1000_000 for n in range(30)})
    refused("1000 times", write(tmp_path / "y.zip", zipped({"in.zip": many})), "y.zip::in.zip::")


def test_overlapping_members(tmp_path):
    data = bytearray(zipped({"a.log": BGL * 100, "b.log": BGL * 100}))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 10)
    refused("overlaps", write(tmp_path / "x.zip", bytes(data)), "x.zip")


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_MEMBERS", 3)
    monkeypatch.setattr("biglog.logs.sources.tars.MAX_MEMBERS", 3)
    assert len(texts(write(tmp_path / "x.zip", zipped({str(n): b"x" for n in range(3)})))) == 3
    refused("members", write(tmp_path / "x.zip", zipped({str(n): b"x" for n in range(4)})), "x.zip")
    refused("members", write(tmp_path / "x.tar", tarred({str(n): b"x" for n in range(4)})), "x.tar")
    assert archives.MAX_MEMBERS == 100_000


def test_headers_of_a_tar_that_are_too_long(tmp_path):
    data = bytearray(tarred({"x" * 200: b"y"}, tarfile.GNU_FORMAT))
    size = b"77777777777\0"
    data[124:136] = size
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    refused("header of", write(tmp_path / "x.tar", bytes(data)), "x.tar")


def test_a_packed_zip_that_is_too_large_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MAX_NESTED_ZIP", 1000)
    large = zipped({"a.log": os.urandom(2000).hex()})
    refused("packed itself", write(tmp_path / "x.zip", zipped({"in.zip": large})), "x.zip::in.zip")
