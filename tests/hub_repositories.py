"""What the loopback Hub keeps: repositories of commits, addressed by content as git and LFS do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
# The head of what the Hub writes into a new repository; the patterns decide what goes to LFS.
LFS_PATTERNS = ("*.safetensors", "*.bin", "*.parquet", "*.arrow", "*.onnx", "*.gz", "*.zip", "*.pt", "*.npy")
GIT_ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS
).encode()


class HubError(Exception):
    """An answer the Hub gives in place of what was asked for."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.commit = status, message, code, commit


@dataclass(frozen=True)
class Entry:
    """One file of a commit: its git blob id, size, LFS SHA-256 if large, last commit."""

    oid: str
    size: int
    lfs: str | None
    commit: str


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    description: str
    date: str
    files: dict[str, Entry]


def git_oid(content: bytes) -> str:
    """Returns the id git gives a blob of that content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Returns the pointer file that git holds in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass
class Repo:
    """A repository: contents by id, commits by id, branches and tags by name."""

    kind: str
    id: str
    private: bool
    sdk: str | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blobs[git_oid(GIT_ATTRIBUTES)] = GIT_ATTRIBUTES
        self.add_commit(
            "main", "initial commit", "", {".gitattributes": (git_oid(GIT_ATTRIBUTES), None)}, set()
        )

    @property
    def namespace(self) -> str:
        return self.id.split("/")[0]

    def resolve(self, revision: str) -> Commit:
        """Returns the commit behind a branch, a tag or a (possibly shortened) commit id."""
        named = {**self.tags, **self.branches}.get(
            revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        )
        if named is not None:
            return self.commits[named]
        matches = [c for oid, c in self.commits.items() if len(revision) >= 7 and oid.startswith(revision)]
        if len(matches) != 1:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return matches[0]

    def entry(self, revision: str, path: str) -> tuple[Commit, Entry]:
        commit = self.resolve(revision)
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", commit.oid)
        return commit, commit.files[path]

    def content(self, entry: Entry) -> bytes:
        return self.lfs[entry.lfs] if entry.lfs else self.blobs[entry.oid]

    def history(self, revision: str) -> Iterator[Commit]:
        """Yields commits from the newest to the first."""
        oid: str | None = self.resolve(revision).oid
        while oid is not None:
            yield self.commits[oid]
            oid = self.commits[oid].parent

    def add_commit(
        self,
        branch: str,
        title: str,
        description: str,
        added: dict[str, tuple[str, str | None]],
        deleted: set[str],
    ) -> Commit:
        """Adds a commit to a branch; `added` maps paths to (git id, LFS SHA-256 or None)."""
        parent = self.branches.get(branch)
        files = dict(self.commits[parent].files) if parent else {}
        for path in deleted:
            del files[path]
        seed = json.dumps([self.kind, self.id, parent, title, sorted(added.items()), sorted(deleted)])
        oid = hashlib.sha1(seed.encode()).hexdigest()
        for path, (blob, lfs) in added.items():
            files[path] = Entry(blob, len(self.lfs[lfs] if lfs else self.blobs[blob]), lfs, oid)
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.commits[oid] = Commit(oid, parent, title, description, date, files)
        self.branches[branch] = oid
        return self.commits[oid]
