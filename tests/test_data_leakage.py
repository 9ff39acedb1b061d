"""What splits share: equal to naive sets, in any number of partitions."""

from collections import Counter
from itertools import combinations

import polars as pl
import pytest
from data_path import LINES
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.schema import SPLITS
from biglog.data.tables.leakage import LeakageReport, SampleFound, overlaps, write_fingerprints
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs

KINDS = ("session", "content")
# Few values, so that splits share some; None is no value.
VALUES = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.text(max_size=2)), max_size=12)


def written(folder, tables, kinds=KINDS):
    """Fingerprints of each split, in two files."""
    files = {}
    for split, table in tables.items():
        files[split] = []
        for number, part in enumerate((table.head(len(table) // 2), table.slice(len(table) // 2))):
            path = folder / f"{split}-{number}.parquet"
            with write_fingerprints(path, kinds) as prints:
                prints.write(part)
            files[split].append(path)
    return files


@settings(max_examples=30)
@given(parts=st.lists(VALUES, min_size=3, max_size=3), partition_rows=st.sampled_from([3, 1000]))
def test_equal_to_naive_sets(parts, partition_rows, tmp_path_factory):
    tables = {
        split: pl.DataFrame(rows, schema={"session": pl.String, "content": pl.String}, orient="row")
        for split, rows in zip(SPLITS, parts, strict=True)
    }
    files = written(tmp_path_factory.mktemp("prints"), tables)
    found = {(o.kind, o.first, o.second): o for o in overlaps(files, KINDS, partition_rows=partition_rows)}
    assert len(found) == 6
    for kind in KINDS:
        counts = {split: Counter(tables[split][kind].drop_nulls().to_list()) for split in SPLITS}
        for first, second in combinations(SPLITS, 2):
            overlap, common = found[kind, first, second], counts[first].keys() & counts[second].keys()
            assert overlap.first_distinct == len(counts[first])
            assert overlap.second_distinct == len(counts[second])
            assert overlap.shared == len(common)
            assert overlap.second_rows == counts[second].total()
            assert overlap.second_rows_shared == sum(counts[second][value] for value in common)
            wanted = overlap.second_rows_shared / max(1, overlap.second_rows)
            assert overlap.share_of_second_rows == pytest.approx(wanted, abs=1e-6)


def test_real_lines_share_more_normal_forms_than_contents(tmp_path):
    lines = read_logs(LINES / "*.log").read().select("content")
    lines = lines.with_columns(normal_forms(lines["content"]).alias("normal_form"))
    tables = {"train": lines.gather_every(2), "test": lines.gather_every(2, offset=1)}
    kinds = ("content", "normal_form")
    content, form = overlaps(written(tmp_path, tables, kinds), kinds)
    assert (content.kind, form.kind) == kinds
    assert (content.first, content.second) == ("train", "test")
    assert content.second_rows == form.second_rows == 40
    assert content.shared < form.shared


def test_a_report_is_plain_data():
    report = LeakageReport((), (SampleFound("test", 2000, 5, 10),))
    found = {"split": "test", "sample_lines": 2000, "exact": 5, "content": 10}
    assert report.as_dict() == {"overlaps": [], "sample_2k": [found]}
