"""Archives from a server that breaks off, lies and refuses: what arrives is right, or is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from file_server import Answer, FileServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loghub_archives import archive_bytes, members_of, write_archive, write_unpacked

from biglog.data.archives.catalog import ARCHIVES, NOTICE, find_files, session_labels
from biglog.data.archives.download import CHECKSUMS, checksums, verify
from biglog.data.archives.download import download as download_archive
from biglog.errors import InputError, OutputError
from biglog.logs.domains import DOMAINS

HDFS = archive_bytes("HDFS")
CALL = """
import sys
from biglog.data.archives.download import download
download("HDFS", sys.argv[1], url=sys.argv[2], backoff_seconds=0)
"""


@pytest.fixture
def server():
    with FileServer() as server:
        server.files = {archive.name: archive_bytes(name) for name, archive in ARCHIVES.items()}
        yield server


@pytest.fixture
def download(server):
    def download(name, folder, **options):
        return download_archive(name, folder, url=server.record, backoff_seconds=0, **options)

    return download


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {CHECKSUMS, "LOGHUB_LICENSE", "LOGHUB_CITATION.bib"}


# -- it arrives --


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_every_archive_arrives_and_is_found(name, download, server, tmp_path) -> None:
    path = download(name, tmp_path / "new" / "folder")
    assert path.read_bytes() == server.files[path.name]
    assert left(path.parent) == {path.name}
    assert find_files(name, path.parent).logs
    assert (path.parent / "LOGHUB_LICENSE").read_text() == NOTICE


def test_what_is_recorded(download, server, tmp_path) -> None:
    path = download("hdfs", tmp_path)
    row = checksums(tmp_path)[path.name]
    assert row["sha256"] == hashlib.sha256(HDFS).hexdigest()
    assert (row["size"], row["url"]) == (len(HDFS), f"{server.record}/files/HDFS_v1.zip?download=1")
    assert row["etag"] == f'"{hashlib.md5(HDFS).hexdigest()}"'
    assert len(row["first_download"]) == len("2026-01-01")
    assert len(session_labels(find_files("HDFS", tmp_path))) == 2


def test_a_second_call_checks_and_does_not_fetch(download, server, tmp_path) -> None:
    first = download("HDFS", tmp_path)
    assert download("HDFS", tmp_path) == first
    assert len(server.requests) == 1


def test_the_variable_names_the_server(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", f"{server.record}/")
    assert download_archive("Linux", tmp_path).read_bytes() == server.files["Linux.tar.gz"]


def test_several_domains_share_a_record(download, tmp_path) -> None:
    threads = [
        threading.Thread(target=download, args=(name, tmp_path)) for name in ("HDFS", "Linux", "BGL", "Mac")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(checksums(tmp_path)) == {"HDFS_v1.zip", "Linux.tar.gz", "BGL.zip", "Mac.tar.gz"}


def test_progress_goes_up_to_the_size(download, tmp_path) -> None:
    seen: list[tuple[int, int | None]] = []
    download("HDFS", tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(HDFS), len(HDFS))


# -- it breaks off --


def test_a_cut_is_gone_on_with(download, server, tmp_path) -> None:
    server.script = [Answer(cut=100), Answer(cut=50)]
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert [request.range for request in server.requests] == [None, "bytes=100-", "bytes=150-"]
    assert {request.if_range for request in server.requests[1:]} == {f'"{hashlib.md5(HDFS).hexdigest()}"'}
    assert [request.status for request in server.requests] == [200, 206, 206]


def test_a_server_that_is_busy_at_first(download, server, tmp_path) -> None:
    server.script = [Answer(status=503), Answer(status=429, headers={"Retry-After": "0"}), Answer(status=500)]
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_a_server_that_stays_busy(download, server, tmp_path) -> None:
    server.script = [Answer(status=503)] * 20
    with pytest.raises(InputError, match=r"503 Service Unavailable.*Without a network, fetch https://zenodo"):
        download("HDFS", tmp_path)
    assert len(server.requests) == 5


def test_a_server_that_never_gets_further(download, server, tmp_path) -> None:
    server.script = [Answer(cut=100)] + [Answer(cut=0)] * 20
    with pytest.raises(
        InputError, match=rf"broke off after 100 of {len(HDFS):,} bytes.*Call again: it goes on"
    ):
        download("HDFS", tmp_path)
    assert left(tmp_path) == {"HDFS_v1.zip.part", "HDFS_v1.zip.part.json"}
    server.script = []
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert server.requests[-1].range == "bytes=100-"


def test_an_interrupted_call_is_gone_on_with(download, server, tmp_path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    server.script = [Answer(cut=200)]
    with pytest.raises(KeyboardInterrupt):
        download("HDFS", tmp_path, progress=interrupt)
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert server.requests[-1].status == 206


def test_a_killed_process_is_gone_on_with(download, server, tmp_path) -> None:
    release = threading.Event()
    server.script = [Answer(cut=300, hold=release)]
    with subprocess.Popen([sys.executable, "-c", CALL, tmp_path, server.record]) as process:
        assert server.reached.wait(60)
        process.kill()
    release.set()
    assert left(tmp_path) <= {"HDFS_v1.zip.part", "HDFS_v1.zip.part.json"}, "nothing looks finished"
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_a_server_without_ranges_starts_anew(download, server, tmp_path) -> None:
    server.script = [Answer(cut=100), Answer(ranges=False)]
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert [request.status for request in server.requests] == [200, 200]


@pytest.mark.parametrize("tag", [True, False])
def test_a_file_that_changes_meanwhile_starts_anew(tag, download, server, tmp_path) -> None:
    server.tag, server.metadata = tag, False
    server.files["HDFS_v1.zip"] = archive_bytes("BGL")
    server.script = [Answer(cut=100)] + [Answer(status=503)] * 5
    with pytest.raises(InputError):
        download("HDFS", tmp_path)
    server.files["HDFS_v1.zip"] = HDFS
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_a_part_longer_than_the_file_starts_anew(download, server, tmp_path) -> None:
    server.tag = server.metadata = False
    server.files["HDFS_v1.zip"] = HDFS * 2
    server.script = [Answer(cut=len(HDFS) + 10)] + [Answer(status=503)] * 5
    with pytest.raises(InputError):
        download("HDFS", tmp_path)
    server.files["HDFS_v1.zip"] = HDFS
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert [request.status for request in server.requests[-2:]] == [416, 200]


def test_the_rest_of_a_whole_part(download, server, tmp_path) -> None:
    server.script = [Answer(announced=10)] + [Answer(status=503)] * 5
    with pytest.raises(InputError, match="broke off"):
        download("HDFS", tmp_path)
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert server.requests[-1].status == 416, "all of it was there"


def test_no_length_is_given(download, server, tmp_path) -> None:
    server.script = [Answer(announced=None)]
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_a_part_of_another_address_is_not_gone_on_with(download, server, tmp_path) -> None:
    (tmp_path / "HDFS_v1.zip.part").write_bytes(b"x" * 100)
    (tmp_path / "HDFS_v1.zip.part.json").write_text(
        '{"url": "http://elsewhere/", "etag": null, "size": null}'
    )
    assert download("HDFS", tmp_path).read_bytes() == HDFS
    assert server.requests[0].range is None


answers = st.one_of(
    st.builds(Answer, cut=st.integers(0, len(HDFS)), ranges=st.booleans()),
    st.builds(Answer, status=st.sampled_from([429, 500, 503]), headers=st.just({"Retry-After": "0"})),
    st.builds(Answer, announced=st.sampled_from([None, 0, 7])),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(answers, max_size=4), tag=st.booleans())
def test_whatever_happens_the_bytes_are_right(script, tag, server, download, tmp_path_factory) -> None:
    server.script, server.tag = script, tag
    folder = tmp_path_factory.mktemp("any")
    assert download("HDFS", folder).read_bytes() == HDFS
    assert left(folder) == {"HDFS_v1.zip"}


# -- it is the wrong file --


def test_a_checksum_other_than_published(download, server, tmp_path) -> None:
    described = server.described()
    server.described = lambda: described
    server.files["HDFS_v1.zip"] = wrong = archive_bytes("BGL")
    digests = [hashlib.md5(data).hexdigest() for data in (wrong, HDFS)]
    with pytest.raises(
        InputError, match=f"wrong checksum: MD5 {digests[0]}, but {digests[1]} is published"
    ) as caught:
        download("HDFS", tmp_path)
    assert "kept as HDFS_v1.zip.bad" in str(caught.value)
    assert (tmp_path / "HDFS_v1.zip.bad").read_bytes() == wrong
    assert left(tmp_path) == {"HDFS_v1.zip.bad"}
    server.files["HDFS_v1.zip"] = HDFS
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_another_file_than_at_the_first_download(download, server, tmp_path) -> None:
    server.metadata = False
    download("HDFS", tmp_path).unlink()
    server.files["HDFS_v1.zip"] = archive_bytes("BGL")
    with pytest.raises(
        InputError, match=rf"but {hashlib.sha256(HDFS).hexdigest()} at its first download.*{CHECKSUMS}"
    ):
        download("HDFS", tmp_path)
    assert not (tmp_path / "HDFS_v1.zip").exists()


def test_a_present_file_that_was_changed(download, tmp_path) -> None:
    path = download("HDFS", tmp_path)
    path.write_bytes(archive_bytes("BGL"))
    with pytest.raises(InputError, match=r"HDFS_v1\.zip: wrong checksum.*changed since"):
        download("HDFS", tmp_path)
    assert path.exists(), "nothing of the user's is removed"


def test_a_file_put_there_by_hand_is_recorded(download, server, tmp_path) -> None:
    path = write_archive("HDFS", tmp_path)
    assert download("HDFS", tmp_path) == path
    assert checksums(tmp_path)["HDFS_v1.zip"]["url"] is None
    assert server.requests == []


@pytest.mark.parametrize("name", ["HDFS", "Linux"])
def test_a_page_in_place_of_the_archive(name, download, server, tmp_path) -> None:
    server.metadata = False
    server.files[ARCHIVES[name].name] = b"<!doctype html><title>Please log in</title>"
    with pytest.raises(InputError, match=r"this is no (zip|gzip) file\. It is kept as .*\.bad"):
        download(name, tmp_path)


def test_a_damaged_record_of_checksums(download, tmp_path) -> None:
    download("HDFS", tmp_path)
    for text in ("{", "[]", '{"a": 1}'):
        (tmp_path / CHECKSUMS).write_text(text)
        with pytest.raises(InputError, match="checksums"):
            download("HDFS", tmp_path)


# -- it cannot be had --


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_repeated(status, download, server, tmp_path) -> None:
    server.script = [Answer(status=status)]
    with pytest.raises(InputError, match=f"answers {status} .*BIGLOG_DATA"):
        download("HDFS", tmp_path)
    assert len(server.requests) == 1


def test_no_network(tmp_path) -> None:
    with FileServer() as closed:
        record = closed.record
    with pytest.raises(InputError) as caught:
        download_archive("HDFS", tmp_path, url=record, backoff_seconds=0)
    for said in ("cannot be reached", "refused", ARCHIVES["HDFS"].url, str(tmp_path), "BIGLOG_DATA"):
        assert said in str(caught.value)


@pytest.mark.parametrize("record", ["nowhere", "http://", "http://[::bad", "ftp://127.0.0.1/records/1"])
def test_an_address_that_is_none(record, tmp_path) -> None:
    with pytest.raises(InputError):
        download_archive("HDFS", tmp_path, url=record, backoff_seconds=0)


def test_more_than_fits_on_the_disk(download, server, tmp_path) -> None:
    server.script = [Answer(announced=10**15)]
    with pytest.raises(
        OutputError, match=r"no space left \(1,000,\d{3},\d{3},\d{3},\d{3} bytes are needed, .* are free\)"
    ):
        download("HDFS", tmp_path)


def test_a_disk_that_refuses_keeps_the_part(server, download, tmp_path) -> None:
    code = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))\n"
    command = [sys.executable, "-c", code + CALL, tmp_path, server.record]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OutputError" in done.stderr
    assert "File too large" in done.stderr
    assert (tmp_path / "HDFS_v1.zip.part").stat().st_size <= 400
    assert download("HDFS", tmp_path).read_bytes() == HDFS


def test_two_at_once(server, download, tmp_path) -> None:
    release = threading.Event()
    server.script = [Answer(cut=100, hold=release)]
    first = threading.Thread(target=download, args=("HDFS", tmp_path))
    first.start()
    assert server.reached.wait(60)
    with pytest.raises(OutputError, match="another process is downloading"):
        download("HDFS", tmp_path)
    release.set()
    first.join()
    assert (tmp_path / "HDFS_v1.zip").read_bytes() == HDFS


def test_a_folder_that_cannot_be_made(download, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        download("HDFS", tmp_path / "file" / "folder")


# -- it is checked again --


def test_verify_tells_what_changed(download, tmp_path) -> None:
    path = download("HDFS", tmp_path)
    assert verify("HDFS", tmp_path).ok
    path.write_bytes(HDFS + b"\n")
    report = verify("HDFS", tmp_path)
    assert not report.ok
    assert [file.changed for file in report.files] == [True]
    assert report.files[0].recorded == hashlib.sha256(HDFS).hexdigest()


def test_verify_without_a_record(tmp_path) -> None:
    write_unpacked("Hadoop", tmp_path)
    report = verify("Hadoop", tmp_path)
    assert (report.ok, report.lines, report.complete) == (True, None, None)
    assert {file.recorded for file in report.files} == {None}
    assert [file.name for file in report.files] == sorted(
        m for m in members_of("Hadoop") if m.endswith(".log")
    )
    assert not (tmp_path / CHECKSUMS).exists(), "verifying writes nothing"


def test_verify_counts_lines(tmp_path) -> None:
    write_unpacked("Hadoop", tmp_path)
    report = verify("Hadoop", tmp_path, lines=True)
    assert (report.lines, report.logs, report.complete) == (30, 6, False)


def test_verify_reports_its_progress(tmp_path) -> None:
    write_unpacked("OpenStack", tmp_path)
    seen: list[tuple[int, int | None]] = []
    report = verify("OpenStack", tmp_path, progress=lambda done, total: seen.append((done, total)))
    total = sum(file.size for file in report.files)
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


def test_the_record_is_json_for_others(download, tmp_path) -> None:
    download("Linux", tmp_path)
    text = (tmp_path / CHECKSUMS).read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
