"""The sixteen archives of Loghub as published, with the notice and the citations that go with every copy.

Lines, sizes and spans are those of Loghub's own overview. Published checksums are in the record's metadata on
zenodo.org and are asked for at download; none is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

RECORD_URL: Final = "https://zenodo.org/records/8196385"
"""Where the archives are published; a file is at `/files/<name>?download=1` below it."""

METADATA_URL: Final = "https://zenodo.org/api/records/8196385"
"""The record's metadata as JSON, with an MD5 for each file."""

REPOSITORY_URL: Final = "https://github.com/logpai/loghub"

LICENCE: Final = "Loghub data licence: free for research or academic work"

NOTICE: Final = """\
LICENSE OF LOGHUB

The datasets are freely available for research or academic work, subject to
the following condition: For any usage or distribution of the loghub datasets,
please refer to the loghub repository URL (https://github.com/logpai/loghub)
and cite the following loghub paper where applicable.

Jieming Zhu, Shilin He, Pinjia He, Jinyang Liu, Michael R. Lyu. Loghub: A Large
Collection of System Log Datasets for AI-driven Log Analytics. In ISSRE, 2023.

The above license notice shall be included in all copies of the datasets.
"""

CITATION: Final = """\
@inproceedings{Loghub,
  author       = {Jieming Zhu and
                  Shilin He and
                  Pinjia He and
                  Jinyang Liu and
                  Michael R. Lyu},
  title        = {Loghub: {A} Large Collection of System Log Datasets for AI-driven
                  Log Analytics},
  booktitle    = {IEEE International Symposium on Software Reliability Engineering (ISSRE)},
  year         = {2023}
}

@inproceedings{Loghub2,
  author       = {Zhihan Jiang and
                  Jinyang Liu and
                  Junjie Huang and
                  Yichen Li and
                  Yintong Huo and
                  Jiazhen Gu and
                  Zhuangbin Chen and
                  Jieming Zhu and
                  Michael R. Lyu},
  title        = {A Large-scale Evaluation for Log Parsing Techniques: How Far are We?},
  booktitle    = {ACM SIGSOFT International Symposium on Software Testing and Analysis (ISSTA)},
  year         = {2024}
}
"""

_XU = (
    "Wei Xu, Ling Huang, Armando Fox, David Patterson, Michael Jordan. Detecting Large-Scale System"
    " Problems by Mining Console Logs. SOSP, 2009."
)
_LIN = (
    "Qingwei Lin, Hongyu Zhang, Jian-Guang Lou, Yu Zhang, Xuewei Chen. Log Clustering Based Problem"
    " Identification for Online Service Systems. ICSE, 2016."
)
_DU = (
    "Min Du, Feifei Li, Guineng Zheng, Vivek Srikumar. DeepLog: Anomaly Detection and Diagnosis from System"
    " Logs through Deep Learning. CCS, 2017."
)
_OLINER = "Adam J. Oliner, Jon Stearley. What Supercomputers Say: A Study of Five System Logs. DSN, 2007."
_MAKANJU = (
    "Adetokunbo Makanju, A. Nur Zincir-Heywood, Evangelos E. Milios. Clustering Event Logs Using Iterative"
    " Partitioning. KDD, 2009."
)


@dataclass(frozen=True)
class Archive:
    """One published archive.

    Attributes:
        domain: Its domain.
        name: File name of the archive.
        lines: Lines of its logs, as published: line ends, and some logs lack the last one.
        raw_size: Size of its logs, as published.
        raw_bytes: The same in bytes, as exact as two decimals are.
        labels: What carries labels ("by line", "by block", ...); empty where nothing does.
        span: Time from the first line to the last as published, or None.
        description: What was recorded, in a sentence.
        paper: The work that the log comes from and that asks to be cited too, or None.
    """

    domain: str
    name: str
    lines: int
    raw_size: str
    labels: str
    span: str | None
    description: str
    paper: str | None = None

    @property
    def url(self) -> str:
        """Where it is published."""
        return f"{RECORD_URL}/files/{self.name}?download=1"

    @property
    def raw_bytes(self) -> int:
        """Size of its logs in bytes, as exact as the published decimals."""
        number, unit = self.raw_size.split()
        return round(float(number) * {"MiB": 2**20, "GiB": 2**30}[unit])


_ROWS = (
    Archive(
        "Android",
        "Android_v1.zip",
        1_555_005,
        "183.37 MiB",
        "",
        None,
        "Framework log of an instrumented Android phone in a laboratory.",
    ),
    Archive(
        "Apache",
        "Apache.tar.gz",
        56_481,
        "4.90 MiB",
        "",
        "263.9 d",
        "Error log of an Apache web server, from the Public Security Log Sharing Site.",
    ),
    Archive(
        "BGL",
        "BGL.zip",
        4_747_963,
        "708.76 MiB",
        "by line",
        "214.7 d",
        "Console and RAS log of the Blue Gene/L supercomputer at Lawrence Livermore National Laboratory.",
        _OLINER,
    ),
    Archive(
        "HDFS",
        "HDFS_v1.zip",
        11_175_629,
        "1.47 GiB",
        "by block",
        "38.7 h",
        "Hadoop distributed file system in a private cloud under benchmark workloads.",
        _XU,
    ),
    Archive(
        "HPC",
        "HPC.zip",
        433_489,
        "32.00 MiB",
        "",
        None,
        "System 20 of the high performance computing cluster at Los Alamos National Laboratory.",
        _MAKANJU,
    ),
    Archive(
        "Hadoop",
        "Hadoop.zip",
        394_308,
        "48.61 MiB",
        "by application",
        None,
        "MapReduce jobs (WordCount, PageRank) on a Hadoop cluster, normal and with injected faults.",
        _LIN,
    ),
    Archive(
        "HealthApp",
        "HealthApp.tar.gz",
        253_395,
        "22.44 MiB",
        "",
        "10.5 d",
        "A health application on an Android phone.",
    ),
    Archive(
        "Linux",
        "Linux.tar.gz",
        25_567,
        "2.25 MiB",
        "",
        "263.9 d",
        "/var/log/messages of a Linux server, from the Public Security Log Sharing Site.",
    ),
    Archive(
        "Mac",
        "Mac.tar.gz",
        117_283,
        "16.09 MiB",
        "",
        "7.0 d",
        "/var/log/system.log of a MacBook.",
    ),
    Archive(
        "OpenSSH",
        "SSH.tar.gz",
        655_146,
        "70.02 MiB",
        "",
        "28.4 d",
        "OpenSSH server in a laboratory.",
    ),
    Archive(
        "OpenStack",
        "OpenStack.tar.gz",
        207_820,
        "58.61 MiB",
        "by instance",
        None,
        "OpenStack on CloudLab, normal and with injected failures.",
        _DU,
    ),
    Archive(
        "Proxifier",
        "Proxifier.tar.gz",
        21_329,
        "2.42 MiB",
        "",
        None,
        "The program Proxifier on a desktop computer in a laboratory.",
    ),
    Archive(
        "Spark",
        "Spark.tar.gz",
        33_236_604,
        "2.75 GiB",
        "",
        None,
        "Spark on 32 machines of a laboratory, normal and abnormal runs of applications, not labelled.",
    ),
    Archive(
        "Thunderbird",
        "Thunderbird.tar.gz",
        211_212_192,
        "29.60 GiB",
        "by line",
        "244 d",
        "The supercomputer Thunderbird at Sandia National Laboratories.",
        _OLINER,
    ),
    Archive(
        "Windows",
        "Windows.tar.gz",
        114_608_388,
        "26.09 GiB",
        "",
        "226.7 d",
        "Component-based servicing (CBS) log of a computer with Windows 7 in a laboratory.",
    ),
    Archive(
        "Zookeeper",
        "Zookeeper.tar.gz",
        74_380,
        "9.95 MiB",
        "",
        "26.7 d",
        "ZooKeeper service on 32 machines of a laboratory.",
    ),
)

ARCHIVES: Final = MappingProxyType({row.domain: row for row in _ROWS})
"""The published archive of each domain, by the domain's name."""
