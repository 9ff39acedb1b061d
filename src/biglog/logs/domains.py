"""The sixteen systems of Loghub, one row a system.

Notations are Loghub's own (`logpai/loghub` and the benchmark settings of `logpai/logparser`), with two
liberties. A part that some lines of the full logs lack is optional (the tag in Linux, Mac and Thunderbird,
the program in Proxifier), and columns are named for what they hold (Loghub calls the host `Level` in Linux,
`Component` in OpenSSH and `User` in Mac and Thunderbird).

A row also says under which file names the logs and their labels go, and what a reader of them must know.
Archives, licence and citation are in `biglog.data.archives.catalog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from biglog.logs.formats.header import Layout
from biglog.logs.timestamps import FORMATS


@dataclass(frozen=True)
class LogFiles:
    """Raw logs of one kind, known by their file names.

    Attributes:
        pattern: Glob of the name (`*` and `?`), without the suffix of a compression. With a `/` it is matched
            against as many last parts of the path.
        origin: Whose logs they are: "Loghub", or another machine of the same kind.
        year: Year of the first line where timestamps have none and the domain's own does not hold; None takes
            the domain's.
        shares_lines_with: Patterns of other logs of the domain that hold some of the same lines.
    """

    pattern: str
    origin: str = "Loghub"
    year: int | None = None
    shares_lines_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """One of the sixteen systems.

    Attributes:
        layout: The header; its name is the domain's.
        logs: Raw logs by file name, in the order in which they are read.
        session_key: What groups lines into sessions, in one word; None where nothing does.
        session_column: Column that holds the session's identifier, or None.
        session_pattern: Regex with one group that finds the session's identifier in the content, or None.
        session_path: Regex with one group that finds it in the path of the log, or None.
        labels: What carries labels: each line, each session, or nothing.
        label_rule: What the labels mean, for a reader of the tables.
        label_files: File names (globs) of the labels of sessions, the most complete first.
        normal_label: Value of the label that means "no anomaly", where there are labels.
        unnamed_label: Label of a session that a complete list of anomalies does not name, or None.
        failure_files: File names (globs) of the failures that can be predicted, with their times.
        year: Year of Loghub's first line where timestamps have none.
        year_origin: How that year is known.
        quirks: What surprises in these logs, a sentence each.
    """

    layout: Layout
    logs: tuple[LogFiles, ...] = ()
    session_key: str | None = None
    session_column: str | None = None
    session_pattern: str | None = None
    session_path: str | None = None
    labels: Literal["line", "session"] | None = None
    label_rule: str = ""
    label_files: tuple[str, ...] = ()
    normal_label: str | None = None
    unnamed_label: str | None = None
    failure_files: tuple[str, ...] = ()
    year: int | None = None
    year_origin: str = ""
    quirks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Loghub's name of the domain."""
        return self.layout.name

    @property
    def zone(self) -> str:
        """IANA zone of the domain's timestamps; UTC where Loghub does not tell."""
        return self.layout.zone


_WORD_LEVEL = "[A-Z]+"
_INTEGER = "[0-9]+"
# `syslogd 1.4.1: restart.` and `-- root[2421]: ROOT LOGIN` are tags too.
SYSLOG_TAG: Final = r"(?:-- )?[^ :\[]+(?: [0-9.]+)?"
SYSLOG_HOST: Final = r"[^ \[\]]*[^ \[\]:]"

_ROWS = (
    Domain(
        Layout(
            "Android",
            "<Date> <Time>  <Pid>  <Tid> <Level> <Component>: <Content>",
            FORMATS["android"],
            ("Date", "Time"),
            fields={"Pid": _INTEGER, "Tid": _INTEGER, "Level": "[VDIWEFA]", "Component": ".*?"},
        ),
        logs=(LogFiles("Android*.log"),),
        session_key="process",
        session_column="pid",
        year=2017,
        year_origin="assumed: Loghub does not tell; the log is older than its first release of 2018",
    ),
    Domain(
        Layout(
            "Apache",
            # Module, process and thread came with Apache 2.4.
            r"\[<Time>\] \[(<Component>:)?<Level>\] (\[pid <Pid>(:tid <Tid>)?\] )?<Content>",
            FORMATS["weekday"],
            fields={"Component": "[a-z0-9_-]*", "Level": "[a-z0-9]+", "Pid": _INTEGER, "Tid": _INTEGER},
        ),
        logs=(LogFiles("Apache*.log"),),
        session_key="client",
        session_pattern=r"\[client ([^\]]+)\]",
        quirks=(
            "4,478 lines of 56,482 have no header: what programs started by Apache wrote to its error log.",
            "190 lines are earlier than the line before them.",
            "Loghub counts 56,481 lines: the last one lacks its line end.",
        ),
    ),
    Domain(
        Layout(
            "BGL",
            "<Label> <Timestamp> <Date> <Node> <Time> <NodeRepeat> <Type> <Component> <Level> <Content>",
            FORMATS["bluegene"],
            fields={"Timestamp": _INTEGER, "Level": _WORD_LEVEL},
            # Lawrence Livermore's clock; epoch and local time agree on every line of the log.
            zone="America/Los_Angeles",
        ),
        logs=(LogFiles("BGL*.log"),),
        session_key="node",
        session_column="host",
        labels="line",
        label_rule="First column of the line: `-` is normal, all else the category of the alert.",
        normal_label="-",
        quirks=(
            "Of the first 100,000 lines 2,613 are alerts, and 2,040 of those are two bursts of APPREAD on"
            " 2005-06-04: report scores by category or by episode too.",
            "The first 100,000 lines hold 43 lines of the 2k sample.",
        ),
    ),
    Domain(
        Layout(
            "HDFS",
            "<Date> <Time> <Pid> <Level> <Component>: <Content>",
            FORMATS["compact"],
            ("Date", "Time"),
            fields={"Pid": _INTEGER, "Level": _WORD_LEVEL, "Component": "[^ :]+"},
        ),
        logs=(
            LogFiles("HDFS.log"),
            LogFiles("HDFS_first*.log", shares_lines_with=("HDFS.log",)),
            LogFiles("HDFS_sample_*.log", shares_lines_with=("HDFS.log", "HDFS_first*.log")),
        ),
        session_key="block",
        session_pattern=r"(blk_-?[0-9]+)",
        labels="session",
        label_rule="A block is normal or an anomaly (marked by hand-written rules, Xu et al., SOSP 2009).",
        label_files=("anomaly_label.csv", "HDFS*.blocks.csv"),
        normal_label="Normal",
        quirks=(
            "A line may name several blocks, and then belongs to the session of each.",
            "HDFS_first20k (20,000 lines, 1,782 blocks) and HDFS_sample_4519 (4,519 lines, 110 blocks)"
            " overlap: all 110 blocks are among the 1,782, with the same labels, and 1,882 of the 4,519"
            " lines are in both files. The sample has its blocks complete; the first 20,000 lines cut most"
            " of theirs off.",
            "Sessions repeat: most blocks have the sequence of events of another one, so a score over"
            " distinct sequences belongs beside the score over blocks.",
            "The list robust_log_valid.csv is contained in robust_log_test.csv (all 2,000 rows).",
        ),
    ),
    Domain(
        Layout(
            "HPC",
            "<LogId> <Node> <Component> <State> <Time> <Flag> <Content>",
            FORMATS["epoch"],
            # Some lines lack the node (two spaces are left), some have a state of two words.
            fields={"LogId": _INTEGER, "Node": "[^ ]*", "State": "[^ ]+(?: [^ ]+)?", "Flag": "-?[0-9]+"},
        ),
        logs=(LogFiles("HPC*.log"),),
        session_key="node",
        session_column="host",
        failure_files=("node_state_changes.csv",),
        quirks=(
            "Lines end in CRLF.",
            "The file is not in the order of time: 227,832 of 433,490 lines are earlier than the one before.",
            "59 lines are off the field layout: the node is missing, or the state has two words; 9 of them"
            " have no header that can be read.",
            "Loghub counts 433,489 lines: the last one lacks its line end.",
        ),
    ),
    Domain(
        Layout(
            "Hadoop",
            r"<Date> <Time> <Level> \[<Process>\] <Component>: <Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Level": _WORD_LEVEL, "Process": ".*?"},
            signature="hadoop",
        ),
        # In the archive each container's log lies in the folder of its application.
        logs=(LogFiles("application_*/container_*.log"), LogFiles("Hadoop.log")),
        session_key="application",
        session_path=r"(application_[0-9]+_[0-9]+)",
        labels="session",
        label_rule="An application is normal, or had a fault injected: machine down, network disconnection,"
        " disk full.",
        label_files=("labels.csv", "abnormal_label.txt"),
        normal_label="Normal",
        quirks=(
            "Stack traces span lines.",
            "44 of 55 applications are anomalies. All containers of an application carry its label: never"
            " split them between training and test.",
        ),
    ),
    Domain(
        Layout(
            "HealthApp",
            r"<Time>\|<Component>\|<Pid>\|<Content>",
            FORMATS["healthapp"],
            fields={"Component": "[^|]*", "Pid": "[^|]*"},
        ),
        logs=(LogFiles("HealthApp*.log"),),
        session_key="process",
        session_column="pid",
        quirks=(
            "Hours, minutes, seconds and milliseconds are not padded.",
            "In the corrected ground truth of the 2k sample one `Content` is not literally that of its line.",
        ),
    ),
    Domain(
        Layout(
            "Linux",
            r"<Month> <Date> <Time> <Level> (<Component>(\[<PID>\])?: )?<Content>",
            FORMATS["rfc3164"],
            ("Month", "Time"),
            fields={"Level": SYSLOG_HOST, "Component": SYSLOG_TAG, "PID": _INTEGER},
            columns={"Level": "host"},
            signature=r"\(pam_unix\)\[",
        ),
        logs=(LogFiles("Linux*.log"),),
        session_key="process",
        session_column="pid",
        year=2005,
        year_origin="the log tells: ftpd writes `at Sat Jun 11 03:28:22 2005` into its lines",
        quirks=(
            "20 lines hold bytes that are no UTF-8.",
            "111 lines are earlier than the line before them.",
        ),
    ),
    Domain(
        Layout(
            "Mac",
            r"<Month>  <Date> <Time> <User> (<Component>\[<PID>\]( \(<Address>\))?: )?<Content>",
            FORMATS["rfc3164"],
            ("Month", "Time"),
            fields={"User": SYSLOG_HOST, "Component": r"[^\[\]]+", "PID": _INTEGER, "Address": ".*?"},
            columns={"User": "host"},
            signature=r"com\.apple\.|kernel\[0\]: ",
        ),
        logs=(
            LogFiles("Mac.log"),
            # Their kernels and halt write the date or its count of seconds into the lines.
            LogFiles("macos11_system.log", "jtmoon79/super-speedy-syslog-searcher, MacOS11", 2023),
            LogFiles("macos11_install_*.log", "jtmoon79/super-speedy-syslog-searcher, MacOS11", 2018),
            LogFiles(
                "macos12_13_system.log", "jtmoon79/super-speedy-syslog-searcher, MacOS12.6 and 13", 2023
            ),
            # June 2 is a Tuesday in it, and Darwin 25 is of 2025.
            LogFiles("macos_darwin25_*.log", "jtmoon79/super-speedy-syslog-searcher, Darwin25", 2026),
        ),
        session_key="process",
        session_column="pid",
        year=2017,
        year_origin="the log tells: the kernel writes `RTC: Maintenance 2017/7/1` into its lines",
        quirks=(
            "Records span lines (property lists and arrays).",
            "macos_darwin25_wifi has the layout of Apple's wifi.log, not that of system.log.",
            "In the corrected ground truth of the 2k sample three `Content` are not literally those of their"
            " lines.",
        ),
    ),
    Domain(
        Layout(
            "OpenSSH",
            r"<Date> <Day> <Time> <Component> <Program>\[<Pid>\]: <Content>",
            FORMATS["rfc3164"],
            ("Date", "Time"),
            fields={"Component": SYSLOG_HOST, "Program": "sshd", "Pid": _INTEGER},
            columns={"Component": "host"},
        ),
        logs=(
            LogFiles("SSH.log"),
            LogFiles("OpenSSH*.log"),
            # Assumed: of the years in which these samples can have been made, the first.
            LogFiles("elastic_examples_auth.log", "elastic/examples, suspicious_login_activity", 2017),
            LogFiles("rockylinux9_secure.log", "jtmoon79/super-speedy-syslog-searcher, RockyLinux9", 2022),
        ),
        session_key="process",
        session_column="pid",
        year=2016,
        year_origin="assumed: Loghub does not tell; the log is older than its first release of 2018",
        quirks=("The raw logs of other hosts hold lines of other programs beside sshd's.",),
    ),
    Domain(
        Layout(
            "OpenStack",
            r"<Logrecord> <Date> <Time> <Pid> <Level> <Component> (\[<ADDR>\] )?<Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Pid": _INTEGER, "Level": _WORD_LEVEL, "ADDR": r"(?:-|req-[^\]]*)"},
        ),
        logs=(
            LogFiles("openstack_normal*.log"),
            LogFiles("openstack_abnormal.log"),
            LogFiles("OpenStack*.log"),
            LogFiles("uforia_*.log", "uforia/OpenStackForensics, another cloud (2014)"),
        ),
        session_key="instance",
        session_pattern=r"\[instance: ([0-9a-f-]{36})\]",
        labels="session",
        label_rule="An instance is an anomaly if the archive's list names it (faults injected, Du et al., CCS"
        " 2017); every other instance is normal.",
        label_files=("anomaly_labels.txt",),
        normal_label="Normal",
        unnamed_label="Normal",
        quirks=(
            "Four instances are anomalies, all of them in openstack_abnormal.log.",
            "Every line of the archive begins with the name of the log it was collected from; the logs of"
            " another cloud lack it, and Python tracebacks span lines in them.",
        ),
    ),
    Domain(
        Layout(
            "Proxifier",
            r"\[<Time>\] (<Program> - )?<Content>",
            FORMATS["proxifier"],
            fields={"Program": r"[^ ]+(?: \*64)?"},
        ),
        logs=(LogFiles("Proxifier*.log"),),
        session_key="program",
        session_column="component",
        year=2015,
        year_origin="assumed: a study of 2016 (He et al., DSN) has the lines of October 30",
        quirks=(
            "Two recordings follow each other: October 30 (10,108 lines), then July 26 and 27. Timestamps"
            " have no year, so which came first is not known.",
        ),
    ),
    Domain(
        Layout(
            "Spark",
            "<Date> <Time> <Level> <Component>: <Content>",
            FORMATS["short-slashes"],
            ("Date", "Time"),
            fields={"Level": _WORD_LEVEL, "Component": "[^ :]+"},
        ),
        # In the archive each container's log lies in the folder of its application.
        logs=(LogFiles("application_*/container_*.log"), LogFiles("Spark*.log")),
        session_key="application",
        session_path=r"(application_[0-9]+_[0-9]+)",
    ),
    Domain(
        Layout(
            "Thunderbird",
            "<Label> <Timestamp> <Date> <User> <Month> <Day> <Time> <Location>"
            r" (<Component>(\[<PID>\])?: )?<Content>",
            FORMATS["epoch"],
            ("Timestamp", "Timestamp"),
            fields={
                "Date": r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}",
                "Month": "[A-Z][a-z]{2}",
                "Day": "[0-9]{1,2}",
                "Time": "[0-9]{2}:[0-9]{2}:[0-9]{2}",
                "Component": r"[^ :\[][^\[]*?",
                "PID": "[^ ]*?",
            },
            columns={"User": "host"},
        ),
        logs=(LogFiles("Thunderbird*.log"),),
        session_key="node",
        session_column="host",
        labels="line",
        label_rule="First column of the line: `-` is normal, all else the category of the alert.",
        normal_label="-",
        quirks=(
            "Thunderbird_19k (19,350 lines, 68 minutes of 2005-11-15) was restored from shuffled lines by"
            " second and sequence number; all its alerts lie in the last 60 %.",
            "The 2k sample has no alert.",
        ),
    ),
    Domain(
        Layout(
            "Windows",
            "<Date> <Time>, <Level>                  <Component>    <Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Level": "[A-Z][a-z]+", "Component": "[A-Z][A-Za-z]*"},
        ),
        logs=(
            LogFiles("Windows.log"),
            LogFiles("windows10_CBS.log", "jtmoon79/super-speedy-syslog-searcher, Windows10Pro"),
        ),
        session_key="session",
        session_pattern="Session: ([0-9]+_[0-9]+)",
    ),
    Domain(
        Layout(
            "Zookeeper",
            r"<Date> <Time> (\[myid:[0-9]*\] )?- <Level>  \[<Node>:<Component>@<Id>\] - <Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Level": _WORD_LEVEL, "Node": ".*?", "Component": "[^ :@]+", "Id": _INTEGER},
            # Loghub's node is the thread.
            columns={"Node": ""},
        ),
        logs=(
            LogFiles("Zookeeper*.log"),
            LogFiles("log_topology_zookeeper.out", "187057375/log_topology, another host"),
        ),
        session_key="session",
        session_pattern="(0x[0-9a-f]{15,16})",
        quirks=("Stack traces span lines in the log of the other host.",),
    ),
)

DOMAINS: Final[dict[str, Domain]] = {row.name: row for row in _ROWS}
