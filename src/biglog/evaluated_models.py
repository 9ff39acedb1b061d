"""What `biglog evaluate --model` may name: a baseline, a checkpoint, or a folder of checkpoints of folds."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.checkpoints.finding import resolve
from biglog.data.run_facts import read_json
from biglog.errors import CheckpointError, InputError
from biglog.evaluation.baselines import BASELINES, MEAN_POOLED, PEERS, baseline
from biglog.evaluation.exposure import exposure, read_record
from biglog.evaluation.measuring.parsing import taught_by_others
from biglog.evaluation.parsing import Parser, parsed_whole
from biglog.evaluation.probes.labelled import checksum
from biglog.evaluation.subjects import ENCODERS_TAKE, Lesson, Parsers, Reader, Subject
from biglog.evaluation.tasks.reading import Task
from biglog.inference.encoder import LogEncoder
from biglog.tasks.parsing.head import CONFIG, load_head

_FOLD: Final = re.compile(r"fold(\d+)-seed(\d+)")
_RECORDS: Final = Path(__file__).parents[2] / "results"
"""Where a checkout has the records of the embedded checkpoints' runs; a wheel has none."""


def model_subject(name: str | None = None, *, called: str | None = None, peers: Path = PEERS) -> Subject:
    """Returns who is measured.

    Args:
        name: A baseline (`biglog.evaluation.baselines`), a checkpoint's folder or Hub id, or a folder of
            `foldF-seedS`, each with the domains that it left out in its record; None is the embedded one.
        called: What tables call it; None takes the folder's name or the id.
        peers: What the parsers of logparser3 wrote.

    Raises:
        InputError: It is none of these, or a record cannot be read.
        CheckpointError: It cannot be loaded.
    """
    if name is not None and (name in BASELINES or name.startswith(MEAN_POOLED)):
        return baseline(name, peers)
    if name is not None and any(_FOLD.fullmatch(path.name) for path in Path(name).glob("fold*-seed*")):
        return _folds(Path(name), called or Path(name).name)
    try:
        return _checkpoint(name, called)
    except CheckpointError as error:
        near = difflib.get_close_matches(name or "", BASELINES, 1, 0.75)
        if not near or "/" in str(name) or Path(str(name)).exists():
            raise
        problem, remedy = f"{error.problem}; nor a baseline", f"Did you mean {near[0]}?"
        raise CheckpointError(problem, where=name, remedy=remedy) from error


def _reader(encoder: LogEncoder) -> Reader:
    return Reader(encoder.encode, encoder.encode_normal_forms, encoder.encode_normal_forms)


def _checkpoint(name: str | None, called: str | None) -> Subject:
    encoder = LogEncoder.from_pretrained(name)
    folder, title = Path(resolve(name)[0]), resolve(name)[1]
    is_embedded = title == DEFAULT_CHECKPOINT and not Path(title).is_dir()
    parsers, takes = _parsers_of(folder), ENCODERS_TAKE
    if parsers is not None:
        takes |= {"parsing"}
    reader, commit = _reader(encoder), getattr(encoder.model.config, "_commit_hash", None)
    return Subject(
        name=called or (Path(title).name if folder.is_dir() else title),
        kind="encoder",
        takes=takes,
        source=title,
        revision=_revision(folder) if folder.is_dir() else str(commit or ""),
        parameters=sum(weights.numel() for weights in encoder.model.parameters()),
        url="" if folder.is_dir() else f"https://huggingface.co/{title}",
        readers=lambda domain, seed: reader,
        parsers=parsers,
        drawn=frozenset({"parsing"}),
        exposure=partial(_exposure, _record(folder, title, is_embedded), is_embedded, parsers is not None),
        forget=encoder.forget,
    )


def _revision(folder: Path) -> str:
    """Checksum of the weights, of however many files."""
    sums = [checksum(path) for path in sorted(folder.glob("*.safetensors"))]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def _record(folder: Path, title: str, is_embedded: bool) -> dict[str, Any] | None:
    kept = _RECORDS / f"pretrain_{title}.json"
    if is_embedded and kept.is_file():
        return read_json(kept)
    return read_record(folder) if folder.is_dir() else None


def _exposure(record: dict[str, Any] | None, is_embedded: bool, has_parser: bool, task: Task) -> str:
    """What was seen; the encoder takes no part in parsing, and what does was taught by other domains."""
    if task.kind == "parsing" and has_parser:
        return "left_out"
    # The embedded checkpoint has seen all sixteen domains, samples and their events too.
    return "test" if is_embedded and record is None else exposure(record, task)


def _parsers_of(folder: Path) -> Parsers | None:
    """The parser of a checkpoint; one that was taught by a tested domain gives way to one taught anew."""
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        taught_by = set(json.loads(path.read_text(encoding="utf-8")).get("taught_by", ()))
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError("the parser's configuration cannot be read", where=path) from error

    def parsers(lesson: Lesson, seed: int) -> dict[str, Parser]:
        if taught_by & set(lesson.truths):
            return dict(taught_by_others(lesson, seed))
        return dict.fromkeys(lesson.truths, partial(parsed_whole, load_head(folder)))

    return parsers


def _folds(folder: Path, called: str) -> Subject:
    """Encoders that each left some domains out; each domain is read by one that left it out."""
    paths: dict[tuple[str, int], Path] = {}
    for path in sorted(folder.glob("fold*-seed*")):
        found = _FOLD.fullmatch(path.name)
        record = read_record(path) if found else None
        if found is None or record is None:
            continue
        inner = path / path.name
        for domain in record.get("held_out_domains") or ():
            paths[domain, int(found[2])] = inner if inner.is_dir() else path
    seeds = sorted({seed for _, seed in paths})
    if not seeds:
        remedy = "Each foldF-seedS needs a record.json with held_out_domains"
        raise InputError("no fold of these has left a domain out", where=folder, remedy=remedy)
    revision = hashlib.sha256("".join(_revision(path) for path in paths.values()).encode()).hexdigest()
    load = cache(LogEncoder.from_pretrained)
    read = cache(lambda path: _reader(load(path)))

    def reader(domain: str, seed: int) -> Reader:
        path = paths.get((domain, seeds[seed % len(seeds)]))
        if path is None:
            raise InputError(f"no fold of seed {seeds[seed % len(seeds)]} left {domain} out", where=folder)
        return read(path)

    def forget() -> None:
        for path in set(paths.values()):
            load(path).forget()

    first = load(next(iter(paths.values())))
    return Subject(
        name=called,
        kind="encoder",
        takes=ENCODERS_TAKE,
        source=f"{folder.name}: encoders that each left domains out",
        revision=revision,
        parameters=sum(weights.numel() for weights in first.model.parameters()),
        readers=reader,
        drawn=ENCODERS_TAKE,
        exposure=lambda task: "left_out",
        forget=forget,
    )
