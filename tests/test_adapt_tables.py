"""Tables that an adaptation can learn from, how they are split, and what is wrong with others."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
from adapt_samples import examples_of, lines, windows, words
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.training.adapt import AdaptArguments, read_tables
from biglog.training.adaptation.tables import held_out
from biglog.training.adaptation.weighing import weights_of


def as_json(column):
    return column.map_elements(lambda values: json.dumps(list(values)), return_dtype=pl.String)


def written(table, path):
    """A table in the way that a file's name says."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix == ".csv":
        table.with_columns(
            as_json(table[name]) for name, kind in table.schema.items() if kind.is_nested()
        ).write_csv(plain)
    elif plain.suffix == ".jsonl":
        table.write_ndjson(plain)
    else:
        table.write_parquet(plain)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    return str(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet"])
@pytest.mark.parametrize("head", ["sequence", "window", "token"])
def test_every_kind_of_file_gives_the_same_examples(name, head, tmp_path):
    table = {"sequence": lines, "window": windows, "token": words}[head]()
    arguments = AdaptArguments(data=written(table, tmp_path / name), head=head, held_out_share=0)
    learnt, held = read_tables(arguments)
    assert len(learnt.rows) == len(table)
    assert not len(held.rows)
    found = examples_of(learnt.rows.rename({"text": learnt.text}), arguments)
    wanted = examples_of(table, arguments)
    assert found.groups.forms.equals(wanted.groups.forms)
    assert np.array_equal(found.rows, wanted.rows)
    assert [list(one) for one in found.labels] == [list(one) for one in wanted.labels]


def test_examples_stand_for_the_rows_in_their_order():
    table = lines()
    found = examples_of(table, AdaptArguments())
    codes = found.groups.codes[found.rows]
    assert found.groups.forms.gather(codes).equals(normal_forms(table["content"]), check_names=False)
    told = [found.classes[found.labels[row][0]] for row in found.rows]
    assert told == table["label"].to_list()
    assert found.counts.sum() == len(table)
    assert len({(int(found.codes(n)[0]), int(found.labels[n][0])) for n in range(len(found))}) == len(found)
    assert list(found.class_counts()) == [(table["label"] == name).sum() for name in found.classes]


def test_equal_lines_with_other_labels_are_other_examples():
    table = pl.DataFrame({"content": ["up 1", "up 2", "up 3", "down"], "label": ["a", "b", "a", "b"]})
    found = examples_of(table, AdaptArguments())
    assert found.groups.forms.to_list() == ["up [NUM]", "down"]
    assert found.rows.tolist() == [0, 1, 0, 2]


def test_templates_say_which_words_are_parameters():
    table = pl.DataFrame(
        {
            "content": ["open file /etc/passwd by root", "closed after 12 s", "no fit here"],
            "label": ["open file <*> by <*>", "closed after <*> s", "another template"],
        }
    )
    found = examples_of(table, AdaptArguments(head="token"))
    assert found.classes == ("constant", "parameter")
    assert found.groups.forms.to_list() == ["open file [FILE] by root", "closed after [NUM] s"]
    form = found.groups.forms[0]
    told = {form[a:b]: found.classes[n] for (a, b), n in zip(found.words[0], found.labels[0], strict=True)}
    assert told["[FILE]"] == told["root"] == "parameter"
    assert told["open"] == told["by"] == "constant"


@given(
    groups=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    share=st.floats(0, 0.9, exclude_min=False),
)
def test_a_group_is_never_parted_and_no_more_than_the_share_is_held_out(groups, share):
    flags = held_out(pl.DataFrame({"group": groups}), share)
    assert flags.sum() <= share * len(groups)
    learnt = {group for group, flag in zip(groups, flags, strict=True) if not flag}
    tested = {group for group, flag in zip(groups, flags, strict=True) if flag}
    assert not learnt & tested


def test_what_is_held_out_is_the_last_in_order_of_time(tmp_path):
    table = pl.DataFrame(
        {"content": list("abcdefghij"), "label": ["x", "y"] * 5, "at": [9, 8, 7, 6, 5, 4, 3, 2, 1, 10]}
    )
    data = written(table, tmp_path / "t.csv")  # text: 10 must not come before 2
    learnt, held = read_tables(AdaptArguments(data=data, time="at", held_out_share=0.2))
    assert learnt.rows["text"].to_list() == list("ihgfedcb")
    assert held.rows["text"].to_list() == ["a", "j"]


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    table = pl.DataFrame({"content": ["a", "b", "c", "d"], "label": ["x", None, "y", "x"]})
    learnt, _ = read_tables(AdaptArguments(data=written(table, tmp_path / "t.parquet"), held_out_share=0))
    assert learnt.unlabelled == 1
    assert len(learnt.rows) == 3


def test_a_folder_is_read_as_a_dataset(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    lines().write_parquet(folder / "train.parquet")
    lines().head(20).write_parquet(folder / "test.parquet")
    learnt, held = read_tables(AdaptArguments(data=str(folder), eval_split="test"))
    assert len(learnt.rows) == len(lines())
    assert held.rows["text"].to_list() == lines()["content"].head(20).to_list()
    assert learnt.sha256 != held.sha256
    with pytest.raises(InputError, match=r"no split 'dev'\. It has train, test"):
        read_tables(AdaptArguments(data=f"hub:{folder}", split="dev"))


@pytest.mark.parametrize(
    ("change", "given_", "problem"),
    [
        ({}, {"label": "severity"}, "no column severity; it has content, label. Name the column: --label"),
        ({"content": "payload"}, {}, "no column text .normal_form or content or line or text.*--text"),
        ({}, {"group": "host"}, "no column host.*--group"),
        ({}, {"time": "at"}, "no column at.*--time"),
        ({}, {"head": "window"}, "no column text .normal_forms or contents"),
    ],
)
def test_a_table_without_what_is_needed_says_which_column(change, given_, problem, tmp_path):
    path = written(lines().rename(change), tmp_path / "t.csv")
    with pytest.raises(InputError, match=problem):
        read_tables(AdaptArguments.from_mapping({"data": path} | given_))


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "t.txt").write_text("a line\n")
    for name, problem in (
        ("t.parquet", "cannot be read as parquet"),
        ("t.csv.gz", "cannot be read as csv"),
        ("t.txt", "what kind of table"),
        ("none.csv", "no such table"),
    ):
        with pytest.raises(InputError, match=problem) as error:
            read_tables(AdaptArguments(data=str(tmp_path / name)))
        assert error.value.where is not None
    with pytest.raises(InputError, match="data names no table"):
        read_tables(AdaptArguments())


@pytest.mark.parametrize(
    ("table", "arguments", "classes", "problem"),
    [
        (
            {"content": ["a", "b"], "label": ["x", "z"]},
            {},
            ("x", "y"),
            "label 'z' is unknown to the head.*'x', 'y'",
        ),
        ({"content": ["a", "b"], "label": ["x", "x"]}, {}, (), "all rows have the label 'x'"),
        ({"content": [1, 2], "label": ["x", "y"]}, {}, (), "holds Int64, and lines are texts"),
        ({"content": ["a", "b"], "label": [0.5, 1.0]}, {}, (), "labels are Float64"),
        ({"contents": ["a", "b"], "label": ["x", "y"]}, {"head": "window"}, (), "no JSON lists"),
        ({"contents": [["a"], []], "label": ["x", "y"]}, {"head": "window"}, (), "has no lines"),
        (
            {"contents": [["a"] * 3, ["b"]], "label": ["x", "y"]},
            {"head": "window", "max_window_lines": 2},
            (),
            "a window has 3 lines, and max_window_lines is 2",
        ),
        ({"words": [["a", "b"]], "label": [["x"]]}, {"head": "token"}, (), "2 words have 1 labels"),
        ({"content": ["a b"], "label": ["c <*>"]}, {"head": "token"}, (), "no template fits its content"),
    ],
)
def test_rows_that_no_head_can_take_are_told(table, arguments, classes, problem):
    with pytest.raises(InputError, match=problem):
        examples_of(pl.DataFrame(table), AdaptArguments.from_mapping(arguments), classes)


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("weighing", [(), ("balanced",), ("hpc=7",)])
def test_weights_are_one_in_the_mean(distinct, weighing):
    found = examples_of(lines(), AdaptArguments())
    rows, classes = weights_of(found, AdaptArguments(distinct=distinct, class_weights=weighing))
    seen = np.ones(len(found)) if distinct else found.counts
    labels = np.concatenate(found.labels)
    total = (rows * classes[labels] * seen).sum()
    assert total == pytest.approx(len(found) if distinct else len(lines()))
    if weighing == ("balanced",):
        shares = np.bincount(labels, rows * classes[labels] * seen)
        assert shares == pytest.approx(np.full(3, total / 3))


@pytest.mark.parametrize("given_", ["hpc", "hpc=-1", "hpc=x", "Linux=2", "=2"])
def test_weights_of_no_class_are_refused(given_):
    with pytest.raises(InputError, match="class_weights"):
        weights_of(examples_of(lines(), AdaptArguments()), AdaptArguments(class_weights=(given_,)))
