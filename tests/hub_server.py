"""A Hugging Face Hub on loopback, small enough to read, that the real `huggingface_hub` client talks to.

It keeps model, dataset and space repositories in memory, with real commits (see hub_repositories.py).

Two ports are open. The first is the Hub. The second plays the storage behind it: large files are sent to
it and redirected to it with signed addresses, on another origin, because the client treats another origin
differently (it reads the metadata from the redirect itself, and must not hand its token over).

Endpoints, and who needs them:

- GET /api/whoami-v2: is the token good, and whose is it (before a push)
- POST /api/repos/create, DELETE /api/repos/delete: create_repo, delete_repo
- POST /api/validate-yaml: every commit that touches README.md
- POST /api/{type}s/{id}/preupload/{rev}: which files go as git blobs, which as LFS, which are unchanged
- POST /{id}.git/info/lfs/objects/batch and /verify: where to PUT large files; did they arrive whole
- PUT and GET on the storage port: the large files themselves (GET with Range)
- POST /api/{type}s/{id}/commit/{rev}: the commit, as NDJSON: header, files, lfsFiles, deletions
- GET /api/{type}s/{id} and /revision/{rev}: repo_info and resolve_revision, the commit behind a revision
- GET .../tree/{rev}/{path}, POST .../paths-info/{rev}: listings, for chat templates, snapshots and datasets
- GET .../refs and .../commits/{rev}: branches and tags, history
- POST and DELETE .../branch/{name} and .../tag/{name}: branches and tags
- HEAD and GET /{id}/resolve/{rev}/{path}: downloads with ETag, X-Repo-Commit, X-Linked-* and Range

A one-segment id such as `biglog` can be made to answer with a redirect (307) to `<owner>/biglog`, as the
real Hub does for the models that had such ids before owners were required. Left out: Xet, pull requests,
multipart LFS, settings. What `HubServer.client_environment` returns must be set before `huggingface_hub` is
imported, that is in a new process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import threading
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import yaml
from hub_repositories import LFS_PATTERNS, PREFIXES, Entry, HubError, Repo, git_oid, lfs_pointer
from hub_wire import Answer, Call, Listener, Request, User, answer_json, ranged

LARGE_FILE_BYTES = 10 * 2**20
_REPO = r"(?P<id>(?:[^/]+/)?[^/]+?)"
_API = rf"/api/(?P<kind>models|datasets|spaces)/{_REPO}"
_PLAIN = rf"/(?:(?P<kind>datasets|spaces)/)?{_REPO}"
_REV = r"(?P<rev>[^/]+)"


class HubServer:
    """The Hub; a context manager that serves from entering to leaving.

    Args:
        users: Whose tokens are good.
        redirects: One-segment model ids and the id each stands for.
        page_entries: Entries on one page of a listing; a small number makes the client follow pages.

    Attributes:
        requests: Every request so far, in order of their answers.
        repos: Repositories by (kind, id).
    """

    def __init__(
        self, users: dict[str, User], redirects: dict[str, str] | None = None, page_entries: int = 1000
    ) -> None:
        self.users, self.redirects, self.page_entries = users, redirects or {}, page_entries
        self.requests: list[Request] = []
        self.repos: dict[tuple[str, str], Repo] = {}
        lock = threading.Lock()
        self._signature = secrets.token_hex(8)
        self._listeners = (
            Listener("hub", self.users, self.requests, lock, self._answer),
            Listener("storage", self.users, self.requests, lock, self._answer_storage),
        )

    @property
    def url(self) -> str:
        return self._listeners[0].url

    def __enter__(self) -> HubServer:
        for listener in self._listeners:
            threading.Thread(
                target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            ).start()
        return self

    def __exit__(self, *exception: object) -> None:
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()

    def client_environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Returns the environment of a client process: this Hub, its own cache, nothing of the caller's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
        ours = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        ours |= {
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
        }
        return kept | ours | ({"HF_TOKEN": token} if token else {})

    # The routes, the more particular first.
    _ROUTES: tuple[tuple[str, str, str], ...] = (
        ("GET", r"/api/whoami-v2", "_whoami"),
        ("POST", r"/api/validate-yaml", "_validate_yaml"),
        ("POST", r"/api/repos/create", "_create"),
        ("DELETE", r"/api/repos/delete", "_delete"),
        ("POST", rf"{_API}/preupload/{_REV}", "_preupload"),
        ("POST", rf"{_API}/commit/{_REV}", "_commit"),
        ("POST", rf"{_API}/paths-info/{_REV}", "_paths_info"),
        ("POST", rf"{_API}/(?P<refs>branch|tag)/{_REV}", "_add_ref"),
        ("DELETE", rf"{_API}/(?P<refs>branch|tag)/{_REV}", "_delete_ref"),
        ("GET", rf"{_API}/tree/{_REV}(?:/(?P<path>.*))?", "_tree"),
        ("GET", rf"{_API}/commits/{_REV}", "_commits"),
        ("GET", rf"{_API}/refs", "_refs"),
        ("GET", rf"{_API}/revision/{_REV}", "_info"),
        ("GET", _API, "_info"),
        ("POST", rf"{_PLAIN}\.git/info/lfs/objects/batch", "_lfs_batch"),
        ("POST", rf"{_PLAIN}\.git/info/lfs/objects/verify", "_lfs_verify"),
        ("GET", rf"{_PLAIN}/resolve/{_REV}/(?P<path>.+)", "_resolve"),
    )

    def _answer(self, call: Call) -> Answer:
        method = "GET" if call.method == "HEAD" else call.method
        for verb, pattern, handler in self._ROUTES:
            match = re.fullmatch(pattern, call.path) if verb == method else None
            if match is None:
                continue
            found = match.groupdict()
            if "id" not in found:
                return getattr(self, handler)(call)
            kind = (found["kind"] or "models").removesuffix("s")
            target = self.redirects.get(found["id"]) if kind == "model" else None
            if target is not None:
                query = (
                    "?" + "&".join(f"{k}={quote(v)}" for k, vs in call.query.items() for v in vs)
                    if call.query
                    else ""
                )
                location = call.path[: match.start("id")] + target + call.path[match.end("id") :] + query
                return Answer(307, b"", {"Location": location})
            repo = self._visible(
                call, kind, unquote(found["id"]), writing=method != "GET" and handler != "_paths_info"
            )
            named = {name: unquote(found[name] or "") for name in ("refs", "rev", "path") if name in found}
            return getattr(self, handler)(call, repo, **named)
        raise HubError(404, f"This loopback Hub has no {call.method} {call.path}")

    def _visible(self, call: Call, kind: str, repo_id: str, writing: bool) -> Repo:
        repo = self.repos.get((kind, repo_id))
        own = (
            call.user is not None and repo is not None and repo.namespace in (call.user.name, *call.user.orgs)
        )
        if repo is None or (repo.private and not own):
            # The real Hub does not tell strangers whether a repository exists.
            raise HubError(404 if call.user else 401, "Repository not found", "RepoNotFound")
        if writing and call.user is None:
            raise HubError(401, "Invalid username or password.")
        if writing and not (own and call.user and call.user.can_write):
            raise HubError(403, f"You don't have the required permissions to write to {repo_id}")
        return repo

    def _whoami(self, call: Call) -> Answer:
        if call.user is None:
            raise HubError(401, "Invalid username or password.")
        role = {"displayName": "test", "role": "write" if call.user.can_write else "read"}
        orgs = [{"type": "org", "name": name} for name in call.user.orgs]
        user = {"type": "user", "id": call.user.name, "name": call.user.name, "fullname": call.user.name}
        return answer_json({**user, "orgs": orgs, "auth": {"type": "access_token", "accessToken": role}})

    def _validate_yaml(self, call: Call) -> Answer:
        content = call.json()["content"]
        block = re.match(r"\s*---\r?\n(.*?)\r?\n---\s*(\n|$)", content, re.DOTALL)
        if block is None:
            return answer_json(
                {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
            )
        try:
            metadata = yaml.safe_load(block[1]) or {}
        except yaml.YAMLError as error:
            return answer_json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        texts = {
            k: v
            for k, v in metadata.items()
            if k in ("license", "library_name", "pipeline_tag", "base_model_relation")
        }
        errors = [
            {"message": f'"{name}" must be a string'}
            for name, value in texts.items()
            if not isinstance(value, str)
        ]
        if not isinstance(metadata.get("tags") or [], list):
            errors.append({"message": '"tags" must be an array'})
        return answer_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _create(self, call: Call) -> Answer:
        asked = call.json()
        if call.user is None:
            raise HubError(401, "Invalid username or password.")
        kind, owner = asked.get("type") or "model", asked.get("organization") or call.user.name
        if owner not in (call.user.name, *call.user.orgs) or not call.user.can_write:
            raise HubError(
                403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"'
            )
        repo_id = f"{owner}/{asked['name']}"
        answer = {"url": f"{self.url}/{PREFIXES[kind]}{repo_id}", "name": repo_id, "id": repo_id}
        if (kind, repo_id) in self.repos:
            return answer_json({"error": f"You already created this {kind} repo", **answer}, 409)
        if kind == "space" and asked.get("sdk") not in ("static", "gradio", "docker"):
            raise HubError(400, "A Space needs an sdk")
        private = asked.get("visibility") == "private"
        self.repos[kind, repo_id] = Repo(kind, repo_id, private, sdk=asked.get("sdk"))
        return answer_json(answer)

    def _delete(self, call: Call) -> Answer:
        asked = call.json()
        owner = asked.get("organization") or (call.user.name if call.user else "")
        kind = asked.get("type") or "model"
        repo = self._visible(call, kind, f"{owner}/{asked['name']}", writing=True)
        del self.repos[kind, repo.id]
        return Answer(200)

    def _preupload(self, call: Call, repo: Repo, rev: str) -> Answer:
        files = []
        commit = repo.resolve(rev)
        for asked in call.json()["files"]:
            path, name = asked["path"], asked["path"].rsplit("/", 1)[-1]
            binary = b"\0" in base64.b64decode(asked["sample"])
            large = binary or asked["size"] > LARGE_FILE_BYTES or any(fnmatch(name, p) for p in LFS_PATTERNS)
            now = commit.files.get(path)
            known = {} if now is None else {"oid": now.lfs or now.oid}
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
        return answer_json({"files": files, "commitOid": commit.oid})

    def _commit(self, call: Call, repo: Repo, rev: str) -> Answer:
        if call.flag("create_pr"):
            raise HubError(400, "This loopback Hub takes no pull requests")
        head = repo.branches.get(rev)
        if head is None:
            raise HubError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        operations = [json.loads(line) for line in call.body.splitlines() if line]
        header = operations[0]["value"]
        if header.get("parentCommit", head) != head:
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        added: dict[str, tuple[str, str | None]] = {}
        deleted: set[str] = set()
        for operation in operations[1:]:
            self._apply(repo, operation["key"], operation["value"], repo.commits[head].files, added, deleted)
        commit = repo.add_commit(rev, header["summary"], header.get("description", ""), added, deleted)
        url = f"{self.url}/{PREFIXES[repo.kind]}{repo.id}/commit/{commit.oid}"
        return answer_json({"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""})

    @staticmethod
    def _apply(
        repo: Repo,
        key: str,
        value: Any,
        files: dict[str, Entry],
        added: dict[str, tuple[str, str | None]],
        deleted: set[str],
    ) -> None:
        path = value["path"]
        if key == "file":
            content = (
                base64.b64decode(value["content"])
                if value.get("encoding") == "base64"
                else value["content"].encode()
            )
            repo.blobs[git_oid(content)] = content
            added[path] = (git_oid(content), None)
        elif key == "lfsFile":
            if value["oid"] not in repo.lfs:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
            pointer = lfs_pointer(value["oid"], len(repo.lfs[value["oid"]]))
            repo.blobs[git_oid(pointer)] = pointer
            added[path] = (git_oid(pointer), value["oid"])
        elif key in ("deletedFile", "deletedFolder"):
            gone = {
                p
                for p in files
                if p == path or (key == "deletedFolder" and p.startswith(path.rstrip("/") + "/"))
            }
            if not gone:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
            deleted |= gone
        else:
            raise HubError(400, f"Unknown operation {key}")

    def _file(self, repo: Repo, path: str, entry: Entry, expand: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
        if entry.lfs:
            found["lfs"] = {"oid": entry.lfs, "size": entry.size, "pointerSize": len(repo.blobs[entry.oid])}
        if expand:
            commit = repo.commits[entry.commit]
            found["lastCommit"] = {"id": commit.oid, "title": commit.title, "date": commit.date}
        return found

    @staticmethod
    def _folder(path: str, files: dict[str, Entry]) -> dict[str, Any]:
        listing = json.dumps(sorted((p, e.oid) for p, e in files.items() if p.startswith(path + "/")))
        return {
            "type": "directory",
            "oid": hashlib.sha1(listing.encode()).hexdigest(),
            "size": 0,
            "path": path,
        }

    def _tree(self, call: Call, repo: Repo, rev: str, path: str) -> Answer:
        commit = repo.resolve(rev)
        start = path.rstrip("/") + "/" if path else ""
        below = {p: e for p, e in commit.files.items() if p.startswith(start)}
        if start and not below:
            raise HubError(404, f"{path} does not exist on {rev!r}", "EntryNotFound", commit.oid)
        rows = {}
        for name, entry in below.items():
            parts = name[len(start) :].split("/")
            for depth in range(1, len(parts) if call.flag("recursive") else min(2, len(parts))):
                folder = start + "/".join(parts[:depth])
                rows[folder] = self._folder(folder, commit.files)
            if call.flag("recursive") or len(parts) == 1:
                rows[name] = self._file(repo, name, entry, call.flag("expand"))
        return self._page(call, [rows[name] for name in sorted(rows)])

    def _page(self, call: Call, rows: list[Any]) -> Answer:
        first = int(call.query.get("cursor", ["0"])[0])
        after = first + self.page_entries
        if after >= len(rows):
            return answer_json(rows[first:])
        kept = "".join(f"&{k}={quote(v)}" for k, vs in call.query.items() if k != "cursor" for v in vs)
        return answer_json(
            rows[first:after], Link=f'<{self.url}{call.path}?cursor={after}{kept}>; rel="next"'
        )

    def _paths_info(self, call: Call, repo: Repo, rev: str) -> Answer:
        is_json = "json" in call.headers.get("Content-Type", "")
        asked = call.json() if is_json else parse_qs(call.body.decode())
        paths, expand = asked.get("paths", []), str(asked.get("expand", ["false"])).lower()
        files = repo.resolve(rev).files
        rows = [self._file(repo, p, files[p], "true" in expand) for p in paths if p in files]
        rows += [self._folder(p, files) for p in paths if any(f.startswith(p + "/") for f in files)]
        return answer_json(rows)

    def _commits(self, call: Call, repo: Repo, rev: str) -> Answer:
        author = [{"user": repo.namespace}]
        rows = [
            {"id": c.oid, "title": c.title, "message": c.description, "date": c.date, "authors": author}
            for c in repo.history(rev)
        ]
        return self._page(call, rows)

    def _refs(self, call: Call, repo: Repo) -> Answer:
        def rows(folder: str, refs: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{folder}/{n}", "targetCommit": oid} for n, oid in refs.items()]

        found = {"branches": rows("heads", repo.branches), "tags": rows("tags", repo.tags), "converts": []}
        return answer_json({**found, "pullRequests": []})

    def _add_ref(self, call: Call, repo: Repo, refs: str, rev: str) -> Answer:
        asked = call.json() if call.body else {}
        # A tag's address names the commit, a branch's address names the branch.
        name, start = (rev, asked.get("startingPoint", "main")) if refs == "branch" else (asked["tag"], rev)
        target = repo.branches if refs == "branch" else repo.tags
        if re.search(r"[\s~^:?*\[\\]|\.\.|^[-/]|/$", name):
            raise HubError(400, f"Invalid reference name: {name}")
        if name in target:
            raise HubError(409, f"Reference already exists: {name}")
        target[name] = repo.resolve(start).oid
        return Answer(201)

    def _delete_ref(self, call: Call, repo: Repo, refs: str, rev: str) -> Answer:
        if (repo.branches if refs == "branch" else repo.tags).pop(rev, None) is None:
            raise HubError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return Answer(200)

    def _info(self, call: Call, repo: Repo, rev: str = "main") -> Answer:
        commit = repo.resolve(rev)
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in sorted(commit.files)]
        if call.flag("blobs"):
            for sibling in siblings:
                entry = commit.files[sibling["rfilename"]]
                sibling |= {"size": entry.size, "blobId": entry.oid}
                if entry.lfs:
                    size = len(repo.blobs[entry.oid])
                    sibling["lfs"] = {"sha256": entry.lfs, "size": entry.size, "pointerSize": size}
        dates = {"lastModified": commit.date, "createdAt": next(reversed(list(repo.history(rev)))).date}
        about = {"id": repo.id, "author": repo.namespace, "sha": commit.oid, "private": repo.private, **dates}
        counts = {"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
        return answer_json({**about, **counts, "siblings": siblings})

    def _storage_url(self, repo: Repo, oid: str) -> str:
        return f"{self._listeners[1].url}/{self._signature}/{repo.kind}/{repo.id}/{oid}"

    def _lfs_batch(self, call: Call, repo: Repo) -> Answer:
        objects = []
        for asked in call.json()["objects"]:
            found = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in repo.lfs:
                verify = f"{self.url}/{PREFIXES[repo.kind]}{repo.id}.git/info/lfs/objects/verify"
                upload = self._storage_url(repo, asked["oid"])
                found["actions"] = {"upload": {"href": upload}, "verify": {"href": verify}}
            objects.append(found)
        return answer_json({"transfer": "basic", "objects": objects})

    def _lfs_verify(self, call: Call, repo: Repo) -> Answer:
        asked = call.json()
        if len(repo.lfs.get(asked["oid"], b"")) != asked["size"]:
            raise HubError(404, f"Object {asked['oid']} has not arrived whole")
        return Answer(200)

    def _resolve(self, call: Call, repo: Repo, rev: str, path: str) -> Answer:
        commit, entry = repo.entry(rev, path)
        if entry.lfs is None:
            tag = {"ETag": f'"{entry.oid}"', "X-Repo-Commit": commit.oid}
            return ranged(call, repo.content(entry), tag)
        linked = {
            "X-Linked-ETag": f'"{entry.lfs}"',
            "X-Linked-Size": str(entry.size),
            "X-Repo-Commit": commit.oid,
        }
        return Answer(
            302, b"", {**linked, "ETag": f'"{entry.oid}"', "Location": self._storage_url(repo, entry.lfs)}
        )

    def _answer_storage(self, call: Call) -> Answer:
        signature, kind, owner, name, oid = call.path.strip("/").split("/")
        if signature != self._signature:
            raise HubError(403, "Bad signature")
        repo = self.repos[kind, f"{owner}/{name}"]
        if call.method == "PUT":
            if hashlib.sha256(call.body).hexdigest() != oid:
                raise HubError(400, "The content does not match its SHA-256")
            repo.lfs[oid] = call.body
            return Answer(200, b"", {"ETag": f'"{oid}"'})
        return ranged(call, repo.lfs[oid], {"ETag": f'"{oid}"'})
