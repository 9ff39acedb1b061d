"""Where a checkpoint is (embedded, folder, cache, Hub), and what stands behind an error of fetching it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from biglog.checkpoints import DEFAULT_CHECKPOINT, checkpoint_path
from biglog.errors import CheckpointError


def resolve(name_or_path: str | Path | None) -> tuple[str, str]:
    """Finds a checkpoint; a folder comes before an embedded one.

    Args:
        name_or_path: A folder, a Hub id, or the name of an embedded checkpoint; None is the embedded default.

    Returns:
        What `from_pretrained` takes, and the name for reports.

    Raises:
        CheckpointError: It is a file, a folder without a checkpoint, or a path that is not there.
    """
    if name_or_path is None:
        return str(checkpoint_path()), DEFAULT_CHECKPOINT
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise CheckpointError(
                "this folder holds no config.json", where=path, remedy="Give a checkpoint's folder"
            )
        return str(path), str(name_or_path)
    if path.is_file():
        raise CheckpointError("this is a file", where=path, remedy="Give the checkpoint's folder")
    if str(name_or_path) == DEFAULT_CHECKPOINT:
        return str(checkpoint_path()), DEFAULT_CHECKPOINT
    if path.is_absolute() or str(name_or_path).count("/") > 1 or str(name_or_path).startswith("."):
        raise CheckpointError("no such folder", where=path, remedy="Give a checkpoint's folder or a Hub id")
    return str(name_or_path), str(name_or_path)


def fetch_files(
    repo_id: str,
    names: Sequence[str],
    revision: str | None,
    *,
    missing: str,
    remedy: str,
    optional: Sequence[str] = (),
) -> Path:
    """Fetches single files of a Hub repository into the cache.

    Args:
        repo_id: The repository.
        names: The files.
        revision: Branch, tag or commit.
        missing: What it means that one of them is not there.
        remedy: What to do then.
        optional: Files that need not be there.

    Returns:
        The folder of the cache that holds them.

    Raises:
        CheckpointError: One is missing, or the Hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    paths = []
    for name in (*names, *optional):
        try:
            paths.append(Path(hf_hub_download(repo_id, name, revision=revision)))
        except Exception as error:  # the client raises its own for each thing that can go wrong
            if not isinstance(error, EntryNotFoundError) or isinstance(error, LocalEntryNotFoundError):
                raise diagnosis(error, repo_id) from error
            if name in names:
                raise CheckpointError(missing, where=repo_id, remedy=remedy) from error
    return paths[0].parent


def diagnosis(error: Exception, name: str) -> CheckpointError:
    """Finds out what lies behind an error: the library wraps what the Hub's client says."""
    causes: list[BaseException] = [error]
    while (behind := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(behind)
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        remedy = "Check the id; a private repository needs `hf auth login`"
        return CheckpointError("no such model on the Hub", where=name, remedy=remedy)
    unreachable = LocalEntryNotFoundError | HfHubHTTPError | OfflineModeIsEnabled
    if any(isinstance(cause, unreachable) for cause in causes):
        remedy = "Check the connection, give a folder, or leave the model out to use the embedded checkpoint"
        return CheckpointError("not in the cache, and the Hub cannot be reached", where=name, remedy=remedy)
    text = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    remedy = "Fetch or save it again"
    return CheckpointError(f"the checkpoint cannot be loaded: {text}", where=name, remedy=remedy)
