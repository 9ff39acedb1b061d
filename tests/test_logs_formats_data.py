"""Every collected sample of a format is recognised as what it is, and its times are read."""

import polars as pl
import pytest
from data_path import DATA, needs_data

from biglog.logs.record import read_logs

# File: layout, records, records without header (stack traces, blank lines, the header of a table).
EXPECTED = {
    "access_combined_apache.log": ("access", 400, 0),
    "access_nginx.log": ("access", 23, 0),
    # Blank lines.
    "apache_error.log": ("Apache", 44, 14),
    "cri.log": ("cri", 13, 0),
    # The header.
    "csv_header_healthapp.csv": ("csv", 300, 1),
    "docker_json_file.jsonl": ("docker", 303, 0),
    # Stack traces.
    "java_stacktrace_hadoop.log": ("Hadoop", 600, 440),
    "journald.jsonl": ("journald", 300, 0),
    "journald_export.txt": ("journald-export", 60, 0),
    # Blank lines, and one of text.
    "json_lines.jsonl": ("json", 64, 3),
    "klog_kubelet.log": ("klog", 400, 0),
    # 30 of its lines are JSON, one is blank.
    "logfmt.log": ("logfmt+json", 276, 1),
    "nginx_error.log": ("nginx-error", 21, 0),
    # Tracebacks and lists.
    "python_traceback.log": ("level", 589, 218),
    "python_traceback_openstack.log": ("oslo", 300, 0),
    "rfc3164_syslog.log": ("rfc3164", 400, 0),
    "rfc5424_syslog.log": ("rfc5424", 186, 0),
    # The header.
    "tsv_healthapp.tsv": ("tsv", 300, 1),
    "windows_event_xml.log": ("windows-xml", 168, 0),
    "windows_event_xml_crowdsec.log": ("windows-xml", 2, 0),
}


@needs_data
def test_the_table_names_every_sample():
    assert sorted(path.name for path in (DATA / "formats").iterdir()) == sorted(EXPECTED)


@needs_data
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sample(name):
    reader = read_logs(DATA / "formats" / name)
    frame = reader.read()
    report = reader.report.sources[0]
    headless = frame.filter(~pl.col("has_header"))
    assert (report.layout, report.records, len(headless)) == EXPECTED[name]
    read = frame.filter("has_header")
    assert read["timestamp"].null_count() <= 0.01 * len(read)
    assert set(read["layout"]) == set(report.layout.split("+"))
    assert (read["content"].str.len_bytes() > 0).sum() >= 0.98 * len(read)
    text = (DATA / "formats" / name).read_bytes().replace(b"\r\n", b"\n").decode()
    assert "\n".join(frame["line"]) == text.removesuffix("\n")
    assert frame["line_count"].sum() == report.lines
