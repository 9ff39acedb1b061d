"""The sixteen systems of Loghub, one row a system.

Notations are Loghub's own (`logpai/loghub` and the benchmark settings of `logpai/logparser`), with two
liberties. A part that some lines of the full logs lack is optional (the tag in Linux, Mac and Thunderbird,
the program in Proxifier), and columns are named for what they hold (Loghub calls the host `Level` in Linux,
`Component` in OpenSSH and `User` in Mac and Thunderbird).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from biglog.logs.formats import Layout
from biglog.logs.timestamps import FORMATS


@dataclass(frozen=True)
class Domain:
    """One of the sixteen systems.

    Attributes:
        layout: The header; its name is the domain's.
        session_column: Column that groups lines into sessions, or None.
        session_pattern: Regex with one group that finds the session's identifier in the content, or None.
        normal_label: Value of the label column that means "no alert", where lines are labelled.
    """

    layout: Layout
    session_column: str | None = None
    session_pattern: str | None = None
    normal_label: str | None = None

    @property
    def name(self) -> str:
        """Loghub's name of the domain."""
        return self.layout.name


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
        session_column="pid",
    ),
    Domain(
        Layout(
            "Apache",
            # Module, process and thread came with Apache 2.4.
            r"\[<Time>\] \[(<Component>:)?<Level>\] (\[pid <Pid>(:tid <Tid>)?\] )?<Content>",
            FORMATS["weekday"],
            fields={"Component": "[a-z0-9_-]*", "Level": "[a-z0-9]+", "Pid": _INTEGER, "Tid": _INTEGER},
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
        session_column="host",
        normal_label="-",
    ),
    Domain(
        Layout(
            "HDFS",
            "<Date> <Time> <Pid> <Level> <Component>: <Content>",
            FORMATS["compact"],
            ("Date", "Time"),
            fields={"Pid": _INTEGER, "Level": _WORD_LEVEL, "Component": "[^ :]+"},
        ),
        session_pattern=r"(blk_-?[0-9]+)",
    ),
    Domain(
        Layout(
            "HPC",
            "<LogId> <Node> <Component> <State> <Time> <Flag> <Content>",
            FORMATS["epoch"],
            # Some lines lack the node (two spaces are left), some have a state of two words.
            fields={"LogId": _INTEGER, "Node": "[^ ]*", "State": "[^ ]+(?: [^ ]+)?", "Flag": "-?[0-9]+"},
        ),
        session_column="host",
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
    ),
    Domain(
        Layout(
            "HealthApp",
            r"<Time>\|<Component>\|<Pid>\|<Content>",
            FORMATS["healthapp"],
            fields={"Component": "[^|]*", "Pid": "[^|]*"},
        ),
        session_column="pid",
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
        session_column="pid",
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
        session_column="pid",
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
        session_column="pid",
    ),
    Domain(
        Layout(
            "OpenStack",
            r"<Logrecord> <Date> <Time> <Pid> <Level> <Component> (\[<ADDR>\] )?<Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Pid": _INTEGER, "Level": _WORD_LEVEL, "ADDR": r"(?:-|req-[^\]]*)"},
        ),
        session_pattern=r"\[instance: ([0-9a-f-]{36})\]",
    ),
    Domain(
        Layout(
            "Proxifier",
            r"\[<Time>\] (<Program> - )?<Content>",
            FORMATS["proxifier"],
            fields={"Program": r"[^ ]+(?: \*64)?"},
        ),
        session_column="component",
    ),
    Domain(
        Layout(
            "Spark",
            "<Date> <Time> <Level> <Component>: <Content>",
            FORMATS["short-slashes"],
            ("Date", "Time"),
            fields={"Level": _WORD_LEVEL, "Component": "[^ :]+"},
        ),
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
        session_column="host",
        normal_label="-",
    ),
    Domain(
        Layout(
            "Windows",
            "<Date> <Time>, <Level>                  <Component>    <Content>",
            FORMATS["iso"],
            ("Date", "Time"),
            fields={"Level": "[A-Z][a-z]+", "Component": "[A-Z][A-Za-z]*"},
        ),
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
        session_pattern="(0x[0-9a-f]{15,16})",
    ),
)

DOMAINS: Final[dict[str, Domain]] = {row.name: row for row in _ROWS}
