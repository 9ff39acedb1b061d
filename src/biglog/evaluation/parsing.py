"""Log parsing on annotated samples: ours, taught by other domains only, beside what a user would take.

Every system reads the contents of a domain and nothing else, with one setting for all domains, and writes a
template for each line. A fold's parser is taught by the annotations of the other folds' domains and by logs
made of log statements; no project of the statements is a tested system, and no statement is near to a form
of any domain that is scored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog.data.archives.catalog import find_files
from biglog.data.statements import drop_near_once, read_statements
from biglog.data.statements.near import NearReport
from biglog.data.tables.ground_truth import read_ground_truth
from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.metrics.corrections import RULES, correct
from biglog.metrics.parsing import Parse, parsing_score
from biglog.tasks.parsing import group_forms
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.schooling import School
from biglog.tasks.parsing.stream import ParseStream
from biglog.tasks.parsing.template import WILDCARD

SCHEMA: Final = "biglog-parsing/1"
CORRECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "all": tuple(RULES),
}
"""Rules that truth and parse are corrected by before they are compared, each a result of its own."""

Parser = Callable[[pl.Series], pl.Series]
"""Contents of one log to their templates."""

_MASK = re.compile(r"\[(?:NUM|TIMESTAMP|IP|CODE|FILE)\]")


def read_truth(domain: str, folder: Path, versions: Sequence[str]) -> tuple[str, pl.Series, list[str]]:
    """Reads the annotated sample of a domain.

    Args:
        domain: Its name.
        folder: The data.
        versions: Versions of the ground truth; the first that the domain has is taken.

    Returns:
        The version, contents and templates.

    Raises:
        InputError: The domain has none of them.
    """
    truth = find_files(domain, folder).ground_truth
    version = next((version for version in versions if version in truth), None)
    if version is None:
        raise InputError(f"no ground truth of {domain}", where=folder, remedy=f"It needs {versions[0]}")
    rows = pl.concat(read_ground_truth(truth[version], version))
    return version, rows["content"], rows["template"].to_list()


def statements_apart(
    folder: Path, domains: Sequence[str], statements: Sequence[Path], cache: Path | None
) -> tuple[pl.DataFrame, NearReport]:
    """Reads log statements without those near to a form of the annotated samples.

    Args:
        folder: The data.
        domains: Whose samples.
        statements: Tables of log statements.
        cache: Keeps which statements are near; None keeps nothing.
    """
    table = pl.concat([read_statements(path) for path in statements])
    tested = [read_truth(domain, folder, _ANY_TRUTH)[1] for domain in domains]
    return drop_near_once(table, normal_forms(pl.concat(tested)).unique().sort(), cache)


def scored(templates: Sequence[str], parsed: Sequence[str]) -> dict[str, dict[str, float]]:
    """Scores a parse, by corrections and by metric."""
    found = {}
    for name, rules in CORRECTIONS.items():
        sides = []
        for side in (templates, parsed):
            corrected = {text: correct(text, rules) for text in set(side)}
            sides.append(Parse.of([corrected[text] for text in side]))
        found[name] = parsing_score(*sides).as_dict()
    return found


def taught_parsers(
    truths: Mapping[str, tuple[pl.Series, Sequence[str]]],
    folds: Sequence[Sequence[str]],
    statements: pl.DataFrame,
    seed: int,
) -> dict[str, ZeroShotParser]:
    """Teaches one parser for each fold of domains, by the others.

    Args:
        truths: Contents and templates of each domain.
        folds: Domains that are left out together.
        statements: Columns project and template, none near to a form of these domains.
        seed: Of everything that is drawn.

    Returns:
        For each domain the parser that has not seen it.
    """
    school = School(truths, statements, seed)
    found: dict[str, ZeroShotParser] = {}
    for fold in folds:
        found |= dict.fromkeys(fold, school.parser(without=fold))
    return found


def by_normal_form(contents: pl.Series) -> pl.Series:
    """Every normal form an event of its own, every mask a value."""
    return normal_forms(contents).str.replace_all(_MASK.pattern, WILDCARD)


def by_rule(contents: pl.Series) -> pl.Series:
    """Normal forms grouped by the rule of `biglog.tasks.parsing.rule`."""
    forms = normal_forms(contents)
    distinct = forms.unique(maintain_order=True)
    grouping = group_forms(distinct.to_list())
    templates = [_MASK.sub(WILDCARD, grouping.templates[event]) for event in grouping.event_of]
    return forms.replace_strict(distinct, pl.Series(templates, dtype=pl.String), return_dtype=pl.String)


def by_drain3(contents: pl.Series) -> pl.Series:
    """Drain3 with the masks of its README, templates as they are at the end."""
    from drain3 import TemplateMiner

    miner = TemplateMiner(config=drain3_config())
    clusters = [miner.add_log_message(content)["cluster_id"] for content in contents]
    texts = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    return pl.Series([re.sub(r"<[A-Z]+>", WILDCARD, texts[cluster]) for cluster in clusters], dtype=pl.String)


def drain3_config() -> Any:
    """Returns Drain3's defaults with the masking instructions of its README's example."""
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    edges = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
    masks = {
        "ID": r"(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))",
        "IP": r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})",
        "SEQ": r"([0-9a-f]{6,} ?){3,}",
        "HEX": r"(0x[a-f0-9A-F]+)",
        "NUM": r"([\-\+]?\d+)",
    }
    config = TemplateMinerConfig()
    config.masking_instructions = [
        MaskingInstruction(edges[0] + pattern + edges[1], name) for name, pattern in masks.items()
    ]
    return config


BASELINES: Final[dict[str, Parser]] = {
    "Drain3": by_drain3,
    "rule": by_rule,
    "normal forms": by_normal_form,
}


def means(runs: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, Any]:
    """Averages scores over domains.

    Args:
        runs: For each seed, by domain, corrections and metric.

    Returns:
        By corrections and metric: `mean` over domains and seeds, `sd` over seeds of the mean over domains.
    """
    found: dict[str, Any] = {}
    for name in CORRECTIONS:
        metrics = next(iter(runs[0].values()))[name]
        rows = {m: [float(np.mean([run[d][name][m] for d in run])) for run in runs] for m in metrics}
        found[name] = {
            metric: {"mean": float(np.mean(values)), "sd": float(np.std(values))}
            for metric, values in rows.items()
        }
    return found


GROUND_TRUTHS: Final = {
    "loghub-2.0": ("loghub-2.0", "logparser-corrected"),
    "logparser-corrected": ("logparser-corrected",),
}
"""Names of ground truths and the versions that serve: where a domain has none of loghub-2.0, the other."""

_ANY_TRUTH: Final = ("loghub-2.0", "logparser-corrected")


def evaluate_parsing(
    folder: Path,
    statements: Sequence[Path],
    folds: Sequence[Sequence[str]],
    seeds: Sequence[int],
    ground_truths: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Scores all systems on all domains.

    Args:
        folder: The data.
        statements: Tables of log statements.
        folds: Domains that are left out together.
        seeds: Of ours; baselines have none.
        ground_truths: Names of `GROUND_TRUTHS`.
        say: Is told what was done.
        cache: Keeps which statements are near to the domains' forms; None keeps nothing.

    Returns:
        By ground truth: its `versions` by domain, and by system `domains` and `means`.

    Raises:
        InputError: A domain has no ground truth, a table of statements cannot be read, or Drain3 is not
            installed.
    """
    if "Drain3" in BASELINES and find_spec("drain3") is None:
        raise InputError("Drain3 is not installed", remedy="pip install 'biglog[bench]'")
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "folds": [list(fold) for fold in folds],
        "seeds": list(seeds),
        "corrections": {name: list(rules) for name, rules in CORRECTIONS.items()},
        "ground_truths": {},
    }
    domains = [domain for fold in folds for domain in fold]
    table, near = statements_apart(folder, domains, statements, cache)
    result["statements"] = asdict(near)
    for name in ground_truths:
        read = {domain: read_truth(domain, folder, GROUND_TRUTHS[name]) for domain in domains}
        truths = {domain: (contents, templates) for domain, (_, contents, templates) in read.items()}
        systems: dict[str, list[dict[str, Parser]]] = {
            baseline: [dict.fromkeys(domains, parse)] for baseline, parse in BASELINES.items()
        }
        taught = [taught_parsers(truths, folds, table, seed) for seed in seeds]
        systems = {"BigLog, zero-shot": [_parsers(one) for one in taught], **systems}
        scored_runs = {system: [_scores(run, truths) for run in runs] for system, runs in systems.items()}
        for way, choose in LABELLED.items():
            scored_runs[way] = [_labelled(one, truths, choose) for one in taught]
        told: dict[str, Any] = {"versions": {domain: version for domain, (version, _, _) in read.items()}}
        for system, scores in scored_runs.items():
            told[system] = {"domains": _domains(scores), "means": means(scores)}
            say(f"{name}, {system}: {_row(told[system]['means']['none'])}")
        result["ground_truths"][name] = told
    return result


def _scores(
    parsers: Mapping[str, Parser], truths: Mapping[str, tuple[pl.Series, Sequence[str]]]
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        domain: scored(templates, parsers[domain](contents).to_list())
        for domain, (contents, templates) in truths.items()
    }


LABELS: Final = 32
"""Labelled lines of each domain, where there are any."""

LABELLED: Final[dict[str, Callable[[ZeroShotParser, pl.Series], list[int]]]] = {
    f"BigLog, first {LABELS} distinct lines labelled": lambda _, contents: first_distinct(contents, LABELS),
    f"BigLog, {LABELS} proposed lines labelled": lambda parser, contents: proposed(parser, contents, LABELS),
}
"""Ways to choose the lines that are labelled; scores are of the lines whose content is not among them."""


def first_distinct(contents: pl.Series, count: int) -> list[int]:
    """Returns the positions of the first lines that differ from those before them, at most `count`."""
    return contents.fill_null("").arg_unique().sort().head(count).to_list()


def proposed(parser: ZeroShotParser, contents: pl.Series, count: int) -> list[int]:
    """Returns the positions of lines that the parser itself would have labelled, at most `count`."""
    stream = ParseStream(parser)
    stream.count(contents)
    places = {content: line for line, content in reversed(list(enumerate(contents.fill_null(""))))}
    return [places[content] for content in stream.propose(count)]


def parsed_whole(
    parser: ZeroShotParser, contents: pl.Series, library: TemplateLibrary | None = None
) -> pl.Series:
    """Parses a log in one piece.

    Args:
        parser: What was learnt on other logs.
        contents: Contents, dtype String, shape (lines,).
        library: Templates of it that are known.

    Returns:
        The template of each line's event, dtype String, shape (lines,).
    """
    stream = ParseStream(parser, library or TemplateLibrary())
    stream.parse_whole(contents)
    numbers = stream.census.add(contents)
    return stream.templates(contents, numbers)


def _labelled(
    parsers: Mapping[str, ZeroShotParser],
    truths: Mapping[str, tuple[pl.Series, Sequence[str]]],
    choose: Callable[[ZeroShotParser, pl.Series], list[int]],
) -> dict[str, dict[str, dict[str, float]]]:
    found = {}
    for domain, (contents, templates) in truths.items():
        lines = choose(parsers[domain], contents)
        library = TemplateLibrary(templates[line] for line in lines)
        parsed = parsed_whole(parsers[domain], contents, library).to_list()
        known = set(contents.gather(lines))
        rest = [line for line, content in enumerate(contents) if content not in known]
        # A domain of fewer different lines than labels has nothing left to ask for.
        if rest:
            found[domain] = scored([templates[line] for line in rest], [parsed[line] for line in rest])
    return found


def _parsers(taught: Mapping[str, ZeroShotParser]) -> dict[str, Parser]:
    return {domain: partial(parsed_whole, parser) for domain, parser in taught.items()}


def _domains(runs: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, Any]:
    """Means over seeds, by domain, corrections and metric."""
    return {
        domain: {
            name: {metric: float(np.mean([run[domain][name][metric] for run in runs])) for metric in row}
            for name, row in scores.items()
        }
        for domain, scores in runs[0].items()
    }


def _row(means_of: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{metric} {means_of[metric]['mean']:.3f}" for metric in ("GA", "PA", "FGA", "FTA"))
