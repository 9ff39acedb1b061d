"""What can be published, and what must hold of it before anything is sent."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import TINY
from fitted_detectors import fitted
from leaderboard_samples import write_models
from publish_samples import save_adapter, save_parser, save_predictor

from biglog import cli
from biglog.errors import BigLogError, CheckpointError, InputError
from biglog.evaluation.leaderboard import collect
from biglog.evaluation.leaderboard.joining import template
from biglog.hub import PublishResult, Target
from biglog.leaderboard_page import write_space
from biglog.publishing import publish
from biglog.publishing.checks import check_no_pickles, check_no_places
from biglog.publishing.kinds import recognised
from biglog.publishing.sending import Options

BASE = "acme/biglog"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder or file of each kind, by kind."""
    root = tmp_path_factory.mktemp("saved")
    fitted("knn").save_pretrained(root / "detector")
    (root / "detector" / "alerts.json").write_text("{}")
    write_space(collect([write_models(root / "results")]), root / "space")
    return {
        "model": TINY,
        "adapter": save_adapter(root / "adapter"),
        "detector": root / "detector",
        "predictor": save_predictor(root / "predictor"),
        "parser": save_parser(root / "parser"),
        "results": root / "results",
        "space": root / "space",
    }


def dry(
    what: Path | str, repo_id: str = "acme/thing", kind: str | None = None, **said: object
) -> PublishResult:
    return publish(what, Target(repo_id), kind, Options(dry_run=True, **said))  # type: ignore[arg-type]


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / folder.name))


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("adapter", {"README.md", "adapter_config.json", "adapter_model.safetensors"}),
        ("detector", {"README.md", "detector_config.json", "detector.safetensors", "detector.skops"}),
        ("predictor", {"README.md", "predictor_config.json", "predictor.safetensors", "predictor.skops"}),
        ("parser", {"README.md", "parser_config.json", "parser.safetensors"}),
    ],
)
def test_a_kind_is_recognised_and_its_files_are_listed(saved, kind: str, files: set[str]) -> None:
    assert recognised(saved[kind]) == kind
    result = dry(saved[kind], base=None if kind == "parser" else BASE)
    assert (result.kind, result.commit, result.dry_run) == (kind, None, True)
    assert {file.path for file in result.files} == files
    assert all(file.size > 0 for file in result.files)
    assert result.left_out == (("alerts.json",) if kind == "detector" else ())


def test_other_kinds_are_recognised(saved) -> None:
    assert [recognised(saved[kind]) for kind in ("model", "results", "space")] == [
        "model",
        "results",
        "space",
    ]
    assert recognised("biglog-mini") == "model"
    file = sorted(saved["results"].iterdir())[0]
    assert recognised(file) == "results"
    told = dry(file, dataset="acme/logs")
    assert {one.path for one in told.files} == {".eval_results/biglog.yaml", f"results/{file.name}"}
    names = {one.path for one in dry(saved["results"]).files}
    assert names == {
        "README.md",
        "rows.jsonl",
        *(f"results/{one.name}" for one in saved["results"].iterdir()),
    }
    listed = dry(saved["space"])
    assert {"README.md", "index.html", "data.json"} < {one.path for one in listed.files}
    assert "/spaces/acme/thing" in listed.url


def test_the_source_stays_as_it_was_and_the_copy_names_the_base(saved, tmp_path: Path, monkeypatch) -> None:
    seen: dict[str, str] = {}

    def look(folder: Path, *_: object, **__: object) -> PublishResult:
        seen.update(
            {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".json", ".md")}
        )
        return PublishResult("", "", (), "main", None, False, None, True)

    monkeypatch.setattr("biglog.publishing.sending.send", look)
    for kind, field in (("adapter", "base_model_name_or_path"), ("detector", "encoder")):
        before = {path.name: path.read_bytes() for path in saved[kind].iterdir()}
        dry(saved[kind], base=BASE)
        assert json.loads(seen[f"{kind}_config.json"])[field] == BASE
        assert str(TINY) not in seen[f"{kind}_config.json"] + seen["README.md"]
        assert f"base_model: {BASE}" in seen["README.md"]
        assert {path.name: path.read_bytes() for path in saved[kind].iterdir()} == before
    dry(saved["predictor"], base=BASE)
    assert f"base_model: {BASE}" in seen["README.md"]
    assert "| history | 3,300 s |" in seen["README.md"]


@pytest.mark.parametrize("kind", ["adapter", "detector", "predictor"])
def test_what_stands_on_a_folder_of_this_machine_is_refused(saved, kind: str) -> None:
    with pytest.raises(InputError, match=r"others cannot load what this \w+ stands on.*--base owner/name"):
        dry(saved[kind])
    with pytest.raises(InputError, match="no id on the Hub"):
        dry(saved[kind], base=str(TINY))


def test_an_adapter_whose_base_is_unknown(saved, tmp_path: Path) -> None:
    folder = copied(saved["adapter"], tmp_path)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(InputError, match=r"adapter_config.json: base_model_name_or_path is None.*unknown"):
        dry(folder)
    card = folder / "README.md"
    card.write_text("---\nlibrary_name: peft\n---\n# Without a base\n")
    sizes = {file.path: file.size for file in dry(folder, base=BASE).files}
    assert sizes["README.md"] == card.stat().st_size + len(f"base_model: {BASE}\n")


@pytest.mark.parametrize("kind", ["adapter", "detector", "parser"])
def test_no_card(saved, kind: str, tmp_path: Path) -> None:
    folder = copied(saved[kind], tmp_path)
    (folder / "README.md").unlink()
    with pytest.raises(CheckpointError, match=f"README.md: the {kind} has no card"):
        dry(folder, base=None if kind == "parser" else BASE)


def test_pickles_are_refused_or_stay_here(saved, tmp_path: Path) -> None:
    folder = copied(saved["adapter"], tmp_path)
    (folder / "training_args.bin").write_bytes(pickle.dumps({"lr": 1}))
    assert dry(folder, base=BASE).left_out == ("training_args.bin",)
    (folder / "notes.txt").write_bytes(pickle.dumps({"lr": 1}))
    with pytest.raises(InputError, match=rf"{folder}/notes.txt: this is a pickle, which runs code"):
        dry(folder, base=BASE)
    (folder / "notes.txt").unlink()
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"weight": torch.zeros(2)}, folder / "adapter_model.bin")
    with pytest.raises(InputError, match=r"adapter_model.bin: .*a pickle.*safe_serialization"):
        dry(folder, base=BASE)


def test_a_packed_pickle_is_found(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"weights.safetensors: this is a pickle"):
        check_no_pickles(tmp_path)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"data": [{"source": "/tmp/logs/a.csv"}]}, r"data\[0\].source"),
        ({"a": {"b": "~/logs/a.csv"}}, "a.b"),
        ({"a": r"C:\logs\a.csv"}, "a"),
        ({"forms": ["/tmp/logs/a.csv"], "url": "/api/v1/logs", "text": "at /tmp/x/y it ended"}, None),
    ],
)
def test_paths_of_this_machine_are_found(tmp_path: Path, told: object, field: str | None) -> None:
    (tmp_path / "record.json").write_text(json.dumps(told))
    if field is None:
        check_no_places(tmp_path)
        return
    with pytest.raises(InputError, match=rf"record.json: {field} is .*a path of this machine.*--hide-paths"):
        check_no_places(tmp_path)


def test_a_model_whose_configuration_names_a_folder_is_refused(saved, tmp_path: Path) -> None:
    folder = copied(saved["model"], tmp_path)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    (folder / "run.json").write_text(json.dumps({"source": str(tmp_path / "labels.csv")}))  # is not sent
    assert dry(folder).kind == "model"
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"_name_or_path": str(tmp_path / "old")}))
    with pytest.raises(InputError, match=r"config\.json: _name_or_path is .*a path of this machine"):
        dry(folder)


def test_built_tables_are_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "HDFS").mkdir()
    (tmp_path / "HDFS" / "build.json").write_text("{}")
    assert recognised(tmp_path) == "dataset"
    with pytest.raises(InputError, match="no table was built here"):
        dry(tmp_path)


def test_paths_can_be_hidden(saved, tmp_path: Path) -> None:
    folder = copied(saved["parser"], tmp_path)
    (folder / "record.json").write_text(json.dumps({"source": str(tmp_path / "labels.csv")}))
    with pytest.raises(InputError, match=rf"{folder}/record\.json: source is"):
        dry(folder)
    sizes = {file.path: file.size for file in dry(folder, hide_paths=True).files}
    assert sizes["record.json"] == len('{\n "source": "labels.csv"\n}\n')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (template().replace("biglog.result/1", "biglog.result/9"), "schema is 'biglog.result/9'"),
        (template().replace('"mean": 0.5', '"mean": 5'), r"results\[0\].metrics.average_precision.mean is 5"),
        (template(), "name the dataset on the Hub"),
    ],
)
def test_a_result_of_another_version_or_out_of_range(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(InputError, match=rf"mine.json.*{problem}"):
        dry(tmp_path / "mine.json")


def test_a_space_of_another_version(saved, tmp_path: Path) -> None:
    folder = copied(saved["space"], tmp_path)
    (folder / "data.json").write_text('{"schema": "biglog.leaderboard/9"}')
    with pytest.raises(InputError, match=r"data.json: schema is 'biglog.leaderboard/9'"):
        dry(folder)
    (folder / "index.html").unlink()
    with pytest.raises(InputError, match=r"the Space lacks index\.html"):
        dry(folder)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nowhere", "acme/x"], "no such file or folder"),
        (["{folder}", "acme/x"], "nothing that can be published"),
        (["{folder}/notes.json", "acme/x"], "no result of a model"),
        (["biglog-mini", "biglog"], "has no owner"),
        (["biglog-mini", "acme/x", "--kind", "poem"], "kind is 'poem', and none of model, adapter"),
        (["biglog-mini", "acme/x", "--base", "a/b"], "--base is not for what is published here, a model"),
        (["{folder}", "acme/x", "--kind", "detector"], "the detector lacks detector_config.json"),
        (["{folder}", "acme/x", "--kind", "space"], "does not say `sdk: static`"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, monkeypatch, capsys, words: list[str], problem: str) -> None:
    (tmp_path / "notes.json").write_text("{}")
    given = [word.format(folder=tmp_path) for word in words]
    monkeypatch.setattr(sys, "argv", ["biglog", "publish", *given, "--dry-run"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert problem in said
    assert len(said.splitlines()) == 1


def test_the_command_lists_files_and_what_stays(saved, monkeypatch, capsys) -> None:
    words = ["publish", str(saved["detector"]), "acme/detector", "--base", BASE, "--dry-run"]
    monkeypatch.setattr(sys, "argv", ["biglog", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    said = capsys.readouterr()
    assert said.err == "It holds normal forms of the logs that it was fitted on.\n"
    *files, last = said.out.splitlines()
    assert files[-1].split() == ["stays", "here", "alerts.json"]
    assert last.startswith("4 files (detector) would be published to ")


def test_an_error_is_one_of_ours(saved) -> None:
    with pytest.raises(BigLogError):
        dry(saved["detector"].parent)
