"""What measures a task, by the name that its file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from biglog.evaluation.measuring.anomaly import measure_first_half, measure_hdfs, measure_windows
from biglog.evaluation.measuring.failure import measure_hadoop, measure_hpc, measure_openstack
from biglog.evaluation.measuring.measured import Measure
from biglog.evaluation.measuring.parsing import measure_parsing
from biglog.evaluation.measuring.probes import measure_alerts, measure_events

MEASURES: Final[Mapping[str, Measure]] = {
    "parsing": measure_parsing,
    "events": measure_events,
    "alerts": measure_alerts,
    "windows": measure_windows,
    "first_half": measure_first_half,
    "hdfs_sessions": measure_hdfs,
    "openstack": measure_openstack,
    "hadoop": measure_hadoop,
    "hpc": measure_hpc,
}
"""A new task of one of these is a file; a new measure is a function and a row here."""
