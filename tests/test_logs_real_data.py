"""All real logs at hand: the right layout, Loghub's own content, and every line accounted for."""

import gzip

import polars as pl
import pytest
from data_path import DATA, needs_data

from biglog.logs.domains import DOMAINS
from biglog.logs.record import read_logs


def sample(domain):
    return DATA / "loghub_2k" / domain / f"{domain}_2k.log"


def unpacked(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def text_logs():
    raw = sorted(DATA.glob("raw/*/*.gz")) + sorted(DATA.glob("anomaly/*/*.log.gz"))
    return [path.relative_to(DATA).as_posix() for path in raw + sorted(DATA.glob("formats/*"))]


@needs_data
@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_content_is_loghubs_own(domain):
    reader = read_logs(sample(domain))
    frame = reader.read()
    truth = pl.read_csv(sample(domain).with_suffix(".log_structured.csv"), infer_schema=False)
    report = reader.report.sources[0]
    assert (report.layout, report.confidence, len(frame)) == (domain, 1.0, 2000)
    assert (report.without_header, report.bad_timestamps, report.damaged) == (0, 0, 0)
    assert frame["timestamp"].null_count() == 0
    wrong = frame.filter(
        frame["content"].str.strip_chars() != truth["Content"].fill_null("").str.strip_chars()
    )
    assert wrong.is_empty(), wrong["line"].to_list()[:3]


@needs_data
@pytest.mark.parametrize("name", text_logs())
def test_every_line_is_accounted_for(name):
    data = unpacked(DATA / name)
    reader = read_logs(DATA / name, batch_bytes=1 << 20)
    number = 0
    for batch in reader:
        numbers, counts = batch.frame["line_number"], batch.frame["line_count"]
        assert numbers[0] == number + 1
        assert numbers.slice(1).equals((numbers + counts).head(len(numbers) - 1), check_names=False)
        number = numbers[-1] + counts[-1] - 1
        assert batch.frame["content"].null_count() == 0
        headless = batch.frame.filter(~pl.col("has_header"))
        assert headless["content"].equals(headless["line"])
        assert headless["level"].null_count() == len(headless)
    report = reader.report.sources[0]
    assert number == report.lines == data.count(b"\n") + (not data.endswith(b"\n"))
    assert report.bytes == len(data)
    assert not report.truncated
    assert report.split_lines == 0


HEADERS = {
    "raw/HPC/HPC.log.gz": ("HPC", 9),
    "raw/Linux/Linux.log.gz": ("Linux", 0),
    "raw/Proxifier/Proxifier.log.gz": ("Proxifier", 0),
    "raw/HealthApp/HealthApp_20000.log.gz": ("HealthApp", 0),
    # What programs started by Apache wrote to its error log.
    "raw/Apache/Apache.log.gz": ("Apache", 4478),
    "anomaly/bgl/BGL_100k.log.gz": ("BGL", 0),
    "anomaly/hdfs/HDFS_first20k.log.gz": ("HDFS", 0),
    "anomaly/hdfs/HDFS_sample_4519.log.gz": ("HDFS", 0),
    "anomaly/thunderbird/Thunderbird_19k.log.gz": ("Thunderbird", 0),
    # Stack traces, blank lines.
    "raw/Zookeeper/log_topology_zookeeper.out.gz": ("Zookeeper", 366),
    "raw/Windows/windows10_CBS.log.gz": ("Windows", 7),
    "raw/OpenStack/uforia_cinder-api.log.gz": ("oslo", 0),
    "raw/OpenStack/uforia_nova-compute.log.gz": ("oslo", 54),
    "raw/OpenSSH/elastic_examples_auth.log.gz": ("rfc3164", 0),
    "raw/Mac/macos_darwin25_wifi.log.gz": ("apple-wifi", 2),
    "formats/java_stacktrace_hadoop.log": ("Hadoop", 440),
    "formats/klog_kubelet.log": ("klog", 0),
    "formats/cri.log": ("cri", 0),
    "formats/rfc3164_syslog.log": ("rfc3164", 0),
    "formats/rfc5424_syslog.log": ("rfc5424", 0),
    "formats/access_combined_apache.log": ("access", 0),
    "formats/access_nginx.log": ("access", 0),
    "formats/nginx_error.log": ("nginx-error", 0),
    "formats/python_traceback_openstack.log": ("oslo", 0),
}


@needs_data
@pytest.mark.parametrize("name", sorted(HEADERS))
def test_layout_and_lines_without_header(name):
    reader = read_logs(DATA / name)
    times = 0
    for batch in reader:
        times += batch.frame.filter("has_header")["timestamp"].null_count()
    report = reader.report.sources[0]
    assert (report.layout, report.without_header) == HEADERS[name]
    assert times == report.bad_timestamps == 0


@needs_data
def test_bgl_time_agrees_with_its_epoch():
    frame = read_logs(DATA / "anomaly/bgl/BGL_100k.log.gz").read()
    epoch = frame["line"].str.splitn(" ", 3).struct.field("field_1").cast(pl.Int64)
    assert (frame["timestamp"].dt.epoch("s") == epoch).all()
    # Alerts as counted by whoever collected the data.
    assert (frame["label"] != "-").sum() == 2613


@needs_data
def test_invalid_utf8_of_the_linux_log_is_kept():
    data = unpacked(DATA / "raw/Linux/Linux.log.gz").split(b"\n")
    reader = read_logs(DATA / "raw/Linux/Linux.log.gz")
    damaged = reader.read().filter(pl.col("raw_bytes").is_not_null())
    report = reader.report.sources[0]
    assert len(damaged) == report.damaged == 20
    assert report.first_damaged == tuple(damaged["line_number"].head(5))
    for number, raw in damaged.select("line_number", "raw_bytes").rows():
        assert raw == data[number - 1].removesuffix(b"\r")
