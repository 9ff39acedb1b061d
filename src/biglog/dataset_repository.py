"""Built tables laid out as a Hub dataset repository, and published to a Hub.

A repository of ours holds Parquet and nothing that runs: ``data/<domain>/<table>/<split>-*.parquet``, a card
whose metadata names one configuration a domain and table, and the notice of the logs' owners. `load_dataset`
takes it without code. Croissant metadata are not among the files: the Hub derives them from the card and the
Parquet.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from biglog.data.archives.published import CITATION
from biglog.data.tables.built import BuiltDomain, find_domains
from biglog.dataset_cards import notice, part_domains, render_dataset_card
from biglog.errors import OutputError
from biglog.hub import PublishResult, RepoFile, check_owner, connect, hub_errors, upload
from biglog.repository import CARD, staged, writing

__all__ = ["assemble_datasets", "publish_datasets"]

LICENSE, CITATION_FILE, DATA = "LICENSE", "CITATION", "data"
_NAMES = {CARD, LICENSE, CITATION_FILE, DATA}
_MARK = "<!-- written by biglog -->"


def assemble_datasets(build_dir: str | Path, out: str | Path) -> Path:
    """Lays out built tables as a Hub dataset repository.

    Everything is first written next to `out` and then moved there, so `out` is never half-written. Parquet
    files are linked where `out` is on the same disk as the build, copied elsewhere. Assembling the same build
    again gives the same bytes.

    Args:
        build_dir: What `biglog datasets build` wrote: ``<domain>/<table>/<split>-*.parquet`` and
            ``<domain>/build.json``.
        out: The folder to write. It may exist if it is empty or holds an earlier such layout.

    Returns:
        The folder written, as an absolute path.

    Raises:
        InputError: The build is missing, incomplete or damaged.
        OutputError: `out` is in use, or cannot be written (disk full, no permission).
    """
    domains = find_domains(Path(build_dir))
    target = Path(out).expanduser().absolute()
    with writing(target):
        _refuse_to_overwrite(target)
        with staged(target) as stage:
            _fill(stage, render_dataset_card(domains), domains, _link_or_copy)
            _settle(stage, target)
    return target


def publish_datasets(
    build_dir: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    dry_run: bool = False,
) -> PublishResult:
    """Publishes built tables to a Hub: Parquet, card, notice and citation.

    The build is checked before anything is sent. The repository then holds this build: shards of an earlier
    one that are gone are deleted from it. Whole tables are never deleted: where the repository has one that
    the build lacks, nothing is sent. The Hub is the one of HF_ENDPOINT.

    Args:
        build_dir: As for `assemble_datasets`.
        repo_id: ``<owner>/<name>`` of the dataset; created if it does not exist.
        private: Create the repository as a private one (an existing one keeps its visibility).
        token: A token that may write; by default HF_TOKEN or the one `hf auth login` keeps.
        revision: The branch to write, made from main if it does not exist; by default main.
        dry_run: Lay out and check everything, list the files, send nothing.

    Returns:
        What was sent, or would be; `tag` is None.

    Raises:
        InputError: The build is missing, incomplete or damaged, the id has no owner or is not valid, or there
            is no token.
        OutputError: The Hub refuses or cannot be reached, or holds tables that the build lacks.
    """
    from huggingface_hub import constants

    check_owner(repo_id)
    domains = find_domains(Path(build_dir))
    with tempfile.TemporaryDirectory(prefix="biglog-publish-") as scratch:
        folder = Path(scratch) / "repo"
        with writing(folder):
            folder.mkdir()
            # Links to the build itself: nothing of it is copied to be sent.
            card = render_dataset_card(domains, repo_id)
            _fill(folder, card, domains, lambda source, place: place.symlink_to(source.absolute()))
        files = tuple(RepoFile(name, path.stat().st_size) for name, path in _files(folder).items())
        commit, changed = None, False
        if not dry_run:
            commit, changed = _send(folder, repo_id, private, token, revision, [d.name for d in domains])
    url = f"{constants.ENDPOINT}/datasets/{repo_id}"
    return PublishResult(repo_id, url, files, revision or "main", commit, changed, None, dry_run)


def _send(
    folder: Path, repo_id: str, private: bool, token: str | None, revision: str | None, domains: list[str]
) -> tuple[str, bool]:
    """Uploads a laid-out folder; returns the commit that holds it and whether that commit is new."""
    from huggingface_hub.errors import RevisionNotFoundError

    title = f"Publish {', '.join(domains)}" if len(domains) <= 3 else f"Publish {len(domains)} domains"
    with hub_errors(repo_id, f"the dataset {repo_id} is not published"):
        api = connect(token)
        api.create_repo(repo_id, repo_type="dataset", private=private or None, exist_ok=True)
        try:
            held = api.list_repo_files(repo_id, repo_type="dataset", revision=revision)
        except RevisionNotFoundError:  # a branch that is about to be made from main
            held = api.list_repo_files(repo_id, repo_type="dataset")
        gone = _gone(held, _files(folder), repo_id)
        return upload(api, repo_id, folder, revision, title, repo_type="dataset", gone=gone)


def _gone(held: Iterable[str], ours: Mapping[str, Path], repo_id: str) -> list[str]:
    """Returns the shards that a repository has of tables of ours and the build has no more."""
    shards = [name for name in held if name.startswith(f"{DATA}/") and name not in ours]
    tables = {name.rpartition("/")[0] for name in ours}
    others = sorted(
        {name.rpartition("/")[0].removeprefix(f"{DATA}/") for name in shards}
        - {table.removeprefix(f"{DATA}/") for table in tables}
    )
    if others:
        raise OutputError(
            f"the dataset {repo_id} holds tables that this build lacks: {', '.join(others)}",
            remedy="Build them into the same folder, or publish to another repository",
        )
    return shards


def _files(folder: Path) -> dict[str, Path]:
    """Returns every file of a repository by its path there, sorted."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return dict(sorted((path.relative_to(folder).as_posix(), path) for path in found))


def _fill(folder: Path, card: str, domains: list[BuiltDomain], place: Callable[[Path, Path], object]) -> None:
    """Writes all files of the repository into an empty folder."""
    (folder / CARD).write_text(f"{card.rstrip()}\n\n{_MARK}\n", encoding="utf-8")
    (folder / LICENSE).write_text(f"{notice(domains)}\n", encoding="utf-8")
    if part_domains(domains)[0]:
        (folder / CITATION_FILE).write_text(f"{CITATION.strip()}\n", encoding="utf-8")
    for domain in domains:
        for table in domain.tables:
            for split in table.splits:
                # A split without rows is none to `datasets`: it is not in the card either.
                for shard in split.shards if split.rows else ():
                    inside = folder / DATA / domain.name / table.name / shard.name
                    inside.parent.mkdir(parents=True, exist_ok=True)
                    place(shard, inside)


def _link_or_copy(source: Path, place: Path) -> None:
    """Links a file where the disk can, and copies it where not (another disk, too many links)."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)


def _refuse_to_overwrite(target: Path) -> None:
    """Refuses a target that is a file, or a folder with anything in it but a layout of ours."""
    if target.exists() and not target.is_dir():
        raise OutputError(
            "this is a file, and a folder is to be written", where=target, remedy="Give another name"
        )
    held = {path.name for path in target.iterdir()} if target.is_dir() else set()
    card = target / CARD
    ours = held <= _NAMES and card.is_file() and _MARK in card.read_text(encoding="utf-8", errors="replace")
    if held and not ours:
        raise OutputError(
            "the folder is not empty, and holds something other than a dataset repository of ours",
            where=target,
            remedy="Give another folder",
        )


def _settle(stage: Path, target: Path) -> None:
    """Moves a complete folder to its place; an earlier layout there goes when the new one is whole."""
    if not target.exists():
        stage.rename(target)
        return
    with staged(target) as aside:
        target.rename(aside / "earlier")
        try:
            stage.rename(target)
        except OSError:
            (aside / "earlier").rename(target)
            raise
