"""All probes of several embedders in one run, as one result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import polars as pl

from biglog.data.archives.catalog import domain
from biglog.data.statements import checksums, read_statements, split_statements
from biglog.errors import InputError
from biglog.evaluation.probes import alerts, baselines, events, severity
from biglog.evaluation.probes.kept import Kept, digest
from biglog.evaluation.probes.labelled import Labelled, checksum, read_alerts, read_events, read_levels
from biglog.evaluation.probes.vectors import Embed, Unfitted
from biglog.logs.domains import DOMAINS
from biglog.tasks.views import DenseAndSparse

SCHEMA: Final = "biglog-probes/1"
PROBES: Final = ("events", "alerts", "severity")
STATEMENTS_OF_OURS: Final = 20_000
"""Statements that heads of ours learn from: the encoder has seen all of them, a baseline's head does here."""

_COLUMNS: Final = ("content", "normal_form")


@dataclass(frozen=True)
class System:
    """An embedder that takes part; several of one name are folds and training seeds of one encoder.

    Attributes:
        name: What tables call it.
        contents: Reads contents.
        forms: Reads normal forms.
        is_baseline: Whether others are compared with it.
        tested: Domains it is asked for; None for all.
        training: What its training had to do with the tested domains: `none` (it has seen no logs in
            training), `left out`, or `in-domain` (they are in what it was trained on).
        origin: What is told of where it came from: a folder, its checksum, its seed.
        probes: Which of `PROBES` it takes part in.
    """

    name: str
    contents: Embed | Unfitted
    forms: Embed | Unfitted
    is_baseline: bool = False
    tested: tuple[str, ...] | None = None
    training: str = "none"
    origin: dict[str, Any] = field(default_factory=dict)
    probes: tuple[str, ...] = PROBES

    def asked(self, domains: Iterable[str]) -> list[str]:
        """Those of some domains that it is asked for."""
        return [name for name in domains if self.tested is None or name in self.tested]

    def reads(self, column: str) -> Embed | Unfitted:
        """The embedder for `content` or `normal_form`."""
        return self.contents if column == "content" else self.forms


def standard_baselines(cache: Path | None = None) -> list[System]:
    """Every baseline whose package is installed; see :mod:`biglog.evaluation.probes.baselines`.

    Args:
        cache: Where MiniLM's vectors are kept between runs; None keeps none.
    """
    words, svd = baselines.word_tfidf, baselines.WIDTH
    characters, hashed = baselines.character_tfidf(), baselines.hashed_ngrams
    pairs: list[tuple[str, Embed | Unfitted, Embed | Unfitted]] = [
        ("exact lookup", baselines.lookup(), baselines.lookup(masked=True)),
        ("masked word TF-IDF", words(), words(masked=True)),
        ("masked word TF-IDF + SVD", words(width=svd), words(masked=True, width=svd)),
        ("character TF-IDF", characters, characters),
        ("hashed character n-grams", hashed, hashed),
    ]
    makers: dict[str, Callable[[], Embed]] = {
        "WordLlama": baselines.WordLlama,
        "MiniLM-L6": lambda: baselines.MiniLM(cache),
    }
    for name, make in makers.items():
        try:
            embed = make()
        except InputError:
            continue
        pairs.append((name, embed, partial(baselines.in_words, embed)))
    return [System(name, contents, forms, is_baseline=True) for name, contents, forms in pairs]


def checkpoint(name: str, folder: Path, left_out: str = "", *, contents: Embed, forms: Embed) -> System:
    """Describes a checkpoint of ours.

    Args:
        name: What tables call it.
        folder: Its folder.
        left_out: Domains left out of its training, with commas between; empty takes what its record says. If
            that says nothing either, it is asked for all domains, and marked in-domain.
        contents: Reads contents.
        forms: Reads normal forms.

    Raises:
        InputError: A domain is not known, or its record cannot be read.
    """
    record = _record(folder)
    names = left_out.split(",") if left_out else record.get("held_out_domains") or []
    tested = tuple(domain(one).name for one in names) or None
    weights = folder / "model.safetensors"
    origin = {
        "checkpoint": folder.name,
        "sha256": checksum(weights) if weights.is_file() else None,
        "seed": record.get("arguments", {}).get("seed"),
    }
    training = "left out" if tested else "in-domain"
    return System(name, contents, forms, tested=tested, training=training, origin=origin)


def _record(folder: Path) -> dict[str, Any]:
    """The record of a checkpoint: beside its weights, or that of the run in whose folder it lies."""
    for path in (folder / "record.json", folder.parent / "record.json"):
        if not path.is_file():
            continue
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"this record cannot be read: {error}", where=path) from error
        if path.parent == folder or record.get("name") == folder.name:
            return record
    return {}


def beside_ngrams(system: System) -> System:
    """A dense encoder beside sparse n-grams of the same lines, for linear heads; see `DenseAndSparse`.

    Its heads for alerts alone are fitted: on as many statements as there are they would take hours.
    """
    encode = cast(Embed, system.forms)

    def fit(texts: list[str]) -> Embed:
        view = DenseAndSparse(encode).fit(texts)
        return lambda lines: view.transform(lines)

    def fit_contents(texts: list[str]) -> Embed:
        embed = fit(baselines.as_forms(texts))
        return lambda lines: embed(baselines.as_forms(lines))

    name = f"{system.name} beside n-grams"
    return replace(
        system, name=name, contents=Unfitted(fit_contents), forms=Unfitted(fit), probes=("alerts",)
    )


def run_probes(
    systems: Sequence[System],
    folder: Path,
    *,
    probes: Sequence[str] = PROBES,
    statements: Sequence[Path] = (),
    domains: Sequence[str] = tuple(DOMAINS),
    kept: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Runs probes.

    Args:
        systems: Who takes part; those of one name are scored together, each on the domains it is asked for.
        folder: The data.
        probes: Which of `PROBES`.
        statements: Tables of log statements, for the probe of severity: heads learn from all statements of
            training projects; none leaves those modes out.
        domains: Domains of the probe of events.
        kept: Folder where scores are kept, so that a run that was killed, or one of another checkpoint, does
            not compute them again; None keeps none. They are known by what they depend on: the labelled
            lines, the code of the probes and of the masks, versions of packages; those of a checkpoint by its
            weights and the encoder's code too.
        say: Told what is done.

    Returns:
        The result, as :func:`biglog.evaluation.probes.rendering.render_probes` takes it.

    Raises:
        InputError: Data are missing, or a probe is not known.
    """
    if unknown := [name for name in probes if name not in PROBES]:
        raise InputError(f"unknown probe {unknown[0]!r}", remedy=f"Known are {', '.join(PROBES)}")
    names = dict.fromkeys(system.name for system in systems)
    groups = {name: [system for system in systems if system.name == name] for name in names}
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "versions_of_probes": {name: version(name) for name in ("scikit-learn", "scipy", "numpy", "polars")},
        "systems": {name: _about(members) for name, members in groups.items()},
        "data": {"files": {}, "ground_truth_versions": {}},
    }
    taking = {
        probe: {name: members for name, members in groups.items() if probe in members[0].probes}
        for probe in probes
    }
    if "events" in probes:
        result["events"] = _events(
            taking["events"], _noted(result, read_events(folder, domains)), Kept(kept), say
        )
    if "alerts" in probes:
        result["alerts"] = _alerts(taking["alerts"], _noted(result, read_alerts(folder)), Kept(kept), say)
    if "severity" in probes:
        levels, lines = (_noted(result, read(folder)) for read in (read_levels, read_alerts))
        sets = severity.severity_sets(levels, lines)
        splits = None
        if statements:
            splits = split_statements(pl.concat([read_statements(path) for path in statements]))
            result["data"]["files"] |= {
                name: sha for path in statements for name, sha in checksums(path).items()
            }
        result["severity"] = _severity(taking["severity"], sets, splits, Kept(kept), say)
    return result


def runs(members: Sequence[System], domains: Sequence[str]) -> list[list[tuple[System, list[str]]]]:
    """Puts folds and training seeds together into runs that each ask for a domain at most once.

    Args:
        members: Systems of one name, in order; the n-th that is asked for a domain is of the n-th run.
        domains: Of the probe.

    Returns:
        By run, its systems with the domains of each.
    """
    seen = dict.fromkeys(domains, 0)
    found: list[list[tuple[System, list[str]]]] = []
    for member in members:
        for place in sorted({seen[name] for name in member.asked(domains)}):
            asked = [name for name in member.asked(domains) if seen[name] == place]
            found += [[] for _ in range(place + 1 - len(found))]
            found[place].append((member, asked))
        for name in member.asked(domains):
            seen[name] += 1
    return found


Groups = dict[str, list[System]]


def _noted(result: dict[str, Any], labelled: Labelled) -> pl.DataFrame:
    result["data"]["files"] |= labelled.files
    result["data"]["ground_truth_versions"] |= labelled.versions
    return labelled.lines


def _about(members: list[System]) -> dict[str, Any]:
    return {
        "is_baseline": members[0].is_baseline,
        "training": sorted({member.training for member in members}),
        "checkpoints": [
            member.origin | {"tested": None if member.tested is None else list(member.tested)}
            for member in members
            if member.origin
        ],
    }


def _kept(kept: Kept, members: list[System]) -> Kept:
    """Keeps what baselines score by data and code, and what checkpoints score by their weights too."""
    if members[0].is_baseline:
        return kept
    return kept.of([member.origin | {"tested": member.tested} for member in members])


def _events(groups: Groups, lines: pl.DataFrame, kept: Kept, say: Callable[[str], None]) -> dict[str, Any]:
    counts = lines.group_by("domain", maintain_order=True).agg(pl.len(), pl.n_unique("event"))
    found: dict[str, Any] = {
        "protocol": events.__doc__,
        "seeds": list(events.SEEDS),
        "most_lines": events.MOST_LINES,
        "templates": {name: count for name, _, count in counts.iter_rows()},
        "scores": {protocol: {} for protocol in events.PROTOCOLS},
    }
    for protocol, column in zip(events.PROTOCOLS, _COLUMNS, strict=True):
        for name, members in groups.items():
            say(f"events, {protocol}: {name}")
            score = partial(_event_scores, members, lines, protocol, column)
            scores = _kept(kept, members)(("events", protocol, name), digest(lines), score)
            if scores:
                found["scores"][protocol][name] = scores
    return found


def _event_scores(
    members: list[System], lines: pl.DataFrame, protocol: events.Protocol, column: str
) -> dict[str, Any]:
    domains = lines["domain"].unique(maintain_order=True).to_list()
    parts = [
        events.count_events(member.reads(column), lines, protocol=protocol, tested=asked).with_columns(
            run=pl.lit(number)
        )
        for number, run in enumerate(runs(members, domains))
        for member, asked in run
    ]
    return events.summarise(pl.concat(parts)) if parts else {}


def _alerts(groups: Groups, lines: pl.DataFrame, kept: Kept, say: Callable[[str], None]) -> dict[str, Any]:
    system = str(lines["domain"][0])
    found: dict[str, Any] = {
        "protocol": alerts.__doc__,
        "domain": system,
        "lines": len(lines),
        "alerts": int(lines["is_alert"].sum()),
        "alert_templates": lines.filter("is_alert")["event"].n_unique(),
        "seeds": list(alerts.SEEDS),
        "folds": alerts.FOLDS,
        "shots": alerts.SHOTS,
        "scores": {column: {} for column in _COLUMNS},
    }
    for column in _COLUMNS:
        for name, members in groups.items():
            say(f"alerts, {column}: {name}")
            asked = [member for member in members if member.asked([system])]
            if asked:
                score = partial(_alert_scores, asked, lines, column)
                names = ("alerts", column, name)
                found["scores"][column][name] = _kept(kept, members)(names, digest(lines), score)
    return found


def _alert_scores(members: list[System], lines: pl.DataFrame, column: str) -> dict[str, Any]:
    ways: dict[str, Callable[..., dict[str, Any]]] = {
        "unseen": alerts.unseen_alerts,
        "few-shot": alerts.few_shot_alerts,
        "few-shot, unseen": partial(alerts.few_shot_alerts, unseen=True),
    }
    return {
        way: _joined([score(member.reads(column), lines, column=column) for member in members])
        for way, score in ways.items()
    }


def _joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Joins the scores of repetitions; `run_sd` is the deviation of their means, None for one."""
    found = {}
    for metric in results[0]:
        values = [value for result in results for value in result[metric]["values"]]
        means = [result[metric]["mean"] for result in results]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
        found[metric] = alerts.spread(values) | {"run_sd": spread}
    return found


def _severity(
    groups: Groups,
    sets: pl.DataFrame,
    statements: dict[str, pl.DataFrame] | None,
    kept: Kept,
    say: Callable[[str], None],
) -> dict[str, Any]:
    counts = sets.group_by("set", maintain_order=True).agg(pl.len().alias("forms"), pl.sum("is_severe"))
    found: dict[str, Any] = {
        "protocol": severity.__doc__,
        "draws": severity.DRAWS,
        "sets": {row.pop("set"): row for row in counts.to_dicts()},
        "modes": {},
    }
    learn: Callable[..., pl.DataFrame] | None = None
    learn_some: Callable[..., pl.DataFrame] | None = None
    modes: dict[str, tuple[pl.DataFrame, Callable[..., pl.DataFrame]]] = {
        "domains": (sets, severity.severity_across_domains)
    }
    data = {"domains": digest(sets)}
    if statements is not None:
        forms = sets["normal_form"].unique().to_list()
        taught = severity.statement_forms(statements["train"], forms)
        found["statements"] = {"forms": len(taught), "is_severe": int(taught["is_severe"].sum())}
        learn, learn_some = (partial(_from_statements, part) for part in (taught, _some(taught)))
        apart = severity.project_set(statements["test"], taught)
        found["projects"] = {"forms": len(apart), "is_severe": int(apart["is_severe"].sum())}
        modes |= {"statements": (sets, learn), "projects": (apart, learn)}
        found["statements"]["forms_of_ours"] = len(_some(taught))
        data |= {mode: digest(tested, taught) for mode, (tested, _) in modes.items() if mode not in data}
    for mode, (tested, score) in modes.items():
        areas: dict[str, severity.Areas] = {}
        for name, members in groups.items():
            say(f"severity from {mode}: {name}")
            ours = score is learn and not members[0].is_baseline
            ask = partial(_areas, members, tested, learn_some if ours and learn_some else score)
            learnt = f"{data[mode]}, {STATEMENTS_OF_OURS} of them" if ours else data[mode]
            area = _kept(kept, members)(("severity", mode, name), learnt, ask)
            areas |= {name: {which: np.asarray(one) for which, one in area.items()}} if area else {}
        found["modes"][mode] = {
            "scores": {name: severity.summary(area) for name, area in areas.items()},
            "differences": {
                name: {
                    other: severity.compare(area, areas[other])
                    for other, rivals in groups.items()
                    if rivals[0].is_baseline and other in areas
                }
                for name, area in areas.items()
                if not groups[name][0].is_baseline
            },
        }
    return found


def _some(taught: pl.DataFrame) -> pl.DataFrame:
    few = len(taught) <= STATEMENTS_OF_OURS
    return taught if few else taught.sample(STATEMENTS_OF_OURS, seed=0).sort("normal_form")


def _from_statements(
    taught: pl.DataFrame, embed: Embed | Unfitted, sets: pl.DataFrame, *, tested: Sequence[str]
) -> pl.DataFrame:
    return severity.severity_from_statements(embed, taught, sets, tested=tested)


def _areas(
    members: list[System], sets: pl.DataFrame, score: Callable[..., pl.DataFrame]
) -> dict[str, list[float]]:
    """AUC by set with its draws, mean over the runs that have the set."""
    domains = sets["domain"].unique(maintain_order=True).to_list()
    found: dict[str, list[Any]] = {}
    # Statements are of no domain that a fold leaves out, and left out of every one.
    of_projects = domains == [severity.PROJECTS]
    each = [[(member, domains)] for member in members]
    for run in each if of_projects else runs(members, domains):
        scored = pl.concat([score(member.forms, sets, tested=asked) for member, asked in run])
        for which, area in severity.auc(scored).items():
            found.setdefault(which, []).append(area)
    return {which: np.mean(area, axis=0).tolist() for which, area in found.items()}
