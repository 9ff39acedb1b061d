"""Saving a checkpoint to a folder and to the Hugging Face cache, and what is no checkpoint or no place."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hub_checkpoints import LINES, make_checkpoint
from huggingface_hub import scan_cache_dir
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from biglog import hub
from biglog.errors import CheckpointError, InputError, OutputError
from modeling_biglog import BigLogConfig, BigLogForMaskedLM, BigLogForWindowClassification


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def damaged(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint for a test to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "damaged"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def pooled(folder: Path) -> list[list[float]]:
    model = BigLogForMaskedLM.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(list(LINES), padding=True, return_tensors="pt")
    with torch.no_grad():
        return model.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).pooler_output.tolist()


LITERALLY = """
import json, os
from pathlib import Path
import torch
torch.set_num_threads(1)
import biglog
from biglog import hub
from transformers import AutoModel, AutoTokenizer

def pooled():
    batch = AutoTokenizer.from_pretrained("biglog")(json.loads(os.environ["LINES"]), padding=True,
                                                    return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained("biglog").eval()(**batch).pooler_output.tolist()

snapshot = hub.save_to_cache(checkpoint=os.environ["CACHED"])
got = {"cached": pooled(), "snapshot": str(snapshot.relative_to(os.environ["HF_HOME"]))}
hub.save("biglog", checkpoint=os.environ["SAVED"])
got["saved"] = pooled()
os.mkdir("elsewhere")
os.chdir("elsewhere")
got["cached again"] = pooled()
print(json.dumps(got))
"""


def test_from_pretrained_biglog_works_literally(checkpoint: Path, tmp_path: Path):
    torch.set_num_threads(1)
    other = make_checkpoint(tmp_path / "other", seed=1)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    env |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "LINES": json.dumps(LINES)}
    env |= {"CACHED": str(checkpoint), "SAVED": str(other)}
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LITERALLY],
        cwd=tmp_path / "work",
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    first, second = pooled(checkpoint), pooled(other)
    assert first != second
    assert got["cached"] == got["cached again"] == first
    assert got["saved"] == second
    assert got["snapshot"].startswith("hub/models--biglog/snapshots/")


def test_saved_folder_holds_the_whole_repository(checkpoint: Path, tmp_path: Path):
    saved = hub.save(tmp_path / "new" / "biglog", checkpoint=checkpoint)
    files, source = content(saved), content(checkpoint)
    auto_map = json.loads(files["config.json"])["auto_map"]
    assert auto_map == {
        "AutoConfig": "configuration_biglog.BigLogConfig",
        "AutoModel": "modeling_biglog.BigLogModel",
        "AutoModelForMaskedLM": "modeling_biglog.BigLogForMaskedLM",
        "AutoModelForPreTraining": "modeling_biglog.BigLogForPreTraining",
        "AutoModelForSequenceClassification": "modeling_biglog.BigLogForSequenceClassification",
        "AutoModelForTokenClassification": "modeling_biglog.BigLogForTokenClassification",
    }
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"):
        assert files[name] == source[name]
    assert json.loads(files["config.json"]) | {"auto_map": None} == json.loads(source["config.json"]) | {
        "auto_map": None
    }
    assert [path.name for path in saved.parent.iterdir()] == ["biglog"]


def test_a_window_classifier_brings_its_own_code(checkpoint: Path, tmp_path: Path):
    source = Path(shutil.copytree(checkpoint, tmp_path / "source"))
    config = BigLogConfig.from_pretrained(checkpoint)
    BigLogForWindowClassification(config).save_pretrained(source)
    files = content(hub.save(tmp_path / "windows", checkpoint=source))
    place = json.loads(files["config.json"])["auto_map"]["AutoModelForSequenceClassification"]
    module, name = place.split(".")
    assert name == "BigLogForWindowClassification"
    assert f"class {name}" in files[f"{module}.py"].decode()


def test_map_that_points_to_a_hub_points_here_again(damaged: Path, tmp_path: Path):
    config = json.loads((damaged / "config.json").read_text())
    config["auto_map"] = {name: f"acme/biglog--{place}" for name, place in config["auto_map"].items()}
    (damaged / "config.json").write_text(json.dumps(config))
    saved = hub.save(tmp_path / "biglog", checkpoint=damaged)
    assert "--" not in (saved / "config.json").read_text()


def test_map_that_points_anywhere_else_is_not_followed(damaged: Path, tmp_path: Path):
    edit_json("config.json", lambda c: c.update(auto_map={"AutoModel": "../../../etc/passwd.Thief"}))(damaged)
    saved = hub.save(tmp_path / "biglog", checkpoint=damaged)
    assert json.loads((saved / "config.json").read_text())["auto_map"]["AutoModel"].endswith(".BigLogModel")


def test_a_checkpoint_saved_onto_itself(damaged: Path):
    before = pooled(damaged)
    hub.save(damaged, checkpoint=damaged)
    assert (damaged / "modeling_biglog.py").is_file()
    assert pooled(damaged) == before


def test_saving_again_replaces_the_earlier_layout(checkpoint: Path, tmp_path: Path):
    target = tmp_path / "biglog"
    hub.save(target, checkpoint=make_checkpoint(tmp_path / "other", seed=1))
    hub.save(target, checkpoint=checkpoint)
    assert (target / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    hub.save(target, checkpoint=checkpoint, bert=True)
    assert json.loads((target / "config.json").read_text())["model_type"] == "bert"
    assert not list(target.glob("*.py"))


def test_a_folder_of_somebody_else_is_left_alone(checkpoint: Path, tmp_path: Path):
    target = tmp_path / "biglog"
    target.mkdir()
    (target / "config.json").write_text("{}")
    (target / "thesis.tex").write_text("years of work")
    before = content(target)
    with pytest.raises(OutputError, match=r"not empty.*--force"):
        hub.save(target, checkpoint=checkpoint)
    assert content(target) == before
    hub.save(target, checkpoint=checkpoint, force=True)
    assert (target / "thesis.tex").read_text() == "years of work"
    assert pooled(target) == pooled(checkpoint)


def test_a_file_is_in_the_way(checkpoint: Path, tmp_path: Path):
    (tmp_path / "biglog").write_text("notes")
    with pytest.raises(OutputError, match="this is a file"):
        hub.save(tmp_path / "biglog", checkpoint=checkpoint)
    with pytest.raises(OutputError, match="cannot write here: Not a directory"):
        hub.save(tmp_path / "biglog" / "deeper", checkpoint=checkpoint)
    assert (tmp_path / "biglog").read_text() == "notes"


def test_a_place_nobody_may_write_to(checkpoint: Path):
    with pytest.raises(OutputError, match="/proc/biglog: cannot write here"):
        hub.save("/proc/biglog", checkpoint=checkpoint)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(checkpoint: Path, tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match=r"Permission denied.*a place you may write to"):
        hub.save(tmp_path / "locked" / "biglog", checkpoint=checkpoint)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Makes writes beyond `size` fail, as on a full disk (Python ignores the signal that goes with it)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("bert", [False, True])
def test_a_write_that_fails_leaves_nothing_behind(checkpoint: Path, tmp_path: Path, bert: bool):
    target = tmp_path / "out" / "biglog"
    with (
        files_no_longer_than(60_000),
        pytest.raises(OutputError, match=r"cannot write here.*Free some space"),
    ):
        hub.save(target, checkpoint=checkpoint, bert=bert)
    assert list(target.parent.iterdir()) == []

    hub.save(target, checkpoint=checkpoint, bert=bert)
    before = content(target)
    with files_no_longer_than(60_000), pytest.raises(OutputError, match="cannot write here"):
        hub.save(target, checkpoint=checkpoint, bert=bert)
    assert content(target) == before

    cache = tmp_path / "cache"
    with files_no_longer_than(60_000), pytest.raises(OutputError, match="cannot write here"):
        hub.save_to_cache(checkpoint=checkpoint, bert=bert, cache_dir=cache)
    assert list(cache.iterdir()) == []


def test_cache_is_what_the_client_makes_of_it(checkpoint: Path, tmp_path: Path):
    cache = tmp_path / "hub"
    snapshot = hub.save_to_cache("acme/biglog", checkpoint=checkpoint, cache_dir=cache)
    report = scan_cache_dir(cache)
    assert report.warnings == []
    (repo,) = report.repos
    (revision,) = repo.revisions
    assert (repo.repo_id, repo.repo_type, revision.refs) == ("acme/biglog", "model", frozenset({"main"}))
    assert snapshot == revision.snapshot_path
    assert snapshot.name == revision.commit_hash
    assert content(snapshot) == content(hub.save(tmp_path / "folder", checkpoint=checkpoint))
    assert all(path.is_symlink() for path in snapshot.rglob("*") if not path.is_dir())


def test_saving_to_the_cache_again_changes_nothing(checkpoint: Path, tmp_path: Path):
    cache = tmp_path / "hub"
    snapshot = hub.save_to_cache(checkpoint=checkpoint, cache_dir=cache)
    blobs = {path: path.stat().st_mtime_ns for path in (cache / "models--biglog" / "blobs").iterdir()}
    assert hub.save_to_cache(checkpoint=checkpoint, cache_dir=cache) == snapshot
    assert {path: path.stat().st_mtime_ns for path in (cache / "models--biglog" / "blobs").iterdir()} == blobs

    # Another content is another commit; the first stays, and main moves.
    other = make_checkpoint(tmp_path / "other", seed=1)
    newer = hub.save_to_cache(checkpoint=other, cache_dir=cache)
    assert newer.name != snapshot.name
    assert (cache / "models--biglog" / "refs" / "main").read_text() == newer.name
    assert pooled(snapshot) == pooled(checkpoint)
    assert pooled(newer) == pooled(other)


def test_saving_to_the_cache_mends_a_damaged_blob(checkpoint: Path, tmp_path: Path):
    snapshot = hub.save_to_cache(checkpoint=checkpoint, cache_dir=tmp_path)
    (snapshot / "model.safetensors").resolve().write_bytes(b"cut short")
    hub.save_to_cache(checkpoint=checkpoint, cache_dir=tmp_path)
    assert pooled(snapshot) == pooled(checkpoint)


def test_cache_of_an_id_that_cannot_be(checkpoint: Path, tmp_path: Path):
    with pytest.raises(InputError, match="not an id"):
        hub.save_to_cache("../biglog", checkpoint=checkpoint, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def garbled_header(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])


def edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def edit_json(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return damage


def swap_mask_tokens(tokenizer: dict) -> None:
    vocab = tokenizer["model"]["vocab"]
    vocab["[NUM]"], vocab["[FILE]"] = vocab["[FILE]"], vocab["[NUM]"]
    for added in tokenizer["added_tokens"]:
        added["id"] = vocab[added["content"]]


QUERY = "bert.encoder.layer.0.attention.self.query.weight"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (cut_short, r"model\.safetensors: the weights are damaged or cut short"),
        (garbled_header, r"model\.safetensors: the weights are damaged or cut short"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "damaged or cut short"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"the checkpoint lacks model\.safetensors"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"the checkpoint lacks tokenizer\.json"),
        (lambda folder: (folder / "config.json").unlink(), r"it has no config\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json: the configuration cannot"),
        (lambda folder: (folder / "config.json").write_text("[]"), "is not a JSON object"),
        (
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            r"tokenizer\.json: the tokenizer cannot",
        ),
        (edit_json("tokenizer.json", swap_mask_tokens), r"\[NUM\] at 5, \[FILE\] at 1, not \[PAD\] at 0"),
        (edit_json("config.json", lambda c: c.update(model_type="gpt2")), "type 'gpt2', not one of ours"),
        (edit_json("config.json", lambda c: c.update(architectures=["GPT2Model"])), "the class 'GPT2Model'"),
        (edit_json("config.json", lambda c: c.update(vocab_size=20)), "tokens and the model 20"),
        (edit_json("config.json", lambda c: c.update(hidden_size=16)), "does not load as BigLogForMaskedLM"),
        (edit_json("config.json", lambda c: c.update(hidden_size=-1)), "does not load as BigLogForMaskedLM"),
        (edit_weights(lambda w: w.pop(QUERY)), f"1 weights are missing, {QUERY}"),
        (edit_weights(lambda w: w[QUERY].fill_(float("nan"))), f"{QUERY} are not finite"),
    ],
)
def test_damaged_checkpoint(damaged: Path, tmp_path: Path, damage: Callable[[Path], object], problem: str):
    damage(damaged)
    with pytest.raises(CheckpointError, match=problem):
        hub.save(tmp_path / "out" / "biglog", checkpoint=damaged)
    assert not (tmp_path / "out").exists()


def test_no_checkpoint_at_all(tmp_path: Path, checkpoint: Path):
    with pytest.raises(CheckpointError, match="no embedded checkpoint is called 'biglog-giant'"):
        hub.save(tmp_path / "biglog", checkpoint="biglog-giant")
    with pytest.raises(CheckpointError, match="this file is no checkpoint"):
        hub.save(tmp_path / "biglog", checkpoint=checkpoint / "config.json")
