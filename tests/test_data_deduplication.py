"""Distinct normal forms: counts that add up whatever the bounds, and near duplicates that are near."""

import json
import subprocess
import sys
import zipfile
from collections import Counter
from itertools import pairwise

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st

from biglog.data.deduplication import (
    FORMS_SCHEMA,
    count_batches,
    count_forms,
    kept_forms,
    merge_near,
)
from biglog.data.executors import LocalExecutor
from biglog.errors import InputError
from biglog.logs.masking import normal_form
from biglog.logs.record import read_logs

SAMPLES = sorted(LINES.glob("*.log"))


def naive(paths):
    """Counts and first places, one line after the other."""
    counts, first = Counter(), {}
    for path in paths:
        for line_number, content in read_logs(path).read().select("line_number", "content").iter_rows():
            form = normal_form(content)
            counts[form] += 1
            first.setdefault(form, (str(path), line_number))
    return {form: (count, *first[form]) for form, count in counts.items()}


def as_mapping(frame):
    return {row[0]: row[1:] for row in frame.iter_rows()}


def jaccard(one, other, n=4):
    grams = [{text[i : i + n] for i in range(max(1, len(text) - n + 1))} for text in (one, other)]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def table(forms):
    return pl.DataFrame(forms, schema={"normal_form": pl.String, "count": pl.UInt64}, orient="row")


@pytest.mark.parametrize(("state_forms", "partitions"), [(1 << 20, 16), (3, 2), (1, 1)])
def test_counts_are_those_of_a_loop_whatever_the_bounds(tmp_path, state_forms, partitions):
    out = tmp_path / "forms.parquet"
    found = count_forms(SAMPLES, out, state_forms=state_forms, partitions=partitions)
    frame = pl.read_parquet(out)
    assert frame.schema == FORMS_SCHEMA
    assert as_mapping(frame) == naive(SAMPLES)
    assert (found.lines, found.normal_forms) == (frame["count"].sum(), len(frame))
    assert list(tmp_path.iterdir()) == [out]


def test_the_file_is_the_same_for_any_executor(tmp_path):
    count_forms(SAMPLES, tmp_path / "here.parquet", state_forms=5)
    count_forms(SAMPLES, tmp_path / "there.parquet", executor=LocalExecutor(2))
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


def test_records_at_hand_count_alike(tmp_path):
    out = tmp_path / "forms.parquet"
    count_forms(SAMPLES, out, partitions=1)
    assert count_batches(read_logs(SAMPLES, batch_lines=3)).equals(pl.read_parquet(out))


def test_a_source_that_cannot_be_read_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        count_forms([SAMPLES[0], tmp_path / "nowhere.log"], tmp_path / "forms.parquet")
    assert not list(tmp_path.iterdir())


def test_the_most_frequent_form_stands_for_its_near_duplicates():
    # HDFS and OpenSSH wordings, the second of each as another release could have it.
    forms = table(
        [
            ("Receiving block blk [NUM] src: [IP] dest: [IP]", 10),
            ("Receiving block blk [NUM] src: [IP] dest: [IP].", 90),
            ("Failed password for invalid user from [IP] port [NUM] ssh2", 7),
            ("Failed password for invalid users from [IP] port [NUM] ssh2", 7),
            ("session opened for user root by (uid=[NUM])", 1),
        ]
    )
    merged = merge_near(forms, threshold=0.85)
    assert merged["normal_form"].equals(forms["normal_form"])
    second, failed = forms["normal_form"][1], forms["normal_form"][2]
    # Equal counts: the first in order of text stands for both.
    assert merged["representative"].to_list() == [second, second, failed, failed, forms["normal_form"][4]]
    assert merged["similarity"][0] == pytest.approx(jaccard(forms["normal_form"][0], second))
    kept = kept_forms(merged)
    assert kept.to_dicts() == [
        {"normal_form": second, "count": 100, "merged": 1},
        {"normal_form": failed, "count": 14, "merged": 1},
        {"normal_form": forms["normal_form"][4], "count": 1, "merged": 0},
    ]


@given(
    st.dictionaries(st.text(st.sampled_from("ab :[]é\n"), max_size=30), st.integers(1, 99), max_size=12),
    st.sampled_from([0.3, 0.7, 1.0]),
)
def test_representatives_stand_for_themselves_and_for_what_is_near(forms, threshold):
    merged = merge_near(table(list(forms.items())), threshold=threshold)
    chosen = dict(merged.select("normal_form", "representative").iter_rows())
    for form, representative, similarity in merged.select(
        "normal_form", "representative", "similarity"
    ).iter_rows():
        assert chosen[representative] == representative
        assert forms[representative] >= forms[form]
        assert similarity == pytest.approx(jaccard(form, representative))
        assert similarity >= threshold
    assert kept_forms(merged)["count"].sum() == sum(forms.values())


def test_a_threshold_of_one_merges_only_forms_of_the_same_ngrams():
    forms = table([("abcdabcdabcd", 3), ("abcdabcd", 2), ("abcdabc", 1)])
    assert merge_near(forms, threshold=1.0)["representative"].to_list() == ["abcdabcdabcd"] * 3


def test_the_order_of_the_rows_changes_nothing():
    forms = count_batches(read_logs(SAMPLES)).select("normal_form", "count")
    one = merge_near(forms, threshold=0.6).sort("normal_form")
    other = merge_near(forms.reverse(), threshold=0.6, executor=LocalExecutor(1)).sort("normal_form")
    assert one.equals(other)
    assert 0 < len(kept_forms(one)) < len(one)


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.5}, {"ngram": 0}, {"num_perm": 1}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        merge_near(table([("a", 1)]), **wrong)


@needs_data
def test_hardly_a_near_pair_is_missed_on_real_forms():
    path = DATA / "loghub_2k" / "Mac" / "Mac_2k.log"
    forms = count_batches(read_logs(path)).select("normal_form", "count")
    texts = kept_forms(merge_near(forms, threshold=0.8))["normal_form"].sort().to_list()
    # Neighbours in the alphabet share their beginning: that is where near duplicates are.
    missed = [pair for pair in pairwise(texts) if jaccard(*pair) >= 0.8]
    assert len(missed) <= 0.01 * len(texts), missed[:3]
    assert len(texts) < len(forms)


def test_members_of_an_archive_count_as_the_files_do(tmp_path):
    archive = tmp_path / "logs.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in SAMPLES:
            packed.write(path, path.name)
    names = [f"{archive}::{path.name}" for path in SAMPLES]
    count_forms(names, tmp_path / "members.parquet")
    count_forms(SAMPLES, tmp_path / "files.parquet")
    members, files = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("members", "files"))
    assert members.drop("source").equals(files.drop("source"))


def test_the_command_counts_and_marks(tmp_path):
    out = tmp_path / "forms.parquet"
    command = [sys.executable, "-m", "biglog.cli", "datasets", "deduplicate", *map(str, SAMPLES)]
    done = subprocess.run(
        [*command, "--out", str(out), "--near", "0.6", "--num-proc", "1", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, frame = json.loads(done.stdout), pl.read_parquet(out)
    assert found["lines"] == frame["count"].sum()
    assert found["normal_forms"] == len(frame) > found["kept"] == frame["representative"].n_unique()
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("wrong", [[str(SAMPLES[0]), "--near", "7"], ["-"]])
def test_the_command_refuses_before_it_counts(tmp_path, wrong):
    command = [sys.executable, "-m", "biglog.cli", "datasets", "deduplicate", *wrong]
    options = ["--out", str(tmp_path / "forms.parquet")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not list(tmp_path.iterdir())
