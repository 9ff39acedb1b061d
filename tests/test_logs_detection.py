"""What a log is taken for when most of it is stack traces, and in a folder of logs."""

import polars as pl

from biglog.logs.detection import choose
from biglog.logs.record import read_logs

HEADED = "2015-10-18 18:10:31,101 WARN [main] org.apache.hadoop.ipc.Client: Retrying connect to server"
# From container logs of Loghub's Hadoop set.
TRACE = [
    "java.net.NoRouteToHostException: No Route to Host from  MININT-FNANLI5/127.0.0.1 to msra-sa-41:8030",
    "\tat sun.reflect.NativeConstructorAccessorImpl.newInstance0(Native Method)",
    *(
        f"\tat org.apache.hadoop.ipc.ProtobufRpcEngine$Invoker.invoke(ProtobufRpcEngine.java:{n})"
        for n in range(30)
    ),
    "Caused by: java.net.NoRouteToHostException: No route to host: no further information",
    "\t... 15 more",
]


def test_a_log_full_of_stack_traces_has_the_layout_of_its_other_lines():
    lines = pl.Series([HEADED, *TRACE] * 40)
    choice = choose(lines)
    assert choice.name == "Hadoop"
    assert choice.confidence < 0.1


def test_stack_traces_alone_are_plain():
    assert choose(pl.Series(TRACE * 40)).name == "plain"


def test_the_next_log_of_a_folder_is_tried_with_the_layout_of_the_one_before(tmp_path):
    (tmp_path / "a.log").write_text(f"{HEADED}\n" * 5)
    (tmp_path / "b.log").write_text("\n".join([HEADED, *TRACE, *TRACE]) + "\n")
    (tmp_path / "c.log").write_text("Jun  9 06:06:20 combo syslogd 1.4.1: restart.\n" * 3)
    (tmp_path / "d.log").write_text(f"{HEADED}\n" * 5)
    reader = read_logs(tmp_path)
    reader.read()
    first = [(source.layout, source.without_header) for source in reader.report.sources]
    assert first == [("Hadoop", 0), ("Hadoop", 2 * len(TRACE)), ("rfc3164", 0), ("Hadoop", 0)]
    # A second reading begins anew, and comes to the same.
    reader.read()
    assert [(source.layout, source.without_header) for source in reader.report.sources] == first


def test_a_vague_layout_is_not_handed_on(tmp_path):
    (tmp_path / "a.log").write_text("2024-01-01 10:00:00 something happened\n" * 5)
    (tmp_path / "b.log").write_text(f"{HEADED}\n" * 5)
    reader = read_logs(tmp_path)
    reader.read()
    assert [source.layout for source in reader.report.sources] == ["timestamp", "Hadoop"]
