"""Archives laid out as Loghub publishes them, made small from the real lines in tests/data/loghub."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from data_path import LINES

from biglog.data.archives.catalog import ARCHIVES

APPLICATIONS = {
    "application_1445087491445_0005": "Normal",
    "application_1445087491445_0001": "Machine down",
    "application_1445182159119_0011": "Disk full",
}
ABNORMAL_INSTANCES = ("544fd51c-4edc-4780-baae-ba1d80a0acfc", "1643649d-2f42-4303-bfcd-7798baec19f9")


def lines_of(domain: str) -> bytes:
    return (LINES / f"{domain}.log").read_bytes()


def _hdfs() -> dict[str, bytes]:
    labels = b"BlockId,Label\nblk_38865049064139660,Normal\nblk_-6952295868487656571,Anomaly\n"
    return {
        "HDFS.log": lines_of("HDFS"),
        "README.md": b"## HDFS_v1\n",
        "preprocessed/anomaly_label.csv": labels,
        "preprocessed/Event_traces.csv": b"BlockId,Label,Type,Features\n",
    }


def _hadoop() -> dict[str, bytes]:
    text = "The logs are generated from a Hadoop cluster.\r\n\r\n"
    for job, names in (("WordCount", list(APPLICATIONS)[:2]), ("PageRank", list(APPLICATIONS)[2:])):
        text += f"### {job}\r\n"
        for name in names:
            text += f"{APPLICATIONS[name]}:\r\n+ {name}\r\n\r\n"
    members = {"abnormal_label.txt": text.encode(), "README.md": b"## Hadoop\n"}
    for name in APPLICATIONS:
        container = name.replace("application", "container")
        members |= {f"{name}/{container}_01_00000{i}.log": lines_of("Hadoop") for i in (1, 2)}
    return members


def _openstack() -> dict[str, bytes]:
    text = "There are VM instances with anomalies in openstack_abnormal.log:\n\n"
    logs = ("openstack_abnormal.log", "openstack_normal1.log", "openstack_normal2.log")
    members = {name: lines_of("OpenStack") for name in logs}
    return {**members, "anomaly_labels.txt": (text + "\n".join(ABNORMAL_INSTANCES)).encode()}


def members_of(domain: str) -> dict[str, bytes]:
    """File names and contents of a domain's archive."""
    own = {"HDFS": _hdfs, "Hadoop": _hadoop, "OpenStack": _openstack}.get(domain)
    stem = {"OpenSSH": "SSH"}.get(domain, domain)
    return own() if own else {f"{stem}.log": lines_of(domain)}


def archive_bytes(domain: str) -> bytes:
    """The archive of a domain: a zip or a tar.gz, the same bytes every time."""
    target = io.BytesIO()
    if ARCHIVES[domain].name.endswith(".zip"):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members_of(domain).items():
                archive.writestr(zipfile.ZipInfo(name), data)
        return target.getvalue()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, data in members_of(domain).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = target.getvalue()
    return data[:4] + b"\0" * 4 + data[8:]  # without the time of making it


def write_archive(domain: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ARCHIVES[domain].name
    path.write_bytes(archive_bytes(domain))
    return path


def write_unpacked(domain: str, folder: Path) -> None:
    for name, data in members_of(domain).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
