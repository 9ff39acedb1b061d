"""The round trip over a loopback Hub: what is published comes back by its id, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from anomaly_samples import ODD, sessions
from checkpoints import TINY
from fitted_detectors import TESTED, fitted
from hub_checkpoints import CARD
from hub_server import HubServer
from hub_wire import User
from hypothesis import given, settings
from leaderboard_samples import models, write_models
from publish_samples import history, logits, predictor, save_adapter, save_parser, save_predictor
from test_leaderboard_ranking import rows

from biglog import cli, hub
from biglog.errors import InputError, OutputError
from biglog.evaluation.leaderboard import collect, tables
from biglog.evaluation.leaderboard.eval_results import from_entries, to_entries
from biglog.evaluation.results import ModelResults, write_results
from biglog.hub import Target
from biglog.leaderboard_page import write_space
from biglog.publishing import publish
from biglog.publishing.fetching import fetch_entries
from biglog.publishing.sending import Options

USERS = {"hf_writer": User("acme"), "hf_reader": User("acme", can_write=False)}
IDS = torch.tensor([[7, 12, 1, 30, 8], [7, 3, 3, 44, 8]])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process's own client talks to, as variables would have told it before its import."""
    with HubServer(USERS) as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        yield server


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = hub.save(tmp_path_factory.mktemp("base") / "tiny", checkpoint=TINY)
    (folder / "README.md").write_text(CARD)
    return folder


ELSEWHERE = """
import json, sys
import biglog, polars as pl, torch
torch.set_num_threads(1)
from peft import PeftModel
from modeling_biglog import BigLogForSequenceClassification
ids, forms, lines = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), pl.read_parquet(sys.argv[3])
model = BigLogForSequenceClassification.from_pretrained("acme/biglog", num_labels=3)
model = PeftModel.from_pretrained(model, "acme/adapter").eval()
with torch.no_grad():
    told = {"logits": model(input_ids=torch.tensor(ids)).logits.tolist()}
table = pl.DataFrame({"normal_forms": forms})
told["scores"] = biglog.AnomalyDetector.from_pretrained("acme/detector").score_samples(table).tolist()
risk = biglog.FailurePredictor.from_pretrained("acme/predictor")
told["risks"] = risk.risks(lines)["risk"].to_list()
told["alerts_from"] = risk.threshold
parser = biglog.LogParser.from_pretrained("acme/parser")
told["templates"] = parser.parse(["user ann logged in", "user bob logged in"])["template"].to_list()
print(json.dumps(told))
"""


def test_what_was_saved_comes_back_by_its_id(here: HubServer, base: Path, tmp_path: Path):
    adapter, lines = save_adapter(tmp_path / "adapter"), history()[0]
    fitted("knn").save_pretrained(tmp_path / "detector")
    save_predictor(tmp_path / "predictor")
    publish(base, Target("acme/biglog"))
    save_parser(tmp_path / "parser")
    for name in ("adapter", "detector", "predictor", "parser"):
        options = Options(base=None if name == "parser" else "acme/biglog")
        done = publish(tmp_path / name, Target(f"acme/{name}", tag="v1"), None, options)
        assert (done.kind, done.changed) == (name, True)
        assert here.repos["model", f"acme/{name}"].tags == {"v1": done.commit}
        again = publish(tmp_path / name, Target(f"acme/{name}"), None, options)
        assert (again.changed, again.commit) == (False, done.commit)
    (tmp_path / "ids.json").write_text(json.dumps(IDS.tolist()))
    (tmp_path / "forms.json").write_text(json.dumps(sessions(20, 1) + ODD))
    lines.write_parquet(tmp_path / "lines.parquet")
    command = [sys.executable, "-c", ELSEWHERE, *(str(tmp_path / n) for n in ("ids.json", "forms.json"))]
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [*command, str(tmp_path / "lines.parquet")],
        cwd=tmp_path / "elsewhere",
        env=here.client_environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    torch.set_num_threads(1)
    assert told["logits"] == logits(adapter, TINY, IDS).tolist()
    np.testing.assert_array_equal(told["scores"], fitted("knn").score_samples(TESTED))
    np.testing.assert_array_equal(told["risks"], predictor().risks(lines)["risk"])
    assert told["alerts_from"] == predictor().threshold
    assert told["templates"] == ["user <*> logged in"] * 2


def test_results_beside_a_model_are_read_back_and_ranked(here: HubServer, base: Path, tmp_path: Path):
    write_results(tmp_path / "mini.json", models()[0])
    with pytest.raises(InputError, match=r"no model acme/biglog .*Publish the model first"):
        publish(tmp_path / "mini.json", Target("acme/biglog"), None, Options(dataset="acme/logs"))
    publish(base, Target("acme/biglog"))
    done = publish(tmp_path / "mini.json", Target("acme/biglog"), None, Options(dataset="acme/logs"))
    files = here.repos["model", "acme/biglog"].resolve("main").files
    assert {"model.safetensors", ".eval_results/biglog.yaml", "results/mini.json"} <= files.keys()
    assert (done.kind, len(done.files)) == ("results", 2)
    (entry,) = fetch_entries("acme/biglog")
    assert entry.results.name == "acme/biglog"
    assert entry.url == f"{here.url}/acme/biglog/blob/main/.eval_results/biglog.yaml"
    assert [(r.comparable, r.metrics) for r in entry.results.results] == [
        (r.comparable, r.metrics) for r in models()[0].results
    ]
    (tmp_path / "mini.json").unlink()
    others = collect([write_models(tmp_path / "others", models()[1:])])
    ranked = {row.model.name: row.rank for row in tables([*others, entry])[0].rows}
    assert ranked["acme/biglog"] == 1


def test_the_command_ranks_results_of_the_hub(here: HubServer, tmp_path: Path, monkeypatch, capsys):
    publish(write_models(tmp_path / "results"), Target("acme/results"))
    monkeypatch.setattr(sys, "argv", ["biglog", "leaderboard", "--from-hub", "datasets/acme/results"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    told = capsys.readouterr().out
    assert f"[JSON]({here.url}/datasets/acme/results/blob/main/results/model-0.json)" in told
    assert "| 2 ≈ 1 |" in told


def test_results_as_a_dataset(here: HubServer, tmp_path: Path):
    done = publish(write_models(tmp_path / "results"), Target("acme/results"))
    assert done.url == f"{here.url}/datasets/acme/results"
    assert {entry.results.name for entry in fetch_entries("datasets/acme/results")} == {
        one.name for one in models()
    }
    repo = here.repos["dataset", "acme/results"]
    lines = repo.content(repo.entry("main", "rows.jsonl")[1]).decode().splitlines()
    assert len(lines) == sum(len(row.metrics) for one in models() for row in one.results)
    assert json.loads(lines[0]).keys() >= {"model", "task", "protocol", "metric", "mean", "sd"}


def test_a_leaderboard_is_a_static_space(here: HubServer, tmp_path: Path):
    results = write_models(tmp_path / "results")
    write_space(collect([results]), tmp_path / "space")
    done = publish(tmp_path / "space", Target("acme/leaderboard"))
    assert (done.kind, done.url) == ("space", f"{here.url}/spaces/acme/leaderboard")
    repo = here.repos["space", "acme/leaderboard"]
    assert repo.sdk == "static"
    page = (tmp_path / "space" / "index.html").read_bytes()
    assert repo.content(repo.entry("main", "index.html")[1]) == page
    # A result that is gone from the leaderboard goes from the Space.
    write_space(collect([results])[:2], tmp_path / "space")
    publish(tmp_path / "space", Target("acme/leaderboard"))
    held = [name for name in repo.resolve("main").files if name.startswith("results/")]
    assert len(held) == 2


def test_what_is_not_there_or_says_too_little(here: HubServer, base: Path, tmp_path: Path):
    with pytest.raises(InputError, match="there is no model acme/none"):
        fetch_entries("acme/none")
    publish(base, Target("acme/biglog"))
    with pytest.raises(InputError, match=r"the model acme/biglog holds no \.eval_results"):
        fetch_entries("acme/biglog")
    with pytest.raises(InputError, match=r"no revision v9 of acme/biglog"):
        fetch_entries("acme/biglog", "v9")
    api = huggingface_hub.HfApi()
    for text, problem in (
        ("- {dataset: {id: a/b, task_id: t}, value: 1}", "do not say protocol and version"),
        ("- {dataset: {id: a/b}, value: 1}", "these results cannot be read"),
        ("- {dataset: {id: a/b, task_id: t}, value: 1, notes: schema=biglog.result/1}", "lack 'metric'"),
        ("[", "these results cannot be read"),
    ):
        api.upload_file(
            path_or_fileobj=text.encode(), path_in_repo=".eval_results/x.yaml", repo_id="acme/biglog"
        )
        with pytest.raises(InputError, match=problem):
            fetch_entries("acme/biglog")


def test_a_token_that_may_not_write(here: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(OutputError, match="may not write to acme/results"):
        publish(write_models(tmp_path / "results"), Target("acme/results"))
    assert here.repos == {}


@settings(max_examples=60)
@given(rows())
def test_entries_of_a_hub_hold_all_that_ranks(row) -> None:
    told = ModelResults("m", "system", (row,), parameters=7, date="2026-01-01")
    back = from_entries(to_entries(told, "acme/logs", "https://example.org"), "m", "here")
    (one,) = back.results
    assert (one.comparable, one.metrics, one.main_metric) == (row.comparable, row.metrics, row.main_metric)
    assert (one.seeds, one.exposure, one.lines_per_second) == (row.seeds, row.exposure, row.lines_per_second)
    assert (back.kind, back.parameters, back.date) == ("system", 7, "2026-01-01")


def test_a_value_that_its_notes_deny_is_refused() -> None:
    entries = to_entries(models()[0], "a/b", "https://example.org")
    entries[1].value = 0.999
    with pytest.raises(InputError, match=r"the value of anomaly/.* is 0.999, and its notes say 0.958"):
        from_entries(entries, "m", "here")


def test_signs_in_a_protocol_come_back() -> None:
    (first, *_) = models()[0].results
    odd = replace(first, protocol="5 labels; seeds=0, 100 % of a:b, «ein»\u2028", split="a=b;c%3B")
    back = from_entries(to_entries(ModelResults("m", "encoder", (odd,)), "a/b", ""), "m", "here")
    assert back.results[0].comparable == odd.comparable
