"""The probes: what must hold for any embedder, on real lines with made-up or real labels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import roc_auc_score

from biglog.data.statements import read_statements, split_statements
from biglog.errors import InputError
from biglog.evaluation.probes import alerts, baselines, events, running, severity
from biglog.evaluation.probes.kept import Kept, digest
from biglog.evaluation.probes.labelled import by_form, read_alerts, read_events, read_levels
from biglog.evaluation.probes.labelled import severity as level_severity
from biglog.evaluation.probes.rendering import render_probes
from biglog.evaluation.probes.vectors import Space, compact, embedded, unit
from biglog.inference.encoder import LogEncoder
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs

ROOT = Path(__file__).parents[1]
TINY = Path(__file__).parent / "tiny-biglog"
DOMAINS = ("BGL", "HDFS", "Linux")


@pytest.fixture(scope="module")
def lines():
    """Real lines, as if of three domains; a normal form is an event, and values make several lines of it."""
    frames = []
    for number, file in enumerate(sorted(LINES.glob("*.log"))):
        contents = read_logs(file, layout=file.stem).read()["content"]
        varied = pl.concat([contents.str.replace_all(r"[1-9]", digit) for digit in "1234567"])
        frames.append(pl.DataFrame({"domain": DOMAINS[number % 3], "content": varied}))
    found = pl.concat(frames).with_columns(pl.col("content").pipe(_masked).alias("normal_form"))
    event = pl.struct("domain", "normal_form").rank("dense").cast(pl.Int64) - 1
    # A form is of one domain, as an event is.
    return found.with_columns(event=event).filter(pl.n_unique("domain").over("normal_form") == 1)


def _masked(column):
    return column.map_batches(normal_forms, return_dtype=pl.String)


def oracle(lines, column="content"):
    """Knows the event of each text."""
    known = dict(lines.select(column, "event").iter_rows())

    def embed(texts):
        codes = [known[text] for text in texts]
        return sparse.csr_matrix((np.ones(len(codes)), (range(len(codes)), codes)), (len(codes), 3000))

    return embed


def constant(texts):
    return np.ones((len(texts), 4), np.float32)


def letters(texts):
    """A dense embedder that tells something: how often each letter occurs."""
    counts = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
    return np.array(counts, np.float32) + 0.01


def test_an_oracle_is_always_right(lines):
    found = events.few_shot_events(oracle(lines), lines, seeds=(0, 1))
    for score in found.values():
        assert score["per_domain_accuracy"]["mean"] == 1
        assert score["pooled_accuracy"]["mean"] == 1


def test_what_tells_nothing_apart_gets_chance(lines):
    counts = events.count_events(constant, lines, seeds=(0,), shots=(1,))
    for row in counts.iter_rows(named=True):
        within = lines if row["scope"] == "pool" else lines.filter(domain=row["domain"])
        assert row["right"] == pytest.approx(row["tests"] / within["event"].n_unique())


def test_the_same_draw_gives_the_same_counts_and_another_seed_another(lines):
    first, again = (events.count_events(letters, lines, seeds=(3,)) for _ in range(2))
    assert first.equals(again)
    draws = [events.draw(lines.with_row_index("row"), seed, 1)["row"].to_list() for seed in (3, 4)]
    assert draws[0] != draws[1]


@pytest.mark.parametrize("shots", [1, 5])
def test_a_draw_keeps_its_bounds(lines, shots):
    drawn = events.draw(lines.with_row_index("row"), 0, shots)
    sizes = lines.group_by("event").agg(pl.len().alias("size"))
    per = drawn.group_by("event").agg(pl.len(), pl.sum("is_known").alias("known")).join(sizes, on="event")
    assert (per["len"] == per["size"].clip(upper_bound=events.MOST_LINES)).all()
    assert (per["known"] == (per["size"] - 1).clip(1, shots)).all()
    assert drawn["row"].is_unique().all()


def test_known_lines_of_fewer_shots_are_among_those_of_more(lines):
    one, five = (events.draw(lines.with_row_index("row"), 0, shots) for shots in (1, 5))
    assert one["row"].to_list() == five["row"].to_list()
    assert (one["is_known"] <= five["is_known"]).all()


def test_a_table_of_normal_forms_answers_known_ones_only(lines):
    counts = events.count_events(baselines.lookup(), lines, seeds=(0,), shots=(1,), pooled=False)
    assert counts["right"].sum() == counts["tests"].sum()
    # Three forms an event: some forms that are asked for are novel.
    coarse = lines.with_columns(event=pl.struct("domain", pl.col("event") // 3).rank("dense").cast(pl.Int64))
    counts = events.count_events(baselines.lookup(), coarse, seeds=(0,), shots=(1,), pooled=False)
    assert 0 < counts["novel_tests"].sum() < counts["tests"].sum()
    for row in counts.iter_rows(named=True):
        known = coarse.filter(domain=row["domain"])["event"].n_unique()
        assert row["novel_right"] == pytest.approx(row["novel_tests"] / known)


def test_centring_takes_off_what_a_domain_has_in_common(lines):
    """An offset of each domain changes nothing where it is centred."""
    offsets = dict(zip(DOMAINS, np.eye(3, 26, dtype=np.float32) * 50, strict=True))
    domain_of = dict(lines.select("normal_form", "domain").iter_rows())

    def moved(texts):
        return letters(texts) + np.array([offsets[domain_of[text]] for text in texts])

    plain, other = (
        events.count_events(embed, lines, protocol="centred", seeds=(0,)) for embed in (letters, moved)
    )
    assert plain["right"].to_list() == pytest.approx(other["right"].to_list())


@pytest.mark.parametrize("protocol", events.PROTOCOLS)
def test_sparse_vectors_score_as_dense_ones(lines, protocol):
    dense = events.count_events(letters, lines, protocol=protocol, seeds=(0,))
    thin = events.count_events(
        lambda texts: sparse.csr_matrix(letters(texts)), lines, protocol=protocol, seeds=(0,)
    )
    assert dense["right"].to_list() == pytest.approx(thin["right"].to_list())


@given(st.integers(0, 2**32 - 1))
def test_cosines_with_centres_are_those_of_the_differences(seed):
    draw = np.random.default_rng(seed)
    vectors, centres = draw.normal(size=(9, 4)).astype(np.float32), draw.normal(size=(2, 4))
    groups, rows = draw.integers(0, 2, 9), np.arange(9)
    moved = unit((vectors - centres[groups]).astype(np.float32))
    for given_vectors in (vectors, sparse.csr_matrix(vectors)):
        found = Space(given_vectors, groups, centres).cosines(rows, rows)
        assert np.allclose(found, moved @ moved.T, atol=1e-4)


def test_an_embedder_that_gives_something_else_is_refused():
    with pytest.raises(InputError, match="n texts"):
        embedded(lambda texts: np.ones((1, 2)), ["a", "b"])
    with pytest.raises(InputError, match="not finite"):
        embedded(lambda texts: np.full((len(texts), 2), np.nan), ["a", "b"])


def test_a_summary_is_the_mean_over_domains_and_tells_runs_apart():
    rows = [
        ("domain", "A", 1, 0, 10, 8.0, 0, 0.0, 0),
        ("domain", "B", 1, 0, 10, 6.0, 4, 1.0, 0),
        ("domain", "A", 1, 0, 10, 10.0, 0, 0.0, 1),
        ("domain", "B", 1, 0, 10, 8.0, 4, 3.0, 1),
    ]
    columns = ["scope", "domain", "shots", "seed", "tests", "right", "novel_tests", "novel_right", "run"]
    score = events.summarise(pl.DataFrame(rows, columns, orient="row"))["1"]
    assert score["per_domain_accuracy"]["mean"] == pytest.approx(0.8)
    assert score["per_domain_accuracy"]["run_sd"] == pytest.approx(np.std([0.7, 0.9], ddof=1))
    assert score["domains"]["A"]["novel"] is None
    assert score["per_domain_novel"]["mean"] == pytest.approx(0.5)
    assert "pooled_accuracy" not in score


@pytest.fixture
def labelled(lines):
    """Alerts: every third template of one domain."""
    return lines.filter(domain="BGL").with_columns(is_alert=pl.col("event") % 3 == 0)


def test_no_template_is_on_both_sides(labelled):
    for seed in range(5):
        fold = alerts.deal(labelled, seed, 5)
        assert labelled.with_columns(fold=fold).group_by("event").agg(pl.n_unique("fold"))["fold"].max() == 1
        assert set(fold[labelled["is_alert"].to_numpy()]) == set(range(5))


def test_alerts_told_by_themselves_are_found_and_by_nothing_are_not(labelled):
    flag = dict(labelled.select("content", "is_alert").iter_rows())
    found = alerts.unseen_alerts(
        lambda texts: np.array([[flag[text], 1 - flag[text]] for text in texts]), labelled, seeds=(0, 1)
    )
    assert found["f1"]["mean"] == found["average_precision"]["mean"] == 1
    share = labelled["is_alert"].mean()
    nothing = alerts.unseen_alerts(constant, labelled, seeds=(0, 1))
    assert nothing["average_precision"]["mean"] == pytest.approx(share, abs=0.15)


def test_a_table_of_forms_knows_no_unseen_template(labelled):
    seen = alerts.few_shot_alerts(baselines.lookup(), labelled, seeds=range(5))
    unseen = alerts.few_shot_alerts(baselines.lookup(), labelled, seeds=range(5), unseen=True)
    share = labelled["is_alert"].mean()
    assert unseen["average_precision"]["mean"] == pytest.approx(share, abs=0.05)
    assert seen["average_precision"]["mean"] > share + 0.1


def test_alerts_need_templates_for_every_fold(labelled):
    few = labelled.filter(~pl.col("is_alert") | (pl.col("event") == labelled.filter("is_alert")["event"][0]))
    with pytest.raises(InputError, match="1 alert templates"):
        alerts.unseen_alerts(letters, few)


@given(st.integers(0, 2**32 - 1))
def test_auc_is_scikit_learns(seed):
    draw = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "set": ["a"] * 30,
            "normal_form": [f"{row:02}" for row in range(30)],
            "is_severe": [True, False, *(draw.random(28) < 0.4)],
            "weight": draw.integers(1, 5, 30).astype(float),
            "score": draw.integers(0, 6, 30).astype(float),
        }
    )
    expected = roc_auc_score(frame["is_severe"], frame["score"], sample_weight=frame["weight"])
    assert severity.auc(frame, draws=3)["a"][0] == pytest.approx(expected)


def test_a_difference_of_one_embedder_to_itself_is_nothing(lines):
    sets = severity.severity_sets(levels_of(lines), None)
    areas = severity.auc(severity.severity_across_domains(letters, sets), draws=50)
    assert set(areas) == set(DOMAINS)
    for row in severity.compare(areas, areas).values():
        assert row == {"value": 0, "low": 0, "high": 0}


def levels_of(lines):
    """A level that the text shows: whether a line has an `x`, `q` or `z`."""
    forms = lines.unique("normal_form", maintain_order=True)
    return forms.select(
        "domain", "content", "normal_form", pl.col("normal_form").str.contains("(?i)[xqz]").alias("is_severe")
    )


def test_a_tested_domain_teaches_nothing(lines):
    """Its labels turned round change no score of it; those of another domain do."""
    sets = severity.severity_sets(levels_of(lines), None)
    plain = severity.severity_across_domains(letters, sets, tested=["BGL"])
    for turned, same in (("BGL", True), ("HDFS", False)):
        other = sets.with_columns(is_severe=pl.col("is_severe") ^ (pl.col("domain") == turned))
        found = severity.severity_across_domains(letters, other, tested=["BGL"])
        assert np.allclose(found["score"], plain["score"]) == same


def test_statements_like_tested_forms_are_dropped_and_levels_are_read():
    statements = pl.DataFrame(
        {
            "template": ["Connection to <*> lost", "Disk <*> is full", "Started in <*> ms", "no level", "%%"],
            "level": ["warn", "err", "dbg", "sometimes", "info"],
        }
    )
    forms = severity.statement_forms(statements, ["connection to [IP] lost!"])
    assert dict(forms.select("normal_form", "is_severe").iter_rows()) == {
        "Disk [NUM] is full": True,
        "Started in [NUM] ms": False,
    }


def test_statements_of_other_projects_are_asked_for_but_none_that_is_known():
    """The words that decide are learnt from one project; those of another that it shares are not asked."""
    known = ["disk <*> failed", "disk <*> ready", "link <*> failed", "link <*> ready"]
    taught = severity.statement_forms(pl.DataFrame({"template": known, "level": ["error", "info"] * 2}), [])
    others = pl.DataFrame(
        {
            "template": ["disk <*> failed", "fan of the left rack <*> has failed", "volume <*> is ready now"],
            "level": ["info", "error", "info"],
        }
    )
    apart = severity.project_set(others, taught)
    assert apart["normal_form"].to_list() == [
        "fan of the left rack [NUM] has failed",
        "volume [NUM] is ready now",
    ]
    scored = severity.severity_from_statements(baselines.word_tfidf(masked=True), taught, apart)
    assert severity.auc(scored, draws=2)[severity.PROJECTS][0] == 1.0


@needs_data
def test_folds_are_all_asked_for_statements_of_other_projects(tmp_path):
    """They are of no domain: each fold's model is scored on them, and the mean of all stands in the table."""
    table = tmp_path / "statements.csv"
    rows = [
        f"{verb} {noun} <*>,{level},{project}"
        for project in ("apache/kafka", "wordpress", "etcd-io/etcd", "ray", "jetty", "moby", "nginx", "caddy")
        for noun in ("disk", project.replace("/", " "))
        for verb, level in (("cannot open", "error"), ("opened", "info"))
    ]
    table.write_text("\n".join(["template,level,project", *rows]), encoding="utf-8")
    splits = split_statements(read_statements(table))
    assert len(splits["train"])
    assert len(splits["test"])
    ours = [
        running.System("ours", letters, letters, tested=(name,), training="left out")
        for name in ("BGL", "Apache")
    ]
    result = running.run_probes(ours, DATA, probes=["severity"], statements=[table])
    found = result["severity"]["modes"]["projects"]["scores"]["ours"]["sets"]
    assert set(found) == {severity.PROJECTS}
    assert result["data"]["files"]["statements.csv"]
    assert set(result["severity"]["modes"]["statements"]["scores"]["ours"]["sets"]) >= {"BGL", "Apache"}
    assert "projects that nothing was learnt from" in render_probes(result)


def test_the_level_of_a_form_is_that_of_most_lines():
    frame = pl.DataFrame(
        {
            "content": ["a 1", "a 2", "b 1", "b 2"],
            "level": ["WARN", "INFO", "info", "notice"],
            "lines": [1, 3, 1, 1],
        }
    ).with_columns(level_severity("level"))
    forms = by_form(frame)
    assert dict(forms.select("normal_form", "is_severe").iter_rows()) == {"a [NUM]": False, "b [NUM]": False}
    assert forms["lines"].to_list() == [4, 2]


def test_the_cache_computes_a_text_once_and_survives_a_cut_off_shard(tmp_path):
    asked = []

    def compute(texts):
        asked.extend(texts)
        return letters(texts)

    texts = [f"line {number}" for number in range(5)] + ["line 0"]
    first = baselines.VectorCache(tmp_path, 26)(texts, compute, 2)
    (tmp_path / ".half-1.tmp").write_bytes(b"PK")
    again = baselines.VectorCache(tmp_path, 26)([*texts, "new"], compute, 2)
    assert asked == [*texts[:5], "new"]
    assert np.array_equal(first, again[:6])
    assert np.array_equal(first, letters(texts))


def test_kept_scores_are_computed_once_and_anew_where_anything_differs(tmp_path):
    computed = []

    def score(value):
        computed.append(value)
        return {"mean": value}

    frame = pl.DataFrame({"a": [1]})
    kept = Kept(tmp_path)
    assert kept(("events", "words"), digest(frame), lambda: score(1)) == {"mean": 1}
    assert Kept(tmp_path)(("events", "words"), digest(frame), lambda: score(2)) == {"mean": 1}
    assert kept(("events", "lookup"), digest(frame), lambda: score(3)) == {"mean": 3}
    assert kept(("events", "words"), digest(frame + 1), lambda: score(4)) == {"mean": 4}
    for path in tmp_path.iterdir():
        path.write_text("{", encoding="utf-8")
    assert kept(("events", "words"), digest(frame), lambda: score(5)) == {"mean": 5}
    assert Kept(None)(("events", "words"), digest(frame), lambda: score(6)) == {"mean": 6}
    assert computed == [1, 3, 4, 5, 6]


def test_scores_of_checkpoints_are_kept_by_their_weights(tmp_path):
    frame, kept = pl.DataFrame({"a": [1]}), Kept(tmp_path)
    ours = {"checkpoint": "mini", "sha256": "1" * 64, "tested": ["BGL"]}
    names = ("events", "ours")
    assert kept.of([ours])(names, digest(frame), lambda: 1) == 1
    assert Kept(tmp_path).of([ours])(names, digest(frame), lambda: 2) == 1
    assert kept(names, digest(frame), lambda: 3) == 3
    for other in ({"sha256": "2" * 64}, {"tested": ["HDFS"]}, {"sha256": None}):
        assert kept.of([ours | other])(names, digest(frame), lambda: 4) == 4
    assert kept.of([ours, ours])(names, digest(frame), lambda: 5) == 5


def test_a_text_without_a_token_is_as_far_from_all():
    pytest.importorskip("wordllama")
    vectors = baselines.WordLlama()(["", "disk full"])
    assert np.isfinite(vectors).all()
    assert not vectors[0].any()


def test_compact_keeps_all_products():
    vectors = sparse.csr_matrix(np.eye(3, 9, k=4))
    assert compact(vectors).shape == (3, 3)
    assert np.array_equal((compact(vectors) @ compact(vectors).T).toarray(), np.eye(3))


def system(name, tested=None):
    return running.System(name, letters, letters, tested=tested)


def test_folds_and_seeds_make_runs_that_ask_for_a_domain_once():
    folds = [system("m", ("BGL",)), system("m", ("HDFS", "Linux"))]
    runs = running.runs([*folds, *folds], DOMAINS)
    assert [[asked for _, asked in run] for run in runs] == [[["BGL"], ["HDFS", "Linux"]]] * 2
    uneven = running.runs([system("m", ("BGL", "HDFS")), system("m", ("HDFS", "Linux"))], DOMAINS)
    assert [[asked for _, asked in run] for run in uneven] == [[["BGL", "HDFS"], ["Linux"]], [["HDFS"]]]


def test_a_checkpoint_says_what_was_left_out_of_it(tmp_path):
    def told(left_out=""):
        return running.checkpoint("m", tmp_path, left_out, contents=letters, forms=letters)

    assert (told().tested, told().training) == (None, "in-domain")
    (tmp_path / "record.json").write_text(json.dumps({"held_out_domains": ["BGL"], "arguments": {"seed": 7}}))
    assert (told().tested, told().training, told().origin["seed"]) == (("BGL",), "left out", 7)
    assert told("hdfs,linux").tested == ("HDFS", "Linux")
    with pytest.raises(InputError, match="unknown domain"):
        told("Plan9")
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(InputError, match=r"record\.json"):
        told()


def test_a_checkpoint_in_the_folder_of_its_run_has_the_record_of_the_run(tmp_path):
    run = tmp_path / "fold0"
    (run / "fold0").mkdir(parents=True)
    record = {"name": "fold0", "held_out_domains": ["BGL"], "arguments": {"seed": 1}}
    (run / "record.json").write_text(json.dumps(record))
    told = running.checkpoint("m", run / "fold0", contents=letters, forms=letters)
    assert (told.tested, told.origin["seed"]) == (("BGL",), 1)
    (run / "record.json").write_text(json.dumps(record | {"name": "another"}))
    assert running.checkpoint("m", run / "fold0", contents=letters, forms=letters).tested is None


@needs_data
def test_ground_truth_and_labels_of_the_samples():
    found = read_events(DATA)
    assert len(found.lines) == 32_000
    assert found.lines["event"].n_unique() == found.lines["event"].max() + 1 == 1354
    assert {name for name, one in found.versions.items() if one == "logparser-corrected"} == {
        "Android",
        "Windows",
    }
    alert = read_alerts(DATA).lines.filter("is_alert")
    assert (len(alert), alert["event"].n_unique()) == (143, 15)
    levels = read_levels(DATA, ["BGL", "Zookeeper", "Spark"], whole=False)
    assert levels.lines["domain"].unique(maintain_order=True).to_list() == ["BGL", "Zookeeper"]
    assert len(levels.files) == 2


@needs_data
def test_a_run_of_the_command_is_written_and_rendered(tmp_path):
    out = tmp_path / "out.json"
    command = ["--model", f"{TINY}=BGL", "--probes", "alerts", "--out", out, "--name", "tiny"]
    done = told(*command)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["systems"]["tiny"]["training"] == ["left out"]
    assert result["alerts"]["alerts"] == 143
    assert render_probes(result) in done.stdout
    assert "| **tiny** |" in done.stdout


@needs_data
@pytest.mark.slow
def test_a_domain_that_there_is_not_ends_the_command_in_one_line():
    bad = told("--model", f"{TINY}=Plan9")
    assert bad.returncode == 2
    assert "unknown domain 'Plan9'" in bad.stderr
    assert "Traceback" not in bad.stderr


def told(*arguments):
    """A run of the command without baselines."""
    command = [sys.executable, ROOT / "recipes" / "probes.py", "--no-baselines", "--data", DATA, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@needs_data
def test_folds_are_joined_with_baselines_in_one_result():
    encoder = LogEncoder.from_pretrained(TINY)
    ours = [
        running.System("ours", encoder.encode, encoder.encode, tested=(name,), training="left out")
        for name in ("Apache", "Proxifier")
    ]
    tables = [running.System("lookup", baselines.lookup(), baselines.lookup(masked=True), is_baseline=True)]
    result = running.run_probes(
        [*ours, *tables], DATA, probes=["events"], domains=("Apache", "Proxifier", "HDFS")
    )
    scores = result["events"]["scores"]["raw"]
    assert set(scores["ours"]["1"]["domains"]) == {"Apache", "Proxifier"}
    assert set(scores["lookup"]["1"]["domains"]) == {"Apache", "Proxifier", "HDFS"}
    assert scores["ours"]["1"]["pooled_accuracy"]["mean"] > 0.1
    table = render_probes(result)
    assert "| **ours** |" in table
    assert "| lookup |" in table
