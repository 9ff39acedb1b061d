"""The table of templates: quoting, byte order marks, versions, and what is no ground truth."""

import polars as pl
import pytest
from data_path import DATA, needs_data

from biglog.data.archives.catalog import find_files
from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS
from biglog.data.tables.build import build
from biglog.data.tables.ground_truth import FULL_VERSION, ground_truth_files, read_ground_truth
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import normal_forms

ROWS = [
    '1,Jun,"failed, twice","E1","failed, <*>"',
    '2,Jun,"he said ""no""",E2,"he said ""<*>"""',
    "3,Jun,,E3,",
    "4,Jun,NULL,E4,NULL",
    '5,Jun,"two\nlines",E5,two<*>lines',
]
CONTENTS = ["failed, twice", 'he said "no"', "", "NULL", "two\nlines"]


def written(path, mark="", end="\n", header="LineId,Month,Content,EventId,EventTemplate"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((mark + end.join([header, *ROWS]) + end).encode())
    return path


@pytest.mark.parametrize(("mark", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_quotes_marks_and_line_ends(tmp_path, mark, end):
    path = written(tmp_path / "a.csv", mark, end)
    table = pl.concat(read_ground_truth(path, "original"))
    assert set(table.columns) == set(SCHEMAS["templates"].names)
    assert table["line_id"].to_list() == [1, 2, 3, 4, 5]
    assert table["content"].to_list() == CONTENTS
    assert table["template"].to_list() == ["failed, <*>", 'he said "<*>"', "", "NULL", "two<*>lines"]
    assert table["event_id"].to_list() == ["E1", "E2", "E3", "E4", "E5"]
    assert table["normal_form"].equals(normal_forms(table["content"]))
    assert table["ground_truth_version"].unique().to_list() == ["original"]


def test_every_version_that_is_there_is_in_the_table(tmp_path):
    folder = tmp_path / "logs" / "Linux"
    for name in ("Linux_2k.log_structured", "Linux_2k.log_structured_corrected", "Linux_full.log_structured"):
        written(folder / f"{name}.csv")
    (folder / "Linux_2k.log").write_text("Jun 14 15:16:01 combo su: text\n")
    report = build("Linux", folder, tmp_path / "out", tables=("templates",), executor=LocalExecutor(1))
    assert report.rows == {"templates": {"test": 15}}
    table = pl.read_parquet(tmp_path / "out/Linux/templates/test-00000-of-00001.parquet")
    assert table.to_arrow().column_names == SCHEMAS["templates"].names
    versions = ["original", "logparser-corrected", FULL_VERSION]
    assert table["ground_truth_version"].unique(maintain_order=True).to_list() == versions
    said = report.record["tables"]["templates"]["versions"]
    assert [(row["version"], row["rows"], row["events"]) for row in said] == [(v, 5, 5) for v in versions]


@pytest.mark.parametrize("header", ["LineId,Month,Text,EventId,EventTemplate", "LineId"])
def test_a_missing_column(tmp_path, header):
    with pytest.raises(InputError, match=r"a\.csv.*column"):
        list(read_ground_truth(written(tmp_path / "a.csv", header=header), "original"))


def test_line_numbers_that_are_none(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("LineId,Content,EventId,EventTemplate\none,text,E1,text\n")
    with pytest.raises(InputError, match=r"a\.csv"):
        list(read_ground_truth(path, "original"))


@needs_data
@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_all_annotations_of_a_domain(domain):
    found = ground_truth_files(find_files(domain, DATA))
    versions = ["original", "logparser-corrected", "loghub-2.0"]
    assert list(found) == versions[: 2 if domain in ("Android", "Windows") else 3]
    for version, path in found.items():
        table = pl.concat(read_ground_truth(path, version))
        assert table["line_id"].to_list() == list(range(1, 2001))
        assert table.null_count().sum_horizontal().item() == 0
