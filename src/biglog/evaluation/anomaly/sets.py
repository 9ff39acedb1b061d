"""The labelled groups of lines that detection is scored on, as published, each with its protocol's split."""

from __future__ import annotations

import gzip
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.logs.grouping import by_count
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.tasks.anomaly.detector import concatenated
from biglog.tasks.groups import Groups

Labels = NDArray[np.int64]

FILES: Final = {
    "hdfs_train": "anomaly/hdfs/deeplog_hdfs_train.txt",
    "hdfs_abnormal": "anomaly/hdfs/deeplog_hdfs_test_abnormal.txt.gz",
    "hdfs_labelled": "anomaly/hdfs/robust_log_train.csv.gz",
    "hdfs_valid": "anomaly/hdfs/robust_log_valid.csv.gz",
    "hdfs_test": "anomaly/hdfs/robust_log_test.csv.gz",
    "hdfs_templates": "anomaly/hdfs/event_id_to_template.csv",
    "hdfs_100k": "anomaly/hdfs/HDFS_100k.sessions.jsonl.gz",
    "BGL": "anomaly/bgl/BGL_100k.log.gz",
    "Thunderbird": "anomaly/thunderbird/Thunderbird_19k.log.gz",
    "hadoop": "anomaly/hadoop/Hadoop.zip",
    "hadoop_labels": "anomaly/hadoop/labels.csv",
}
"""Files by name, below the folder of the data."""

TRAIN_LINES: Final = {"BGL": 14_600, "Thunderbird": 6_760}
"""Lines at the beginning whose normal windows are learnt from without labels."""

SUPERVISED_LINES: Final = {"BGL": (60_000, 80_000)}
"""Where validation and test begin, with labels."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Groups with labels.

    Attributes:
        groups: The groups, in order.
        labels: 1 for anomalous ones, shape (groups,).
        kinds: What they are called in the source, shape (groups,).
    """

    groups: Groups
    labels: Labels
    kinds: NDArray[np.str_]

    @cached_property
    def distinct(self) -> tuple[Groups, NDArray[np.integer]]:
        """Equal groups once, and for each group which of them it is, shape (groups,)."""
        groups, place, _ = self.groups.distinct()
        return groups, place

    def with_forms(self, forms: pl.Series) -> Labelled:
        """Returns the same groups with other texts for their forms; different forms stay different.

        Args:
            forms: A text for each form, dtype String, shape (forms,).
        """
        groups, place = self.distinct
        other = Labelled(replace(self.groups, forms=forms), self.labels, self.kinds)
        # What is distinct does not depend on the texts; millions of lines need not be compared again.
        other.__dict__["distinct"] = (replace(groups, forms=forms), place)
        return other

    def take(self, rows: NDArray[np.integer]) -> Labelled:
        """Returns some of the groups."""
        return Labelled(self.groups.take(rows), self.labels[rows], self.kinds[rows])

    @property
    def normal(self) -> Groups:
        """The groups that are normal."""
        return self.groups.take(np.flatnonzero(self.labels == 0))


def path_of(folder: Path, name: str) -> Path:
    """Returns a file's path.

    Args:
        folder: The data.
        name: One of `FILES`.

    Raises:
        InputError: It is not there.
    """
    path = folder / FILES[name]
    if not path.is_file():
        raise InputError("this file of labelled logs is not there", where=path, remedy="Set BIGLOG_DATA")
    return path


# -- HDFS: sessions of event ids --


@cache
def _templates(folder: Path) -> pl.DataFrame:
    """Texts of the event ids, as normal forms: what stands for a value is a code to the encoder."""
    table = pl.read_csv(path_of(folder, "hdfs_templates"), schema_overrides={"event_id": pl.String})
    text = pl.col("template").str.replace_all("<*>", " [CODE] ", literal=True)
    return table.select(id="event_id", form=text.str.replace_all(" +", " ").str.strip_chars())


def _sessions(folder: Path, sequences: pl.Series) -> Groups:
    """Sequences of event ids as groups."""
    frame = sequences.str.strip_chars().str.split(" ").rename("ids").to_frame().with_row_index("row")
    lines = frame.explode("ids").join(
        _templates(folder), left_on="ids", right_on="id", how="left", maintain_order="left"
    )
    forms = pl.Series(lines["form"].fill_null("unknown event"))
    sizes = np.asarray(frame["ids"].list.len(), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = pl.Series(range(len(sizes)))
    distinct = forms.unique(maintain_order=True)
    places = pl.DataFrame({"form": distinct}).with_row_index("code")
    codes = forms.rename("form").to_frame().join(places, on="form", how="left", maintain_order="left")["code"]
    return Groups(distinct, codes.to_numpy().astype(np.int32), offsets, ids.cast(pl.String))


def _labelled(folder: Path, table: pl.DataFrame) -> Labelled:
    labels = table["label"].to_numpy().astype(np.int64)
    kinds = np.where(labels == 1, "abnormal block", "normal block")
    return Labelled(_sessions(folder, table["Sequence"]), labels, kinds)


def hdfs_train(folder: Path) -> Groups:
    """The 4,855 normal sessions that DeepLog's authors learn from."""
    lines = path_of(folder, "hdfs_train").read_text(encoding="utf-8").splitlines()
    return _sessions(folder, pl.Series(lines))


def _read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(path_of(folder, name), schema_overrides={"Sequence": pl.String, "label": pl.Int64})


def hdfs_labelled(folder: Path) -> Labelled:
    """LogRobust's 6,000 normal and 6,000 abnormal sessions to learn from."""
    return _labelled(folder, _read(folder, "hdfs_labelled"))


def hdfs_valid(folder: Path) -> Labelled:
    """LogRobust's 1,000 normal and 1,000 abnormal sessions to choose settings on."""
    return _labelled(folder, _read(folder, "hdfs_valid"))


def hdfs_test(folder: Path) -> Labelled:
    """LogRobust's test sessions without those of its validation, which are among them: 551,221 and 9,838."""
    test, left_out = _read(folder, "hdfs_test"), _read(folder, "hdfs_valid")
    numbered = test.with_columns(copy=pl.int_range(pl.len()).over("Sequence", "label"))
    copies = left_out.group_by("Sequence", "label").agg(left_out=pl.len())
    kept = numbered.join(copies, on=["Sequence", "label"], how="left", maintain_order="left")
    return _labelled(folder, kept.filter(pl.col("copy") >= pl.col("left_out").fill_null(0)))


def hdfs_abnormal(folder: Path) -> Labelled:
    """All 16,838 abnormal sessions, as DeepLog's authors score them."""
    with gzip.open(path_of(folder, "hdfs_abnormal"), "rt", encoding="utf-8") as opened:
        table = pl.DataFrame({"Sequence": opened.read().splitlines()}).with_columns(label=pl.lit(1))
    return _labelled(folder, table)


def hdfs_100k(folder: Path) -> dict[str, Labelled]:
    """The sessions of the first 100,000 lines in their own split: `train` and `test`, in order of time."""
    table = pl.read_ndjson(gzip.decompress(path_of(folder, "hdfs_100k").read_bytes()))
    found = {}
    for split in ("train", "test"):
        rows = table.filter(pl.col("split") == split)
        text = pl.element().str.replace_all("<*>", "[CODE]", literal=True)
        groups = Groups.of(rows.select(group_id="block_id", normal_forms=pl.col("templates").list.eval(text)))
        labels = rows["label"].to_numpy().astype(np.int64)
        found[split] = Labelled(groups, labels, np.where(labels == 1, "abnormal block", "normal block"))
    return found


# -- BGL and Thunderbird: windows of lines with labels of their own --


@dataclass(frozen=True, eq=False)
class LabelledLines:
    """Lines with labels of their own.

    Attributes:
        forms: Normal form of each line, dtype String, shape (lines,).
        alerts: Alert category of each line, `-` for a normal one, shape (lines,).
    """

    forms: pl.Series
    alerts: NDArray[np.str_]

    def windows(self, window_lines: int, begin: int, end: int) -> Labelled:
        """Cuts lines into windows; one is anomalous if a line is, and called by its first alert.

        Args:
            window_lines: Lines of a window.
            begin: First line.
            end: Behind the last line.
        """
        part = self.forms.slice(begin, end - begin)
        table = by_count(part.rename("form").to_frame(), window_lines=window_lines)
        groups = Groups.of_rows(part, table)
        alerts = self.alerts[begin:end]
        kinds = np.array(
            [
                next((alert for alert in alerts[start:stop] if alert != "-"), "-")
                for start, stop in zip(groups.offsets[:-1], groups.offsets[1:], strict=True)
            ]
        )
        return Labelled(groups, (kinds != "-").astype(np.int64), kinds)


@cache
def labelled_lines(folder: Path, domain: str) -> LabelledLines:
    """Reads BGL_100k or Thunderbird_19k.

    Args:
        folder: The data.
        domain: "BGL" or "Thunderbird".
    """
    frame = read_logs(path_of(folder, domain), layout=domain).read()
    return LabelledLines(normal_forms(frame["content"]), frame["label"].fill_null("-").to_numpy().astype(str))


# -- Hadoop: applications of many containers --


@cache
def hadoop_applications(folder: Path) -> Labelled:
    """All 55 applications, each the lines of its containers one after the other; `kinds` are the faults."""
    told = pl.read_csv(path_of(folder, "hadoop_labels"))
    archive = path_of(folder, "hadoop")
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".log"))
    by_application: dict[str, list[str]] = {}
    for name in names:
        application = next((part for part in name.split("/") if part.startswith("application_")), None)
        if application is not None:
            by_application.setdefault(application, []).append(name)
    groups, kinds = [], []
    for application, fault in told.select("application_id", "fault").iter_rows():
        sources = [f"{archive}::{name}" for name in by_application[application]]
        contents = read_logs(sources, layout="Hadoop").read()["content"]
        groups.append(normal_forms(contents).to_list())
        kinds.append(fault)
    labels = np.array([int(kind != "Normal") for kind in kinds])
    return Labelled(Groups.of_forms(groups, told["application_id"].to_list()), labels, np.array(kinds))


def with_more(labelled: Labelled, others: Labelled) -> Labelled:
    """Puts other groups behind labelled ones."""
    return Labelled(
        concatenated([labelled.groups, others.groups]),
        np.concatenate([labelled.labels, others.labels]),
        np.concatenate([labelled.kinds, others.kinds]),
    )


def counted(labelled: Labelled) -> dict[str, int]:
    """Says how many groups there are, how many are anomalous, and how many of each are distinct."""
    _, place = labelled.distinct
    pairs = Counter(zip(place.tolist(), labelled.labels.tolist(), strict=True))
    return {
        "groups": len(labelled.groups),
        "anomalies": int(labelled.labels.sum()),
        "distinct_normal": sum(1 for _, label in pairs if not label),
        "distinct_anomalies": sum(1 for _, label in pairs if label),
    }
