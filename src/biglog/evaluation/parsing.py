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
from biglog.evaluation.peer_templates import peer_parsers, peer_settings
from biglog.logs.masking import normal_forms
from biglog.metrics.corrections import RULES, correct
from biglog.metrics.parsing import Parse, parsing_score
from biglog.tasks.parsing import group_forms
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.schooling import School
from biglog.tasks.parsing.stream import ParseStream
from biglog.tasks.parsing.template import WILDCARD, event_id

SCHEMA: Final = "biglog-parsing/2"
CORRECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "all": tuple(RULES),
}
"""Rules that truth and parse are corrected by before they are compared, each a result of its own."""

OURS: Final = "BigLog, zero-shot"

Parser = Callable[[pl.Series], pl.Series]
"""Contents of one log to their templates."""

Truths = Mapping[str, tuple[pl.Series, Sequence[str]]]
"""Contents and templates of each domain."""

Scores = dict[str, dict[str, dict[str, float]]]
"""By domain, corrections and metric."""

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
    peers: Path | None = None,
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
        peers: What the parsers of logparser3 wrote (`make peers`); None leaves them out.

    Returns:
        By ground truth: its `versions` by domain; of `systems` each one's `domains` and `means`; and
        `steadiness`.

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
    if peers is not None:
        result["peers"] = peer_settings(peers)
    for name in ground_truths:
        read = {domain: read_truth(domain, folder, GROUND_TRUTHS[name]) for domain in domains}
        truths = {domain: (contents, templates) for domain, (_, contents, templates) in read.items()}
        taught = [taught_parsers(truths, folds, table, seed) for seed in seeds]
        runs = _all_scores(truths, taught, peers, name)
        told: dict[str, Any] = {
            "versions": {domain: version for domain, (version, _, _) in read.items()},
            "systems": {
                system: {"domains": _domains(scores), "means": means(scores)}
                for system, scores in runs.items()
            },
        }
        for system, found in told["systems"].items():
            say(f"{name}, {system}: {_row(found['means']['none'])}")
        told["steadiness"] = steadiness({d: contents for d, (contents, _) in truths.items()}, taught[0])
        say(f"{name}: {told['steadiness']}")
        result["ground_truths"][name] = told
    return result


def _all_scores(
    truths: Truths, taught: Sequence[Mapping[str, ZeroShotParser]], peers: Path | None, ground_truth: str
) -> dict[str, list[Scores]]:
    """Scores every system; ours for each seed."""
    systems: dict[str, list[dict[str, Parser]]] = {OURS: [parsers_of(one) for one in taught]}
    systems |= {baseline: [dict.fromkeys(truths, parse)] for baseline, parse in BASELINES.items()}
    if peers is not None:
        contents = {domain: contents for domain, (contents, _) in truths.items()}
        systems |= {
            f"{peer} (logparser3)": [by_domain]
            for peer, by_domain in peer_parsers(peers, ground_truth, contents).items()
        }
    found = {system: [_scores(run, truths) for run in runs] for system, runs in systems.items()}
    for way, choose in LABELLED.items():
        runs = [_labelled(one, truths, choose) for one in taught]
        found |= {f"{way}{rest}": [run[rest] for run in runs] for rest in RESTS}
    return found


def _scores(parsers: Mapping[str, Parser], truths: Truths) -> Scores:
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
"""Ways to choose the lines that are labelled."""


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


RESTS: Final = ("", "; other contents", "; templates without label", "; the same without labels")
"""Of which lines a labelled log is scored: all that are not labelled; of these, those of no labelled content;
those of no labelled template; and the same lines as parsed without labels. Each is a row of a result."""


def _labelled(
    parsers: Mapping[str, ZeroShotParser],
    truths: Truths,
    choose: Callable[[ZeroShotParser, pl.Series], list[int]],
) -> dict[str, Scores]:
    """Scores logs of which some lines are labelled, by `RESTS`."""
    found: dict[str, Scores] = {rest: {} for rest in RESTS}
    for domain, (contents, templates) in truths.items():
        lines = choose(parsers[domain], contents)
        told = {templates[line] for line in lines}
        parsed = parsed_whole(parsers[domain], contents, TemplateLibrary(told)).to_list()
        blind = parsed_whole(parsers[domain], contents).to_list()
        labelled, known = set(lines), set(contents.gather(lines))
        others = [line for line in range(len(contents)) if line not in labelled]
        new = [line for line in others if templates[line] not in told]
        chosen = (
            (others, parsed),
            ([line for line in others if contents[line] not in known], parsed),
            (new, parsed),
            (new, blind),
        )
        for rest, (rows, given) in zip(RESTS, chosen, strict=True):
            # A domain of fewer different lines than labels has nothing left to ask for.
            if rows:
                found[rest][domain] = scored([templates[r] for r in rows], [given[r] for r in rows])
    return found


def steadiness(
    contents: Mapping[str, pl.Series], parsers: Mapping[str, ZeroShotParser]
) -> dict[str, dict[str, float]]:
    """Measures how far a parse depends on the order of lines, and on coming in batches.

    Args:
        contents: Contents of each domain.
        parsers: Of each domain.

    Returns:
        `shuffled`: by system, the share of lines that are grouped alike when the lines come in another order
        (GA with the parse in file order for truth), mean over domains. `streamed`: of ours in batches of
        `BATCH_LINES`, the share of lines whose event, aliases followed, is that of the log in one piece.
    """
    rng = np.random.default_rng(0)
    shuffled: dict[str, list[float]] = {"BigLog": [], **{name: [] for name in SHUFFLED}}
    streamed = []
    for domain, lines in contents.items():
        order = rng.permutation(len(lines))
        ways: dict[str, Parser] = {"BigLog": partial(parsed_whole, parsers[domain])}
        ways |= {name: BASELINES[name] for name in SHUFFLED if name in BASELINES}
        for name, parse in ways.items():
            shuffled[name].append(_alike(parse(lines).gather(order), parse(lines.gather(order))))
        streamed.append(_streamed(parsers[domain], lines))
    return {
        "shuffled": {name: float(np.mean(each)) for name, each in shuffled.items() if each},
        "streamed": {"BigLog": float(np.mean(streamed))},
    }


SHUFFLED: Final = ("Drain3",)
BATCH_LINES: Final = 100


def _alike(one: pl.Series, other: pl.Series) -> float:
    return parsing_score(Parse.of(one.to_list()), Parse.of(other.to_list())).as_dict()["GA"]


def _streamed(parser: ZeroShotParser, contents: pl.Series) -> float:
    stream = ParseStream(parser)
    parts = [stream.parse(contents.slice(at, BATCH_LINES)) for at in range(0, len(contents), BATCH_LINES)]
    stream.settle()
    given = [stream.resolve(identity) for identity in pl.concat(parts)["event_id"]]
    whole = parsed_whole(parser, contents).to_list()
    return float(np.mean([one == event_id(other) for one, other in zip(given, whole, strict=True)]))


def parsers_of(taught: Mapping[str, ZeroShotParser]) -> dict[str, Parser]:
    """What parses the whole log of each domain."""
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
