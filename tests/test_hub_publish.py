"""Publishing to a loopback Hub, and loading from it in processes that know nothing but that Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hub_checkpoints import LINES, make_checkpoint
from hub_server import HubServer
from hub_wire import User
from safetensors.torch import save_file
from transformers import AutoTokenizer

from biglog import hub
from biglog.errors import CheckpointError, InputError, OutputError
from modeling_biglog import BigLogForMaskedLM

USERS = {"hf_writer": User("acme"), "hf_reader": User("acme", can_write=False), "hf_other": User("other")}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def expected(checkpoint: Path) -> Path:
    """What the source checkpoint makes of `LINES`, in a file that other processes compare with."""
    torch.set_num_threads(1)
    model = BigLogForMaskedLM.from_pretrained(checkpoint).eval()
    batch = AutoTokenizer.from_pretrained(checkpoint)(list(LINES), padding=True, return_tensors="pt")
    with torch.no_grad():
        encoded = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"])
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    outputs = {"input_ids": batch["input_ids"], "states": encoded.last_hidden_state, "logits": logits}
    path = checkpoint.parent / "expected.safetensors"
    save_file({**outputs, "pooled": encoded.pooler_output}, path)
    return path


@pytest.fixture
def server():
    with HubServer(USERS, redirects={"biglog": "acme/biglog"}) as running:
        yield running


@pytest.fixture
def here(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """Points this process's own client to the Hub, as the variables would have before the import."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    return server


def run_elsewhere(code: str, env: dict[str, str], folder: Path) -> dict:
    """Runs code in a new process, in a folder outside the checkout; returns what it printed last, as JSON."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", COMPARE + code]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


COMPARE = """
import json, os, sys
import torch
from safetensors.torch import load_file
torch.set_num_threads(1)
LINES = json.loads(os.environ["LINES"])
got = {}

def compare(name, where, expected=None, pooler="masked mean", **options):
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
    expected = load_file(expected or os.environ["EXPECTED"])
    batch = AutoTokenizer.from_pretrained(where, **options)(LINES, padding=True, return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    model = AutoModel.from_pretrained(where, **options).eval()
    head = AutoModelForMaskedLM.from_pretrained(where, **options).eval()
    with torch.no_grad():
        encoded, logits = model(**inputs), head(**inputs).logits
    pooled = expected["pooled"] if pooler == "masked mean" else torch.tanh(expected["states"][:, 0])
    same = [torch.equal(batch["input_ids"], expected["input_ids"]),
            torch.equal(encoded.last_hidden_state, expected["states"]),
            torch.equal(encoded.pooler_output, pooled), torch.equal(logits, expected["logits"])]
    got[name] = [type(model).__name__, same]
"""
ALL_EQUAL = [True] * 4

WITH_PACKAGE = """
import biglog
assert "transformers" not in sys.modules
compare("id", "acme/biglog")
compare("redirect", "biglog")
compare("tag", "acme/biglog", revision="v1")
compare("branch", "acme/biglog", revision="bert", pooler="identity")
print(json.dumps(got))
"""

WITHOUT_PACKAGE = """
for name in ("biglog", "modeling_biglog"):
    try:
        __import__(name)
        got[name] = "imported"
    except ImportError as error:
        got[name] = str(error)
compare("bert", "acme/biglog-bert", pooler="identity")
compare("code", "acme/biglog", trust_remote_code=True)
import transformers
for auto in ("AutoConfig", "AutoModelForPreTraining", "AutoModelForSequenceClassification",
             "AutoModelForTokenClassification"):
    found = getattr(transformers, auto).from_pretrained("acme/biglog", trust_remote_code=True)
    got[auto] = type(found).__name__
got["modules"] = [m for m in sys.modules if m.split(".")[0] in ("biglog", "modeling_biglog")]
print(json.dumps(got))
"""

BLOCKER = """
import sys

class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("biglog", "modeling_biglog"):
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocker)
"""


def test_second_publish_sends_no_content(here: HubServer, checkpoint: Path):
    def sent() -> list[str]:
        return [r.path for r in here.requests if r.method == "PUT" or "/commit/" in r.path]

    first = hub.publish(checkpoint, "acme/biglog", tag="v1")
    before = sent()
    second = hub.publish(checkpoint, "acme/biglog", tag="v1")
    assert len(before) == 2  # the weights and the commit
    assert sent() == before
    assert (first.url, first.changed) == (f"{here.url}/acme/biglog", True)
    assert (second.changed, second.commit) == (False, first.commit)
    repo = here.repos["model", "acme/biglog"]
    assert [commit.title for commit in repo.history("main")] == ["Publish tiny", "initial commit"]
    assert repo.tags == {"v1": first.commit}
    sizes = {path: entry.size for path, entry in repo.resolve("v1").files.items() if path != ".gitattributes"}
    assert sizes == {file.path: file.size for file in first.files}


def test_published_checkpoints_load_everywhere_with_equal_outputs(
    here: HubServer, checkpoint: Path, expected: Path, tmp_path: Path
):
    hub.publish(checkpoint, "acme/biglog", tag="v1")
    hub.publish(checkpoint, "acme/biglog-bert", bert=True)
    hub.publish(checkpoint, "acme/biglog", bert=True, revision="bert", message="Try it")
    assert next(here.repos["model", "acme/biglog"].history("bert")).title == "Try it"
    names = here.repos["model", "acme/biglog-bert"].resolve("main").files
    assert not [name for name in names if name.endswith(".py")]

    # Reading needs no token: the repositories are public.
    env = here.client_environment(tmp_path / "home") | {"EXPECTED": str(expected), "LINES": json.dumps(LINES)}
    assert run_elsewhere(WITH_PACKAGE, env, tmp_path / "with package") == {
        "id": ["BigLogModel", ALL_EQUAL],
        "redirect": ["BigLogModel", ALL_EQUAL],
        "tag": ["BigLogModel", ALL_EQUAL],
        "branch": ["BertModel", ALL_EQUAL],
    }

    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKER)
    env |= {"PYTHONPATH": str(tmp_path / "blocked"), "HF_HOME": str(tmp_path / "other home")}
    assert run_elsewhere(WITHOUT_PACKAGE, env, tmp_path / "without package") == {
        "biglog": "biglog is not installed here",
        "modeling_biglog": "modeling_biglog is not installed here",
        "bert": ["BertModel", ALL_EQUAL],
        "code": ["BigLogModel", ALL_EQUAL],
        "AutoConfig": "BigLogConfig",
        "AutoModelForPreTraining": "BigLogForPreTraining",
        "AutoModelForSequenceClassification": "BigLogForSequenceClassification",
        "AutoModelForTokenClassification": "BigLogForTokenClassification",
        "modules": [],
    }


def test_dry_run_lists_the_files_and_sends_nothing(here: HubServer, checkpoint: Path):
    result = hub.publish(checkpoint, "acme/biglog", tag="v1", dry_run=True)
    assert here.requests == []
    assert (result.commit, result.changed, result.dry_run) == (None, False, True)
    sizes = {file.path: file.size for file in result.files}
    assert sizes["model.safetensors"] == (checkpoint / "model.safetensors").stat().st_size
    assert sizes["README.md"] == (checkpoint / "README.md").stat().st_size
    published = hub.publish(checkpoint, "acme/biglog", tag="v1")
    assert asdict(published)["files"] == asdict(result)["files"]


@pytest.mark.parametrize(
    ("repo_id", "problem"),
    [("biglog", "has no owner.*<owner>/biglog"), ("acme/big log", "not an id"), ("a/b/c", "not an id")],
)
def test_id_that_cannot_be_created(here: HubServer, checkpoint: Path, repo_id: str, problem: str):
    with pytest.raises(InputError, match=problem):
        hub.publish(checkpoint, repo_id)
    assert here.requests == []


@pytest.mark.parametrize(
    ("token", "repo_id", "problem"),
    [
        ("hf_wrong", "acme/biglog", "does not accept the token.*hf auth login"),
        ("hf_reader", "acme/biglog", "may not write to acme/biglog.*write permission"),
        ("hf_other", "acme/biglog", "may not write to acme/biglog.*member of 'acme'"),
    ],
)
def test_token_that_may_not(here: HubServer, checkpoint: Path, token: str, repo_id: str, problem: str):
    with pytest.raises(OutputError, match=problem):
        hub.publish(checkpoint, repo_id, token=token)
    assert here.repos == {}


def test_no_token(here: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match=r"needs a token.*HF_TOKEN"):
        hub.publish(checkpoint, "acme/biglog")


def test_private_repository_is_hidden_from_others(here: HubServer, checkpoint: Path):
    hub.publish(checkpoint, "acme/secret", private=True)
    api = huggingface_hub.HfApi()
    assert api.repo_info("acme/secret", token="hf_writer").private
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError):
        api.repo_info("acme/secret", token="hf_other")


def test_tag_stays_where_it_is(here: HubServer, checkpoint: Path, tmp_path: Path):
    first = hub.publish(checkpoint, "acme/biglog", tag="v1")
    with pytest.raises(OutputError, match=rf"'v1' is on {first.commit}.*another tag"):
        hub.publish(make_checkpoint(tmp_path / "next", seed=1), "acme/biglog", tag="v1")
    assert here.repos["model", "acme/biglog"].tags == {"v1": first.commit}


def test_unreachable_hub_is_asked_once(checkpoint: Path, here: HubServer, monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)  # the client's retries would sleep
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OutputError, match=r"127\.0\.0\.1:9 cannot be reached.*HF_ENDPOINT"):
        hub.publish(checkpoint, "acme/biglog")
    assert waits == []


def test_offline(checkpoint: Path, here: HubServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutputError, match=r"offline.*Unset HF_HUB_OFFLINE"):
        hub.publish(checkpoint, "acme/biglog")


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        (None, r"README\.md: the checkpoint has no card"),
        ("# No metadata\n", r"README\.md:1: the card does not begin with a metadata block"),
        ("---\nlicense: mit\ntags: [a\n---\n", r"README\.md:3: the card's metadata is not YAML"),
        ("---\n- license\n---\n", r"README\.md: the card's metadata is wrong"),
        ("---\nmodel-index: [{results: 3}]\n---\n", r"README\.md: the card's metadata is wrong"),
    ],
)
def test_card_that_a_hub_would_refuse(here: HubServer, tmp_path: Path, card: str | None, problem: str):
    source = make_checkpoint(tmp_path / "source")
    (source / "README.md").unlink()
    if card is not None:
        (source / "README.md").write_text(card)
    with pytest.raises(CheckpointError, match=problem):
        hub.publish(source, "acme/biglog")
    assert here.requests == []


def test_card_that_only_the_hub_refuses(here: HubServer, tmp_path: Path):
    source = make_checkpoint(tmp_path / "source")
    (source / "README.md").write_text("---\nlicense: [1, 2]\n---\n# Card\n")
    with pytest.raises(OutputError, match=r'refuses the card.*"license" must be a string'):
        hub.publish(source, "acme/biglog")


def test_card_in_another_encoding(here: HubServer, tmp_path: Path):
    source = make_checkpoint(tmp_path / "source")
    (source / "README.md").write_bytes("---\nlicense: mit\n---\n# Größe\n".encode("utf-16"))
    with pytest.raises(CheckpointError, match=r"README\.md: the card cannot be read"):
        hub.publish(source, "acme/biglog")


def test_commit_without_its_tag_says_so(here: HubServer, checkpoint: Path):
    with pytest.raises(OutputError, match=r"acme/biglog is published as commit [0-9a-f]{40}, but not tagged"):
        hub.publish(checkpoint, "acme/biglog", tag="no tag/at all")
    assert "model.safetensors" in here.repos["model", "acme/biglog"].resolve("main").files


def test_endpoint_that_is_no_hub(here: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    for endpoint in (f"{here.url}/not/here", "http//broken", "http://[broken"):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        with pytest.raises(OutputError, match="acme/biglog is not published"):
            hub.publish(checkpoint, "acme/biglog")
    assert here.repos == {}
