"""Publishing: what it is, what is checked, where it goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from biglog import hub
from biglog.dataset_repository import publish_datasets
from biglog.errors import InputError
from biglog.hub import PublishResult, Target, check_owner, send
from biglog.publishing.checks import check_no_places
from biglog.publishing.kinds import KINDS, recognised
from biglog.publishing.results import lay_out_as_dataset, lay_out_for_model
from biglog.publishing.saved import lay_out
from biglog.publishing.space import lay_out_space
from biglog.repository import OPTIONAL_FILES, REQUIRED_FILES, find_checkpoint


@dataclass(frozen=True)
class Options:
    """What else is said of what is published.

    Attributes:
        bert: Publish a model's sibling typed ``bert``.
        base: Id on the Hub of what an adapter, detector or predictor stands on.
        dataset: Repository on the Hub with the data that results were measured on.
        hide_paths: Keep only the last part of paths of this machine in JSON files.
        message: First line of the commit message.
        dry_run: Check everything, list the files, send nothing.
    """

    bert: bool = False
    base: str | None = None
    dataset: str | None = None
    hide_paths: bool = False
    message: str | None = None
    dry_run: bool = False


def publish(
    what: str | Path, target: Target, kind: str | None = None, options: Options | None = None
) -> PublishResult:
    """Publishes a model, adapter, detector, predictor, parser, built tables, results, or a leaderboard.

    Everything is laid out and checked before anything is sent.

    Args:
        what: A folder, a result file, or the name of an embedded checkpoint.
        target: Where to; its `repo_type` follows from what is published.
        kind: One of `biglog.publishing.kinds.KINDS`; None tells it from what the folder holds.
        options: What else is said.

    Returns:
        What was sent, or would be.

    Raises:
        InputError: It is nothing that can be published, a file is a pickle or names a path of this machine,
            what it stands on is unknown, a result is wrong, the id has no owner, or there is no token.
        CheckpointError: A file or the card is missing or damaged.
        OutputError: The Hub refuses or cannot be reached.
    """
    check_owner(target.repo_id)
    said = options or Options()
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind is {kind!r}, and none of {', '.join(KINDS)}")
    found = kind or recognised(what)
    _check_options(found, said, target)
    path = Path(what).expanduser()
    return replace(_WAYS.get(found, _saved)(path, target, said, found), kind=found)


def _check_options(kind: str, said: Options, target: Target) -> None:
    """Refuses what would have no effect."""
    for name, given, kinds in (
        ("--bert", said.bert, ("model",)),
        ("--base", said.base is not None, ("adapter", "detector", "predictor")),
        ("--dataset", said.dataset is not None, ("results",)),
        ("--hide-paths", said.hide_paths, ("adapter", "detector", "predictor", "parser")),
        ("--tag", target.tag is not None, tuple(one for one in KINDS if one != "dataset")),
        ("--message", said.message is not None, tuple(one for one in KINDS if one != "dataset")),
    ):
        if given and kind not in kinds:
            raise InputError(f"{name} is not for what is published here, a {kind}", remedy="Leave it out")


def _model(path: Path, target: Target, said: Options, kind: str) -> PublishResult:
    check_no_places(find_checkpoint(path), (*REQUIRED_FILES, *OPTIONAL_FILES))
    return hub.publish(
        path,
        target.repo_id,
        bert=said.bert,
        private=target.private,
        token=target.token,
        revision=target.revision,
        tag=target.tag,
        message=said.message,
        dry_run=said.dry_run,
    )


def _saved(path: Path, target: Target, said: Options, kind: str) -> PublishResult:
    with tempfile.TemporaryDirectory(prefix="biglog-publish-") as scratch:
        left = lay_out(kind, path, Path(scratch), said.base, hide_paths=said.hide_paths)
        title = said.message or f"Publish the {kind} {path.resolve().name}"
        return replace(
            send(Path(scratch), target, title, dry_run=said.dry_run), left_out=tuple(left), kind=kind
        )


def _dataset(path: Path, target: Target, said: Options, kind: str) -> PublishResult:
    return publish_datasets(
        path,
        target.repo_id,
        private=target.private,
        token=target.token,
        revision=target.revision,
        dry_run=said.dry_run,
    )


def _results(path: Path, target: Target, said: Options, kind: str) -> PublishResult:
    """A file goes beside its model, a folder becomes a dataset."""
    with tempfile.TemporaryDirectory(prefix="biglog-publish-") as scratch:
        folder = Path(scratch)
        if path.is_file():
            place = replace(target, repo_type="model", create=False)
            lay_out_for_model(path, folder, said.dataset, place.url)
        else:
            place = replace(target, repo_type="dataset")
            lay_out_as_dataset(path, folder)
        return send(folder, place, said.message or "Publish results", dry_run=said.dry_run)


def _space(path: Path, target: Target, said: Options, kind: str) -> PublishResult:
    with tempfile.TemporaryDirectory(prefix="biglog-publish-") as scratch:
        left = lay_out_space(path, Path(scratch))
        place = replace(target, repo_type="space")
        title = said.message or "Publish the leaderboard"
        sent = send(Path(scratch), place, title, dry_run=said.dry_run, gone=("results/*",))
        return replace(sent, left_out=tuple(left))


_Way = Callable[[Path, Target, Options, str], PublishResult]

_WAYS: Final[Mapping[str, _Way]] = {
    "model": _model,
    "dataset": _dataset,
    "results": _results,
    "space": _space,
}
