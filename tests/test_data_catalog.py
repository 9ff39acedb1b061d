"""The sixteen domains in every layout a folder may have, their labels, and what is said where they lack."""

from __future__ import annotations

import csv
import gzip
import shutil
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import given
from hypothesis import strategies as st
from loghub_archives import (
    ABNORMAL_INSTANCES,
    APPLICATIONS,
    archive_bytes,
    lines_of,
    members_of,
    write_archive,
    write_unpacked,
)

from biglog.data.archives import catalog
from biglog.data.archives.catalog import ARCHIVES, domain, find_files, session_labels, session_of_source
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.record import read_logs

NAMES = sorted(DOMAINS)


def logs_inside(name):
    return sorted(member for member in members_of(name) if member.endswith(".log"))


# -- rows --


def test_every_domain_has_one_archive_of_its_own() -> None:
    assert set(ARCHIVES) == set(DOMAINS)
    assert len({archive.url for archive in ARCHIVES.values()}) == 16
    assert all(archive.url.startswith("https://zenodo.org/records/8196385/") for archive in ARCHIVES.values())


@pytest.mark.parametrize("name", NAMES)
def test_rows_tell_the_same_story(name) -> None:
    row, archive = DOMAINS[name], ARCHIVES[name]
    keyed = row.session_column or row.session_pattern or row.session_path
    assert bool(row.session_key) == bool(keyed)
    assert bool(row.labels) == bool(row.label_rule) == bool(archive.labels) == bool(row.normal_label)
    assert (row.labels == "session") == bool(row.label_files)
    assert row.labels != "session" or archive.labels == f"by {row.session_key}"
    assert bool(row.year) == bool(row.year_origin)
    assert bool(row.year) == bool(row.layout.timestamp and row.layout.timestamp.yearless)


def test_the_notice_names_what_the_licence_asks_for() -> None:
    for asked in (catalog.REPOSITORY_URL, "Jieming Zhu", "ISSRE", "shall be included in all copies"):
        assert asked in catalog.NOTICE
    assert catalog.CITATION.count("@inproceedings") == 2


@needs_data
def test_the_notice_is_loghubs_own() -> None:
    words = (DATA / "loghub_2k" / "LICENSE").read_text().split()
    assert catalog.NOTICE.split() == words
    assert catalog.CITATION.split() == (DATA / "loghub_2k" / "CITATION").read_text().split()


@needs_data
def test_published_facts_are_those_of_the_source_list() -> None:
    rows = [line.split("|") for line in (DATA / "LOGHUB_SOURCES.md").read_text().splitlines()]
    told = {
        row[1].split("(")[0].strip(): [cell.strip() for cell in row[2:7]] for row in rows if len(row) == 8
    }
    for name, archive in ARCHIVES.items():
        facts = [archive.name, f"{archive.lines:,}", archive.raw_size, archive.span or "", archive.labels]
        assert told[name] == facts


# -- names --


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_case_and_archive_names(name) -> None:
    stem = ARCHIVES[name].name.split(".")[0]
    assert domain(name) is domain(name.upper()) is domain(f" {name.lower()} ") is domain(stem)


@pytest.mark.parametrize(
    ("wrong", "near"), [("HDSF", "HDFS"), ("thunderbrid", "Thunderbird"), ("Open SSH", "OpenSSH")]
)
def test_an_unknown_domain_names_the_nearest(wrong, near) -> None:
    with pytest.raises(InputError, match=f"{wrong}.*Did you mean {near}"):
        domain(wrong)


def test_a_name_near_to_nothing_lists_all() -> None:
    with pytest.raises(InputError, match=r"Known are Android, .*, Zookeeper"):
        domain("€€€€")


@given(st.text(max_size=20), st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_no_text_breaks_the_search_for_a_name(text, name, random) -> None:
    mixed = "".join(random.choice((letter.lower(), letter.upper())) for letter in name)
    assert domain(mixed) is DOMAINS[name]
    with pytest.raises(InputError, match="unknown domain"):
        domain(f"{text}/{name}")


# -- layouts --


@pytest.mark.parametrize("name", NAMES)
def test_the_archive_itself_is_read_in_place(name, tmp_path) -> None:
    archive = write_archive(name, tmp_path)
    found = find_files(name, tmp_path)
    if archive.suffix == ".zip":
        assert [found.relative(log) for log in found.logs] == [
            f"{archive.name}::{m}" for m in logs_inside(name)
        ]
    else:
        assert found.logs == (f"{archive}::*.log",)
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("name", NAMES)
def test_unpacked_files_are_found(name, tmp_path) -> None:
    write_unpacked(name, tmp_path)
    found = find_files(name, tmp_path)
    assert sorted(found.relative(log) for log in found.logs) == logs_inside(name)
    assert all((found.kind(log) or pytest.fail(log)).origin == "Loghub" for log in found.logs)
    assert found.samples == found.unused == ()


@pytest.mark.parametrize("name", ["HDFS", "Hadoop", "Linux", "OpenSSH"])
def test_archives_side_by_side_and_folders_by_name(name, tmp_path) -> None:
    for other in ("HDFS", "Linux", "OpenSSH"):
        write_unpacked(other, tmp_path / other)
    write_archive("Hadoop", tmp_path)
    found = find_files(name.lower(), tmp_path)
    inside = "Hadoop.zip::" if name == "Hadoop" else f"{name}/"
    assert sorted(found.relative(log) for log in found.logs) == [f"{inside}{m}" for m in logs_inside(name)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [write_archive, write_unpacked])
def test_what_is_found_is_read(name, layout, tmp_path) -> None:
    layout(name, tmp_path)
    found = find_files(name, tmp_path)
    reader = read_logs(list(found.logs), layout=name)
    frame = reader.read()
    names = [found.relative(source.name) for source in reader.report.sources]
    assert sorted(member.rpartition("::")[2] for member in names) == logs_inside(name)
    assert len(frame) == 5 * len(names)
    assert frame["timestamp"].null_count() == 0


def test_an_archive_stands_for_its_loose_lines(tmp_path) -> None:
    write_unpacked("HDFS", tmp_path / "HDFS_v1")
    archive = write_archive("HDFS", tmp_path)
    found = find_files("HDFS", tmp_path)
    assert found.logs == (f"{archive}::HDFS.log",)
    assert [found.relative(log) for log in found.unused] == ["HDFS_v1/HDFS.log"]
    assert len(session_labels(found)) == 2


def test_a_collection_with_logs_of_other_machines(tmp_path) -> None:
    mac = tmp_path / "raw" / "Mac"
    mac.mkdir(parents=True)
    for name in ("macos12_13_system.log.gz", "macos11_system.log.gz"):
        (mac / name).write_bytes(gzip.compress(lines_of("Mac")))
    (mac / "Mac.log").write_bytes(lines_of("Mac"))
    (mac / "notes.txt").write_text("not a log\n")
    found = find_files("mac", tmp_path)
    names = [found.relative(log).removeprefix("raw/Mac/") for log in found.logs]
    assert names == ["Mac.log", "macos11_system.log.gz", "macos12_13_system.log.gz"]
    assert [found.year(log) for log in found.logs] == [2017, 2023, 2023]
    assert "MacOS11" in found.kind(found.logs[1]).origin


def test_only_a_sample(tmp_path) -> None:
    folder = tmp_path / "loghub_2k" / "Spark"
    (folder / "loghub2").mkdir(parents=True)
    (folder / "Spark_2k.log").write_bytes(lines_of("Spark"))
    versions = {
        "original": folder / "Spark_2k.log_structured.csv",
        "logparser-corrected": folder / "Spark_2k.log_structured_corrected.csv",
        "loghub-2.0": folder / "loghub2" / "Spark_2k.log_structured_corrected.csv",
    }
    for path in versions.values():
        path.touch()
    found = find_files("Spark", tmp_path)
    assert (found.logs, found.samples) == ((), (folder / "Spark_2k.log",))
    assert found.ground_truth == versions


def test_overlapping_logs_are_told(tmp_path) -> None:
    for name in ("HDFS_first20k.log", "HDFS_sample_4519.log"):
        (tmp_path / name).write_bytes(lines_of("HDFS"))
    first, sample = (str(tmp_path / name) for name in ("HDFS_first20k.log", "HDFS_sample_4519.log"))
    assert find_files("HDFS", tmp_path).overlapping == {sample: (first,)}


@pytest.mark.parametrize("name", ["Hadoop", "Spark"])
def test_sessions_in_paths(name) -> None:
    path = "Hadoop.zip::application_1445087491445_0005/container_1445087491445_0005_01_000001.log"
    assert session_of_source(name, path) == "application_1445087491445_0005"
    assert session_of_source(name, "app.log") is None
    assert session_of_source("HDFS", path) is None


# -- labels --


def test_block_labels_of_the_archive_and_of_extracts_agree(tmp_path) -> None:
    write_archive("HDFS", tmp_path)
    (tmp_path / "HDFS_some.blocks.csv").write_text(
        "block_id,label,n_lines,first_line\nblk_-6952295868487656571,1,4,9\nblk_7,0,2,1\n"
    )
    labels = session_labels(find_files("HDFS", tmp_path))
    assert labels.rows() == [
        ("blk_-6952295868487656571", "Anomaly", True),
        ("blk_38865049064139660", "Normal", False),
        ("blk_7", "Normal", False),
    ]


@pytest.mark.parametrize("layout", [write_archive, write_unpacked])
def test_application_labels(layout, tmp_path) -> None:
    layout("Hadoop", tmp_path)
    labels = session_labels(find_files("Hadoop", tmp_path))
    assert dict(labels.select("session_id", "label").rows()) == APPLICATIONS
    assert labels.filter(~pl.col("is_anomaly"))["label"].to_list() == ["Normal"]


@pytest.mark.parametrize("layout", [write_archive, write_unpacked])
def test_instance_labels_name_the_anomalies_only(layout, tmp_path) -> None:
    layout("OpenStack", tmp_path)
    labels = session_labels(find_files("OpenStack", tmp_path))
    assert labels["session_id"].to_list() == sorted(ABNORMAL_INSTANCES)
    assert labels["is_anomaly"].all()
    assert DOMAINS["OpenStack"].unnamed_label == "Normal"


def test_domains_without_label_files_have_none(tmp_path) -> None:
    write_archive("BGL", tmp_path)
    labels = session_labels(find_files("BGL", tmp_path))
    assert labels.is_empty()
    assert labels.columns == ["session_id", "label", "is_anomaly"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("block,label\nblk_1,0\n", "column block_id is missing"),
        ("BlockId,Verdict\nblk_1,0\n", "column Label is missing"),
        ("block_id,label\nblk_1,maybe\n", "'maybe' is no label"),
        ("block_id,label\nblk_1,\n", "None is no label"),
        ("", "not a CSV file"),
        ("block_id,label\nblk_-6952295868487656571,0\n", "contradict each other.*blk_-6952295868487656571"),
    ],
)
def test_bad_block_labels(text, said, tmp_path) -> None:
    write_unpacked("HDFS", tmp_path)
    (tmp_path / "HDFS_bad.blocks.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        session_labels(find_files("HDFS", tmp_path))


@pytest.mark.parametrize(
    ("name", "file"), [("Hadoop", "abnormal_label.txt"), ("OpenStack", "anomaly_labels.txt")]
)
def test_label_texts_that_name_nothing(name, file, tmp_path) -> None:
    write_unpacked(name, tmp_path)
    (tmp_path / file).write_text("moved elsewhere\n")
    with pytest.raises(InputError, match=f"{file}: it names no"):
        session_labels(find_files(name, tmp_path))


def test_a_tar_without_its_labels(tmp_path) -> None:
    write_archive("Linux", tmp_path).rename(tmp_path / "OpenStack.tar.gz")
    with pytest.raises(InputError, match=r"OpenStack\.tar\.gz::anomaly_labels\.txt"):
        session_labels(find_files("OpenStack", tmp_path))


# -- what is not there --


def test_nothing_there_says_how_to_get_it(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as caught:
            find_files("OpenSSH", folder)
        for said in (str(folder), "biglog datasets download OpenSSH", ARCHIVES["OpenSSH"].url, "BIGLOG_DATA"):
            assert said in str(caught.value)
    write_archive("HDFS", tmp_path)
    with pytest.raises(InputError, match="no logs of Linux"):
        find_files("Linux", tmp_path)


def test_a_file_is_no_folder(tmp_path) -> None:
    with pytest.raises(InputError, match="this is no folder"):
        find_files("HDFS", write_archive("HDFS", tmp_path))


def test_a_cut_zip(tmp_path) -> None:
    (tmp_path / "BGL.zip").write_bytes(archive_bytes("BGL")[:-30])
    with pytest.raises(InputError, match=r"BGL\.zip: not a readable zip"):
        find_files("BGL", tmp_path)


def test_the_default_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_DATA", str(tmp_path))
    assert catalog.default_folder() == tmp_path
    monkeypatch.delenv("BIGLOG_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert catalog.default_folder() == tmp_path / "biglog" / "loghub"


# -- all real data --


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_every_shared_log_is_found_once(name) -> None:
    found = find_files(name, DATA)
    with (DATA / "MANIFEST.csv").open(newline="") as stream:
        files = {row["file"] for row in csv.DictReader(stream)}
    wanted = {file for file in files if file.startswith(f"raw/{name}/")}
    wanted |= {
        f for f in files if f.startswith(f"anomaly/{name.lower()}/") and f.endswith((".log.gz", ".zip"))
    }
    assert {found.relative(log).partition("::")[0] for log in found.logs} == wanted
    assert len(set(found.logs)) == len(found.logs)
    assert [found.relative(path) for path in found.samples] == [f"loghub_2k/{name}/{name}_2k.log"]
    assert set(found.ground_truth) >= {"original", "logparser-corrected"}
    assert ("loghub-2.0" in found.ground_truth) == (name not in ("Android", "Windows"))
    assert found.unused == ()


@needs_data
def test_labels_and_failures_of_the_shared_data(tmp_path) -> None:
    blocks, applications = (session_labels(find_files(name, DATA)) for name in ("HDFS", "Hadoop"))
    assert (len(blocks), blocks["is_anomaly"].sum()) == (1782, 43)
    counts = dict(applications["label"].value_counts().rows())
    assert counts == {"Normal": 11, "Machine down": 28, "Disk full": 9, "Network disconnection": 7}
    shutil.copy(DATA / "anomaly" / "hadoop" / "Hadoop.zip", tmp_path)
    assert session_labels(find_files("Hadoop", tmp_path)).equals(applications), "the archive's own list"
    assert [path.name for path in find_files("HPC", DATA).failures] == ["node_state_changes.csv"]


@needs_data
def test_the_shared_hdfs_logs_overlap_as_said() -> None:
    found = find_files("HDFS", DATA)
    first, sample = (gzip.decompress(Path(log).read_bytes()).splitlines() for log in found.logs)
    shared = pl.Series(sample).is_in(pl.Series(first).implode()).sum()
    said = " ".join(DOMAINS["HDFS"].quirks)
    assert f"{shared:,} of the {len(sample):,} lines are in both files" in said
