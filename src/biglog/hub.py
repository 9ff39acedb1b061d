"""Checkpoints of ours saved as a Hub has them, and published to a Hub."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.errors import BigLogError, CheckpointError, InputError, OutputError
from biglog.repository import (
    CARD,
    assemble,
    check_repo_id,
    find_checkpoint,
    repository_files,
    save_to_cache,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = [
    "PublishResult",
    "RepoFile",
    "Target",
    "assemble",
    "check_card",
    "check_owner",
    "connect",
    "hub_errors",
    "publish",
    "save",
    "save_to_cache",
    "send",
    "upload",
]

_PREFLIGHT_SECONDS = 10.0


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class PublishResult:
    """What `publish` sent, or would send.

    Attributes:
        repo_id: The repository, ``<owner>/<name>``.
        url: Its page on the Hub.
        files: Every file of the repository as published, by path.
        revision: The branch that was written.
        commit: Id of the commit that holds these files; None for a dry run.
        changed: Whether that commit is new; not so where the Hub held the same files, nor in a dry run.
        tag: The tag that points to the commit, if one was asked for.
        dry_run: Whether nothing was sent.
        kind: What was published, one of `biglog.publishing.kinds.KINDS`.
        left_out: Files that were there and are not sent.
    """

    repo_id: str
    url: str
    files: tuple[RepoFile, ...]
    revision: str
    commit: str | None
    changed: bool
    tag: str | None
    dry_run: bool
    kind: str = "model"
    left_out: tuple[str, ...] = ()


def save(
    target: str | Path,
    *,
    checkpoint: str | Path = DEFAULT_CHECKPOINT,
    bert: bool = False,
    force: bool = False,
) -> Path:
    """Writes a checkpoint to a folder, so that `AutoModel.from_pretrained(target)` works beside it.

    Args:
        target: The folder; ``biglog`` makes `from_pretrained("biglog")` work literally.
        checkpoint: A folder, or the name of an embedded checkpoint.
        bert: Write the sibling typed ``bert`` (see `assemble`).
        force: Write into `target` whatever it holds; files of other names stay.

    Returns:
        The folder written, as an absolute path.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or of another kind.
        OutputError: `target` is in use, or cannot be written.
    """
    return assemble(checkpoint, target, bert=bert, force=force)


def publish(
    checkpoint: str | Path,
    repo_id: str,
    *,
    bert: bool = False,
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    tag: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> PublishResult:
    """Publishes a checkpoint to a Hub: weights, tokenizer, card and code, in one commit.

    The checkpoint and the card are checked before anything is sent. The Hub is the one of HF_ENDPOINT.

    Args:
        checkpoint: A folder, or the name of an embedded checkpoint. It must have a card, README.md.
        repo_id: ``<owner>/<name>``; created if it does not exist.
        bert: Publish the sibling typed ``bert`` (see `assemble`).
        private: Create the repository as a private one (an existing one keeps its visibility).
        token: A token that may write; by default HF_TOKEN or the one `hf auth login` keeps.
        revision: The branch to write, made from main if it does not exist; by default main.
        tag: A tag to put on the commit.
        message: First line of the commit message.
        dry_run: Lay out and check everything, list the files, send nothing.

    Returns:
        What was sent, or would be.

    Raises:
        InputError: The id has no owner or is not valid, or there is no token.
        CheckpointError: The checkpoint or its card is missing, damaged or of another kind.
        OutputError: The Hub refuses or cannot be reached, or the tag exists on another commit.
    """
    check_owner(repo_id)
    source = find_checkpoint(checkpoint)
    check_card(source / CARD)
    with tempfile.TemporaryDirectory(prefix="biglog-publish-") as scratch:
        folder = assemble(source, Path(scratch) / "repo", bert=bert)
        title = message or f"Publish {source.name}" + (" as BERT" if bert else "")
        target = Target(repo_id, private=private, token=token, revision=revision, tag=tag)
        return send(folder, target, title, dry_run=dry_run)


@dataclass(frozen=True)
class Target:
    """Where something is published.

    Attributes:
        repo_id: ``<owner>/<name>``; created if it does not exist.
        repo_type: ``model``, ``dataset`` or ``space``.
        private: Create it as a private one (an existing one keeps its visibility).
        token: A token that may write; by default HF_TOKEN or the one `hf auth login` keeps.
        revision: The branch to write, made from main if it does not exist; by default main.
        tag: A tag to put on the commit.
        create: Whether it is created; else it must be there.
    """

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    token: str | None = None
    revision: str | None = None
    tag: str | None = None
    create: bool = True

    @property
    def url(self) -> str:
        """Its page on the Hub."""
        from huggingface_hub import constants

        prefix = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{constants.ENDPOINT}/{prefix}{self.repo_id}"


def send(
    folder: Path, target: Target, title: str, *, dry_run: bool = False, gone: Sequence[str] = ()
) -> PublishResult:
    """Sends a folder that is laid out as a repository, in one commit.

    Args:
        folder: What is sent.
        target: Where to.
        title: First line of the commit message.
        dry_run: List the files, send nothing.
        gone: Patterns of files of the repository that go where `folder` has them no more.

    Returns:
        What was sent, or would be.

    Raises:
        InputError: There is no token, or no repository where none is to be created.
        OutputError: The Hub refuses or cannot be reached, or the tag exists on another commit.
    """
    files = tuple(RepoFile(name, (folder / name).stat().st_size) for name in repository_files(folder))
    commit, changed, repo_id = None, False, target.repo_id
    if not dry_run:
        with hub_errors(repo_id, f"{repo_id} is not published"):
            api = connect(target.token)
            _prepare(api, target)
            old = _gone(api, target, gone, files)
            commit, changed = upload(
                api, repo_id, folder, target.revision, title, repo_type=target.repo_type, gone=old
            )
        if target.tag is not None:
            with hub_errors(repo_id, f"{repo_id} is published as commit {commit}, but not tagged"):
                _tag(api, target, commit)
    revision = target.revision or "main"
    return PublishResult(repo_id, target.url, files, revision, commit, changed, target.tag, dry_run)


def _prepare(api: HfApi, target: Target) -> None:
    """Creates a repository, or checks that it is there."""
    kind = target.repo_type
    if target.create:
        sdk = "static" if kind == "space" else None
        private = target.private or None
        api.create_repo(target.repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
    elif not api.repo_exists(target.repo_id, repo_type=kind):
        raise InputError(
            f"there is no {kind} {target.repo_id} that these could be added to",
            remedy=f"Publish the {kind} first",
        )


def _gone(api: HfApi, target: Target, patterns: Sequence[str], files: Sequence[RepoFile]) -> list[str]:
    """Files of a repository that fit a pattern and are not sent anew."""
    if not patterns:
        return []
    held = api.list_repo_files(target.repo_id, repo_type=target.repo_type)
    ours = {file.path for file in files}
    return [name for name in held if name not in ours and any(fnmatch(name, one) for one in patterns)]


def check_owner(repo_id: str) -> None:
    """Checks that a Hub can create a repository of that id.

    Args:
        repo_id: ``<owner>/<name>``.

    Raises:
        InputError: It is no id, or has no owner.
    """
    check_repo_id(repo_id)
    if "/" not in repo_id:
        raise InputError(
            f"{repo_id!r} has no owner, and a Hub creates no repository without one",
            remedy=f"Publish to <owner>/{repo_id}, where <owner> is your user or organisation name",
        )


def check_card(path: Path, what: str = "checkpoint") -> None:
    """Checks a model card as `huggingface_hub` does: a YAML mapping, with evaluation results it can read.

    Args:
        path: The card, README.md.
        what: What it is the card of, for messages.

    Raises:
        CheckpointError: The card is missing, or its metadata is.
    """
    import yaml
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    if not path.is_file():
        raise CheckpointError(f"the {what} has no card", where=path, remedy="Write its card, then publish it")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"the card cannot be read ({error})", where=path) from error
    problem, line = None, None
    if REGEX_YAML_BLOCK.search(text) is None:
        problem, line = "the card does not begin with a metadata block (--- ... ---)", 1
    else:
        try:
            ModelCard(text)
        except yaml.MarkedYAMLError as error:
            # The block's first line is the second of the file.
            problem = f"the card's metadata is not YAML: {error.problem}"
            line = error.problem_mark.line + 2 if error.problem_mark else None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            problem = f"the card's metadata is wrong: {error}"
    if problem is not None:
        raise CheckpointError(problem, where=path, line=line, remedy="Correct the card, then publish it")


def connect(token: str | None) -> HfApi:
    """Returns a client whose token the Hub has accepted, asked once: its own calls retry for long.

    Args:
        token: A token that may write; by default HF_TOKEN or the one `hf auth login` keeps.

    Raises:
        InputError: There is no token. What the client raises is for `hub_errors`.
    """
    from huggingface_hub import HfApi, get_session, get_token, hf_raise_for_status

    token = token or get_token()
    if token is None:
        raise InputError(
            "publishing needs a token of the Hub, and there is none",
            remedy="Log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        )
    api = HfApi(token=token, library_name="biglog")
    url = f"{api.endpoint}/api/whoami-v2"
    headers = {"authorization": f"Bearer {token}"}
    hf_raise_for_status(get_session().get(url, headers=headers, timeout=_PREFLIGHT_SECONDS))
    return api


def upload(
    api: HfApi,
    repo_id: str,
    folder: Path,
    revision: str | None,
    title: str,
    *,
    repo_type: str = "model",
    gone: Sequence[str] = (),
) -> tuple[str, bool]:
    """Uploads a folder into a repository that exists; nothing is committed where nothing has changed.

    Args:
        api: The client.
        repo_id: ``<owner>/<name>``.
        folder: What to upload, laid out as the repository is.
        revision: The branch to write, made from main if it does not exist; by default main.
        title: First line of the commit message.
        repo_type: ``model`` or ``dataset``.
        gone: Files of the repository to delete in the same go.

    Returns:
        The commit that holds the folder, and whether that commit is new.
    """
    if revision is not None and revision != "main":
        api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
    before = api.repo_info(repo_id, repo_type=repo_type, revision=revision).sha
    info = api.upload_folder(
        repo_id=repo_id,
        repo_type=repo_type,
        folder_path=folder,
        revision=revision,
        commit_message=title,
        delete_patterns=list(gone) or None,
    )
    return info.oid, info.oid != before


def _tag(api: HfApi, target: Target, commit: str) -> None:
    """Puts a tag on a commit, unless it is there already."""
    repo_id, kind, tag = target.repo_id, target.repo_type, target.tag or ""
    known = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=kind).tags}
    if tag not in known:
        api.create_tag(repo_id, tag=tag, revision=commit, repo_type=kind)
    elif known[tag] != commit:
        raise OutputError(
            f"{repo_id} was published as commit {commit}, but its tag {tag!r} is on {known[tag]}",
            remedy="Publish again with another tag",
        )


@contextmanager
def hub_errors(repo_id: str, outcome: str) -> Iterator[None]:
    """Turns what the client raises into an error that says what was done, and a remedy.

    Args:
        repo_id: The repository that is read or written.
        outcome: What has, or has not, happened to it if the client fails.

    Raises:
        OutputError: The Hub refuses or cannot be reached.
    """
    try:
        yield
    except BigLogError:
        raise
    except Exception as error:
        # The client wraps what happens to a large file in a RuntimeError.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        found = _diagnosis(cause, repo_id)
        if found is None:
            raise
        raise OutputError(f"{found[0]}; {outcome}", remedy=found[1]) from error


def _diagnosis(cause: BaseException, repo_id: str) -> tuple[str, str] | None:
    """Returns what went wrong between the client and the Hub and what to do, or None for an error of ours."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    hub, answer = constants.ENDPOINT, " ".join(str(cause).split())
    if isinstance(cause, OfflineModeIsEnabled):
        return "the Hub client is set to work offline", "Unset HF_HUB_OFFLINE to publish"
    if isinstance(cause, HfHubHTTPError):
        return _refusal(cause.response.status_code, answer, hub, repo_id)
    if isinstance(cause, json.JSONDecodeError):
        return f"{hub} does not answer as a Hub does", "Check HF_ENDPOINT"
    if isinstance(cause, (httpx.HTTPError, httpx.InvalidURL, OSError)):
        return f"{hub} cannot be reached ({answer})", "Check the network and HF_ENDPOINT, then publish again"
    if isinstance(cause, ValueError) and CARD in answer:
        return f"the Hub refuses the card ({answer})", "Correct README.md"
    return None


def _refusal(status: int, answer: str, hub: str, repo_id: str) -> tuple[str, str]:
    """Returns what a status of the Hub means for a push, and what to do."""
    if status == 401:
        return (
            f"{hub} does not accept the token",
            "Log in with `hf auth login`, or set HF_TOKEN to a valid token",
        )
    if status == 403:
        owner = repo_id.split("/")[0]
        return (
            f"the token may not write to {repo_id} at {hub}",
            f"Use a token with write permission of a member of {owner!r}, or publish under your own name",
        )
    if status in (429, 500, 502, 503, 504):
        return f"{hub} is busy or down (status {status})", "Publish again later"
    return f"{hub} answers with status {status} ({answer})", "Check the id, the revision and the tag"
