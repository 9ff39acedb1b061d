import gzip
import hashlib
import zipfile

import numpy as np
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st

from biglog.data.corpus import SourceSpec, build_corpus, count_normal_forms, is_held_out, sampling_weights
from biglog.errors import InputError
from biglog.logs.masking import normal_form

WORDS = ("opened", "closed", "failed", "lost", "found", "sent", "read", "denied", "moved", "copied")


def write_log(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def logs(tmp_path):
    """Two domains of 100 distinct normal forms each; `a` has each three times, with other values."""
    for domain, times in (("a", 3), ("b", 1)):
        lines = [f"{domain}{x} {y} by {t + 7} units" for x in WORDS for y in WORDS for t in range(times)]
        write_log(tmp_path / f"{domain}.log", lines)
    return tmp_path


def test_lines_that_differ_in_values_are_counted_as_one_form(logs):
    counts = count_normal_forms(logs / "a.log")
    assert len(counts) == 100
    assert counts["count"].to_list() == [3] * 100
    assert counts["normal_form"].is_sorted()


def test_no_form_is_both_trained_on_and_held_out(logs):
    write_log(logs / "c.log", (logs / "a.log").read_text().splitlines())
    corpus = build_corpus(["a.log", "c.log", "b.log"], data_root=logs, held_out_share=0.3)
    assert not set(corpus.train["normal_form"]) & set(corpus.held_out["normal_form"])
    assert len(corpus.train) + len(corpus.held_out) == 300
    assert 0.15 < len(corpus.held_out) / 300 < 0.45


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_form_held_out_at_some_share_is_held_out_at_any_larger_one(text, one, other):
    small, large = sorted((one, other))
    assert is_held_out(text, large) >= is_held_out(text, small)


def test_an_excluded_split_leaves_every_domain_and_the_record_proves_it(logs):
    shared = (logs / "a.log").read_text().splitlines()[:30]
    write_log(logs / "b.log", [*(logs / "b.log").read_text().splitlines(), *shared])
    corpus = build_corpus(["a.log", "b.log"], data_root=logs, exclude=["a-start=a.log#1-30"])
    gone = {normal_form(line) for line in shared}
    assert not gone & {*corpus.train["normal_form"], *corpus.held_out["normal_form"]}
    (record,) = corpus.exclusions
    assert (record.name, record.file) == ("a-start", "a.log#1-30")
    assert (record.lines, record.normal_forms, record.dropped, record.remaining) == (30, 10, 10, 0)


def test_a_range_of_lines_can_be_read(logs):
    corpus = build_corpus(["a.log#31-"], data_root=logs)
    assert corpus.sources[0].lines == 270
    assert len(corpus.train) + len(corpus.held_out) == 90


def test_gzip_zip_and_plain_text_are_read_alike(logs):
    text = (logs / "a.log").read_bytes()
    (logs / "g.log.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(logs / "z.zip", "w") as archive:
        archive.writestr("one/1.log", text[: len(text) // 2].rpartition(b"\n")[0])
        archive.writestr("one/2.log", text[len(text) // 2 :].partition(b"\n")[2])
        archive.writestr("one/readme.txt", b"not a log")
    plain = count_normal_forms(logs / "a.log")
    assert count_normal_forms(logs / "g.log.gz").equals(plain)
    assert set(count_normal_forms(logs / "z.zip")["normal_form"]) == set(plain["normal_form"])


def test_the_record_names_files_with_checksums_and_counts(logs):
    corpus = build_corpus(["left=a.log", "b.log"], data_root=logs)
    record = corpus.record()
    assert [(s["domain"], s["file"], s["lines"], s["normal_forms"]) for s in record["sources"]] == [
        ("left", "a.log", 300, 100),
        ("b", "b.log", 100, 100),
    ]
    assert record["sources"][0]["sha256"] == hashlib.sha256((logs / "a.log").read_bytes()).hexdigest()
    assert sum(row["forms"] for row in record["domains"]) == record["train_normal_forms"]
    assert sum(row["held_out"] for row in record["domains"]) == record["held_out_normal_forms"]


def test_the_fingerprint_follows_the_forms(logs):
    first = build_corpus(["a.log"], data_root=logs).fingerprint
    assert build_corpus(["a.log"], data_root=logs).fingerprint == first
    write_log(logs / "a.log", [*(logs / "a.log").read_text().splitlines(), "one new wording"])
    assert build_corpus(["a.log"], data_root=logs).fingerprint != first


def test_temperature_balances_domains_and_count_power_weighs_forms():
    forms = pl.DataFrame(
        {
            "domain": ["x"] * 100 + ["y"] * 4,
            "normal_form": [f"f{i}" for i in range(104)],
            "count": [1] * 103 + [9],
        }
    )

    def share(**how):
        weights = sampling_weights(forms, **how)
        assert weights.sum() == pytest.approx(1)
        return weights[100:].sum()

    assert share(temperature=0) == pytest.approx(1 / 2)
    assert share(temperature=0.5) == pytest.approx(2 / 12)
    assert share(temperature=1) == pytest.approx(4 / 104)
    within = sampling_weights(forms, temperature=0, count_power=0.5)[100:]
    assert np.allclose(within / within.sum(), [1 / 6, 1 / 6, 1 / 6, 3 / 6])


def test_blank_lines_are_counted_and_teach_nothing(tmp_path):
    write_log(tmp_path / "a.log", ["one", "", "   ", "two"])
    corpus = build_corpus(["a.log"], data_root=tmp_path, held_out_share=1e-9)
    assert corpus.sources[0].lines == 4
    assert corpus.train["normal_form"].to_list() == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("raw/x.log", (None, "raw/x.log", 1, None)),
        ("HDFS=raw/*.gz", ("HDFS", "raw/*.gz", 1, None)),
        ("test=x.log#60001-", ("test", "x.log", 60001, None)),
        ("x.log#5-9", (None, "x.log", 5, 9)),
        ("a=b#c.log", ("a", "b#c.log", 1, None)),
    ],
)
def test_sources_are_written_as_name_pattern_and_range(text, parts):
    spec = SourceSpec.parse(text)
    assert (spec.name, spec.pattern, spec.first, spec.last) == parts


def test_sources_that_cannot_be_used_are_errors(logs):
    with pytest.raises(InputError, match="no such file"):
        build_corpus(["missing.log"], data_root=logs)
    with pytest.raises(InputError, match="no such file"):
        build_corpus(["*.nothing"], data_root=logs)
    with pytest.raises(InputError, match="empty range"):
        build_corpus(["a.log#9-5"], data_root=logs)
    with pytest.raises(InputError, match="no sources"):
        build_corpus([], data_root=logs)
    with pytest.raises(InputError, match="no line is left"):
        build_corpus(["a.log"], data_root=logs, exclude=["a.log"])
    (logs / "bad.zip").write_bytes(b"PK not really")
    with pytest.raises(InputError, match=r"bad\.zip.*not a readable zip"):
        build_corpus(["bad.zip"], data_root=logs)


def test_real_lines_of_sixteen_domains():
    corpus = build_corpus(["*.log"], data_root=LINES)
    assert {source.domain for source in corpus.sources} == {log.stem for log in LINES.glob("*.log")}
    assert all(normal_form(form) for form in corpus.train["normal_form"])


@needs_data
def test_the_test_parts_of_the_labelled_sets_stay_out():
    later = "BGL-later=anomaly/bgl/BGL_100k.log.gz#60001-"
    corpus = build_corpus(["BGL=loghub_2k/BGL/BGL_2k.log"], data_root=DATA, exclude=[later])
    (record,) = corpus.exclusions
    assert record.lines == 40_000
    assert 0 < record.dropped <= record.normal_forms
    assert record.remaining == 0
