"""The loopback Hub, spoken to by the real client: what it answers is what the client expects of the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from hub_wire import User

USERS = {"hf_writer": User("acme", orgs=("logs",)), "hf_reader": User("acme", can_write=False)}


@pytest.fixture
def hub():
    with HubServer(USERS, redirects={"biglog": "acme/biglog"}, page_entries=2) as server:
        yield server


def run_client(hub: HubServer, tmp_path: Path, code: str, token: str | None = "hf_writer") -> dict:
    """Runs code in a new process that knows only this Hub; returns what it printed last, as JSON."""
    folder = tmp_path / "elsewhere"
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=hub.client_environment(tmp_path / "home", token),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


HISTORY = """
import json
from functools import partial
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
api = HfApi()
kind = "KIND"
url = api.create_repo("logs/parts", repo_type=kind, exist_ok=True)
api.create_repo("logs/parts", repo_type=kind, exist_ok=True)
folder = Path("folder")
(folder / "deep" / "er").mkdir(parents=True)
(folder / "README.md").write_text("---\\nlicense: apache-2.0\\n---\\n# Parts\\n")
(folder / "deep" / "a.txt").write_text("a")
(folder / "deep" / "er" / "b.txt").write_text("b")
(folder / "big.safetensors").write_bytes(bytes(range(256)) * 500)
upload = partial(api.upload_folder, repo_id="logs/parts", repo_type=kind, folder_path=folder)
first = upload(commit_message="first").oid
api.create_tag("logs/parts", tag="v1", repo_type=kind)
api.create_branch("logs/parts", branch="side", repo_type=kind)
(folder / "deep" / "a.txt").write_text("changed")
(folder / "deep" / "er" / "b.txt").unlink()
second = upload(commit_message="second", delete_patterns="deep/er/*").oid
again = upload(commit_message="third").oid
api.delete_file("deep/a.txt", "logs/parts", repo_type=kind, revision="side")
refs = api.list_repo_refs("logs/parts", repo_type=kind)
snapshot = Path(snapshot_download("logs/parts", repo_type=kind, revision="v1"))
with open(hf_hub_download("logs/parts", "big.safetensors", repo_type=kind), "rb") as file:
    big = file.read()
info = api.get_paths_info("logs/parts", ["big.safetensors", "deep"], repo_type=kind, expand=True)
print(json.dumps({
    "url": str(url),
    "commits": [first, second, again],
    "titles": [c.title for c in api.list_repo_commits("logs/parts", repo_type=kind)],
    "files": sorted(api.list_repo_files("logs/parts", repo_type=kind)),
    "side": sorted(api.list_repo_files("logs/parts", repo_type=kind, revision="side")),
    "tags": {t.name: t.target_commit for t in refs.tags},
    "branches": sorted(b.name for b in refs.branches),
    "snapshot": [(snapshot / "deep" / name).read_text() for name in ("a.txt", "er/b.txt")],
    "big": big == (folder / "big.safetensors").read_bytes(),
    "size": api.repo_info("logs/parts", repo_type=kind, files_metadata=True).siblings[2].size,
    "last": [i.last_commit.title for i in info if i.path == "big.safetensors"],
    "folders": [i.path for i in info if i.path == "deep"],
}))
"""


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_real_client_sees_history_refs_and_content(hub: HubServer, tmp_path: Path, kind: str):
    seen = run_client(hub, tmp_path, HISTORY.replace("KIND", kind))
    first, second, again = seen["commits"]
    assert seen["url"].endswith("/logs/parts")
    assert again == second != first
    assert seen["titles"] == ["second", "first", "initial commit"]
    assert seen["files"] == [".gitattributes", "README.md", "big.safetensors", "deep/a.txt"]
    assert seen["side"] == [".gitattributes", "README.md", "big.safetensors", "deep/er/b.txt"]
    assert seen["tags"] == {"v1": first}
    assert seen["branches"] == ["main", "side"]
    assert seen["snapshot"] == ["a", "b"]
    assert seen["big"]
    assert seen["size"] == 128_000
    assert seen["last"] == ["first"]
    assert seen["folders"] == ["deep"]
    stored = [r for r in hub.requests if r.port == "storage"]
    assert [r.method for r in stored] == ["PUT", "GET"]  # one upload for three commits, one download for two
    assert not any(r.authorized for r in stored)  # tokens stay with the Hub
    assert any("cursor=2" in r.path for r in hub.requests)  # the client turned a page


ERRORS = """
import json, httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError
api, got = HfApi(), {}
api.create_repo("acme/biglog", private=True)
api.upload_file(path_or_fileobj=b"0123456789", path_in_repo="digits.bin", repo_id="acme/biglog")
def upload(name, **more):
    api.upload_file(path_or_fileobj=b"x", path_in_repo=name, repo_id="acme/biglog", **more)
def status(name, call):
    try:
        call()
        got[name] = None
    except HfHubHTTPError as error:
        got[name] = [error.response.status_code, type(error).__name__]
def digits(token):
    url = constants.ENDPOINT + "/biglog/resolve/main/digits.bin"
    headers = {"Authorization": "Bearer " + token, "Range": "bytes=2-4"}
    return httpx2.get(url, headers=headers, follow_redirects=True)
status("twice", lambda: api.create_repo("acme/biglog"))
status("foreign", lambda: api.create_repo("others/biglog"))
status("reader", lambda: upload("x", token="hf_reader"))
status("wrong token", lambda: api.whoami(token="hf_wrong"))
status("stranger", lambda: api.repo_info("acme/biglog", token=False))
status("no revision", lambda: api.repo_info("acme/biglog", revision="v9"))
status("no file", lambda: api.hf_hub_download("acme/biglog", "none.txt"))
status("stale parent", lambda: upload("y", parent_commit="0" * 40))
got["redirect"] = api.repo_info("biglog").id
part = digits("hf_writer")
got["range"] = [part.status_code, part.text, part.headers["Content-Range"]]
print(json.dumps(got))
"""


def test_real_client_sees_the_errors_of_the_hub(hub: HubServer, tmp_path: Path):
    got = run_client(hub, tmp_path, ERRORS)
    assert got == {
        "twice": [409, "HfHubHTTPError"],
        "foreign": [403, "HfHubHTTPError"],
        "reader": [403, "HfHubHTTPError"],
        "wrong token": [401, "HfHubHTTPError"],
        "stranger": [401, "RepositoryNotFoundError"],
        "no revision": [404, "RevisionNotFoundError"],
        "no file": [404, "RemoteEntryNotFoundError"],
        "stale parent": [412, "HfHubHTTPError"],
        "redirect": "acme/biglog",
        "range": [206, "234", "bytes 2-4/10"],
    }
