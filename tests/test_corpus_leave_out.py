"""Domains and evaluation material kept out of a corpus by name, and the proof that they are."""

import json
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.corpus import build_corpus, count_normal_forms
from biglog.errors import InputError
from biglog.training.arguments import PretrainArguments
from biglog.training.pretrain import pretrain

SMOKE = Path(__file__).parents[1] / "recipes/configs/pretrain/smoke.yaml"
DOMAINS = ("BGL", "HPC", "Linux", "Mac", "OpenSSH", "Thunderbird")


def forms(*frames):
    return {form for frame in frames for form in frame["normal_form"]}


@pytest.fixture
def root(tmp_path):
    """A collection as the catalog knows it: domains with logs and samples that overlap, of real lines."""
    for name in ("Mac", "OpenSSH", "Hadoop"):
        lines = (LINES / f"{name}.log").read_text().splitlines(keepends=True)
        file = {"OpenSSH": "SSH.log"}.get(name, f"{name}.log")
        if name == "Hadoop":
            file = "application_1445087491445_0005/container_1445087491445_0005_01_000001.log"
        for path, part in ((f"raw/{name}/{file}", lines[:4]), (f"loghub_2k/{name}/{name}_2k.log", lines[3:])):
            (tmp_path / path).parent.mkdir(parents=True)
            (tmp_path / path).write_text("".join(part))
    return tmp_path


MAC, SSH, HADOOP = "Mac=raw/Mac/Mac.log", "OpenSSH=raw/OpenSSH/SSH.log", "Hadoop=raw/Hadoop/*/*.log"
FEW = {"held_out_share": 1e-9}


def test_a_domain_left_out_takes_along_whatever_shares_a_form_with_it(root):
    mac = [root / "raw/Mac/Mac.log", root / "loghub_2k/Mac/Mac_2k.log"]
    with (root / "raw/OpenSSH/SSH.log").open("a") as log:
        log.write("".join(mac[0].read_text().splitlines(keepends=True)[:2]))
    gone = forms(*map(count_normal_forms, mac))
    before = build_corpus([SSH, HADOOP], data_root=root, **FEW).train
    assert len(forms(before) & gone) == 2
    corpus = build_corpus([MAC, SSH, HADOOP], data_root=root, leave_out=["mac"], **FEW)
    assert forms(corpus.train) == forms(before) - gone
    assert forms(corpus.left_out) == gone
    assert set(corpus.left_out["domain"]) == {"Mac"}
    assert [(e.name, e.file, e.reason, e.dropped, e.remaining) for e in corpus.exclusions] == [
        ("Mac", "raw/Mac/Mac.log", "left_out", 2, 0),
        ("Mac", "loghub_2k/Mac/Mac_2k.log", "left_out", 0, 0),
    ]
    assert corpus.record()["left_out"] == [{"domain": "Mac", "forms": 5, "lines": 6}]


def test_a_domain_that_is_no_source_is_left_out_by_what_the_catalog_finds(root):
    corpus = build_corpus([SSH, HADOOP], data_root=root, leave_out=["Mac"], **FEW)
    assert {e.file for e in corpus.exclusions} == {"raw/Mac/Mac.log", "loghub_2k/Mac/Mac_2k.log"}
    assert {source.domain for source in corpus.sources} == {"OpenSSH", "Hadoop"}


def test_a_range_of_a_domain_left_out_leaves_out_all_of_its_file(root):
    corpus = build_corpus([f"{MAC}#1-2", SSH], data_root=root, leave_out=["Mac"], **FEW)
    assert (corpus.exclusions[0].file, corpus.exclusions[0].lines) == ("raw/Mac/Mac.log", 4)


def test_what_is_excluded_is_not_evaluated_on_either(root):
    names = {"leave_out": ["Mac"], "exclude": ["loghub-2k:Mac"]}
    corpus = build_corpus([MAC, SSH], data_root=root, **names, **FEW)
    sample = forms(count_normal_forms(root / "loghub_2k/Mac/Mac_2k.log"))
    assert forms(corpus.left_out) == forms(count_normal_forms(root / "raw/Mac/Mac.log")) - sample
    assert [e.name for e in corpus.exclusions if e.reason == "excluded"] == ["loghub-2k:Mac"]


def test_samples_are_excluded_by_name_all_or_one(root):
    sources = [MAC, SSH, HADOOP]
    corpus = build_corpus(sources, data_root=root, exclude=["loghub-2k"], **FEW)
    assert [(e.name, e.normal_forms, e.dropped, e.remaining) for e in corpus.exclusions] == [
        ("loghub-2k:Hadoop", 2, 1, 0),
        ("loghub-2k:Mac", 2, 1, 0),
        ("loghub-2k:OpenSSH", 2, 1, 0),
    ]
    assert len(corpus.train) == 3 * 3
    (one,) = build_corpus(sources, data_root=root, exclude=["loghub-2k:mac"], **FEW).exclusions
    assert one.file == "loghub_2k/Mac/Mac_2k.log"


@settings(max_examples=5)
@given(st.sets(st.sampled_from(DOMAINS), min_size=1, max_size=5))
def test_whatever_is_left_out_none_of_its_forms_is_trained_on(names):
    sources = [f"{d}={d}.log" for d in DOMAINS]
    corpus = build_corpus(sources, data_root=LINES, leave_out=sorted(names), **FEW)
    gone = forms(*(count_normal_forms(LINES / f"{name}.log") for name in names)) - {""}
    assert not gone & forms(corpus.train, corpus.held_out)
    assert forms(corpus.left_out) == gone
    assert all(e.remaining == 0 for e in corpus.exclusions)
    whole = build_corpus(sources, data_root=LINES, **FEW)
    assert forms(corpus.train) | (forms(whole.train) & gone) == forms(whole.train)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"leave_out": ["Mca"]}, r"unknown domain 'Mca' in leave_out. Did you mean 'Mac'\?"),
        ({"leave_out": ["mine"]}, "unknown domain 'mine' in leave_out. Known are Android"),
        ({"leave_out": ["Spark"]}, "there is nothing of Spark to leave out"),
        (
            {"leave_out": ["Mac", "Hadoop"]},
            "every domain of the sources is left out. Leave out fewer domains",
        ),
        ({"exclude": ["loghub-2k:Spark"]}, "no 2k sample of Spark is there. Check data_root"),
        ({"exclude": ["loghub-2k:Sprk"]}, r"unknown domain 'Sprk' in exclude. Did you mean 'Spark'\?"),
        ({"exclude": ["loghub2k:Mac"]}, r"no such file. Did you mean 'loghub-2k:Mac'\?"),
        ({"exclude": ["test"]}, "no source is a table with a split 'test'"),
        ({"exclude": ["Mac:test"]}, "no source of Mac is a table with a split 'test'"),
        (
            {"exclude": ["all=raw/Mac/*.log", "loghub-2k", "raw/Hadoop/*/*.log"]},
            "no line is left to train on: what is excluded holds every normal form of the sources",
        ),
        ({"held_out_share": 1.0}, "all are held out. Lower held_out_share"),
    ],
)
def test_names_that_cannot_be_meant_and_exclusions_of_everything(root, how, message):
    with pytest.raises(InputError, match=message):
        build_corpus([MAC, HADOOP], data_root=root, **how)


@needs_data
def test_a_fold_of_real_domains():
    sources = [f"{d}=loghub_2k/{d}/{d}_2k.log" for d in DOMAINS] + ["BGL=anomaly/bgl/BGL_100k.log.gz"]
    corpus = build_corpus(sources, data_root=DATA, leave_out=["BGL", "Linux"], exclude=["loghub-2k:Mac"])
    left = {(e.name, e.file) for e in corpus.exclusions if e.reason == "left_out"}
    assert ("BGL", "anomaly/bgl/BGL_100k.log.gz") in left
    assert ("Linux", "raw/Linux/Linux.log.gz") in left  # no source, but of the domain
    assert all(e.remaining == 0 for e in corpus.exclusions)
    # Thunderbird and OpenSSH write some of Linux's very lines.
    assert sum(e.dropped for e in corpus.exclusions if e.name == "Linux") > 10
    assert set(corpus.left_out["domain"]) == {"BGL", "Linux"}


def test_known_and_left_out_domains_are_reported_apart(tmp_path):
    settings = {"data_root": str(LINES), "train_data": ["*.log"], "leave_out": ["BGL", "HPC"], "max_steps": 4}
    places = {"output_path": str(tmp_path / "run"), "corpus_cache": str(tmp_path / "kept")}
    arguments = PretrainArguments.from_yaml(SMOKE, **settings, **places, eval_steps=2, threads=0)
    pretrain(arguments)
    record = json.loads((tmp_path / "run/record.json").read_text())
    evaluation = record["evaluation"]
    apart = {domain for domain in evaluation["domains"] if domain.startswith("left_out/")}
    assert apart == {"left_out/BGL", "left_out/HPC"}
    for key, domains in (
        ("average_over_domains", set(evaluation["domains"]) - apart),
        ("average_over_left_out_domains", apart),
    ):
        loss = [evaluation["domains"][domain]["model"]["loss"] for domain in domains]
        assert evaluation[key]["model"]["loss"] == pytest.approx(sum(loss) / len(loss))
        assert set(evaluation[key]) >= {"model", "unigram", "random_initialisation"}
    assert {"loss", "left_out_loss", "left_out_bits_per_byte"} <= set(record["evaluations"][0])
    assert str(tmp_path) not in json.dumps(record)


def test_left_out_lines_have_the_columns_of_training_lines(root):
    corpus = build_corpus([MAC, HADOOP], data_root=root, **FEW)
    assert corpus.left_out.schema == corpus.train.schema == corpus.held_out.schema
    assert corpus.left_out.equals(pl.DataFrame(schema=corpus.train.schema))
