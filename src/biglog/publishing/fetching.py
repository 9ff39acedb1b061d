"""Results of other people's models, read from the Hub."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import yaml

from biglog.errors import InputError
from biglog.evaluation.leaderboard import Entry, read_entry
from biglog.evaluation.leaderboard.eval_results import FOLDER, from_entries
from biglog.hub import hub_errors
from biglog.publishing.results import RESULTS
from biglog.repository import check_repo_id

_DATASETS: Final = "datasets/"


def fetch_entries(repo_id: str, revision: str | None = None) -> list[Entry]:
    """Reads results from a repository.

    Args:
        repo_id: A model's id, whose `.eval_results/*.yaml` are read; or `datasets/<owner>/<name>`, whose
            `results/*.json` are.
        revision: Branch, tag or commit.

    Returns:
        Entries, one for a model repository, as many as there are files for a dataset.

    Raises:
        InputError: There is no such repository, it has no results of ours, or a field of one is wrong.
        OutputError: The Hub cannot be reached.
    """
    name = repo_id.removeprefix(_DATASETS)
    check_repo_id(name)
    kind = "model" if name == repo_id else "dataset"
    pattern = f"{FOLDER}/*.yaml" if kind == "model" else f"{RESULTS}/*.json"
    files = _fetched(name, kind, pattern, revision)
    if not files:
        raise InputError(f"the {kind} {name} holds no {pattern}", remedy="Name another repository")
    base = _page(name, kind, revision)
    if kind == "dataset":
        return [Entry(read_entry(path).results, url=f"{base}/{file}") for file, path in files.items()]
    told = [one for file, path in files.items() for one in _listed(path, f"{name}: {file}")]
    results = from_entries(told, name, f"{name}: {FOLDER}")
    if not results.results:
        raise InputError(
            f"the results of {name} do not say protocol and version: they compare with nothing",
            remedy="Publish results by `biglog publish`",
        )
    return [Entry(results, url=f"{base}/{next(iter(files))}")]


def _fetched(name: str, kind: str, pattern: str, revision: str | None) -> dict[str, Path]:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    with hub_errors(name, "its results are not read"):
        try:
            held = HfApi().list_repo_files(name, repo_type=kind, revision=revision)
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            lost = f"revision {revision} of" if isinstance(error, RevisionNotFoundError) else kind
            problem = f"there is no {lost} {name}"
            raise InputError(problem, remedy="Check the id; a private one needs `hf auth login`") from error
        names = sorted(file for file in held if fnmatch(file, pattern))
        return {file: Path(hf_hub_download(name, file, repo_type=kind, revision=revision)) for file in names}


def _page(name: str, kind: str, revision: str | None) -> str:
    from huggingface_hub import constants

    prefix = "" if kind == "model" else _DATASETS
    return f"{constants.ENDPOINT}/{prefix}{name}/blob/{revision or 'main'}"


def _listed(path: Path, where: str) -> list[Any]:
    from huggingface_hub import parse_eval_result_entries

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        return parse_eval_result_entries(told or [])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        problem = f"these results cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, where=where, remedy="Correct the file in that repository") from error
