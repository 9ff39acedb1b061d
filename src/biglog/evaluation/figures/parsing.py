"""Figures on log parsing: groups and templates, beside what a user would take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, joined, table

OURS: Final = "BigLog, zero-shot"
_SHOWN: Final = ("GA", "PA", "FGA", "FTA", "NED")
_MEANT: Final = (
    "GA and PA: share of lines in the right group, and with the right template to the letter. FGA and FTA: "
    "F1 of groups and of templates, each counted once. NED: 1 less the edit distance over the length."
)


def parsing(result: Result) -> str:
    """Writes all means, and every domain for ours."""
    parts = [_told(result), _MEANT]
    for truth, told in result["ground_truths"].items():
        rows = [
            [system, rules, *_cells(values)]
            for system, scores in _systems(told)
            for rules, values in scores["means"].items()
        ]
        parts += [_titled(truth, told), table(["system", "corrected by", *_SHOWN], rows, texts=2)]
        domains = told["systems"][OURS]["domains"]
        single = [
            [domain, *(f"{domains[domain]['none'][metric]:.3f}" for metric in _SHOWN)] for domain in domains
        ]
        parts += [
            f"{OURS}, by domain, uncorrected:",
            table(["domain", *_SHOWN], sorted(single)),
            _steady(told),
        ]
    return "\n\n".join(parts)


def parsing_in_short(result: Result) -> str:
    """Writes the means on the first ground truth, uncorrected."""
    truth, told = next(iter(result["ground_truths"].items()))
    rows = [
        [system, *_cells(scores["means"]["none"])] for system, scores in _systems(told) if ";" not in system
    ]
    parts = [_told(result), _titled(truth, told), table(["system", *_SHOWN], rows), _MEANT]
    return "\n\n".join([*parts, _steady(told)])


def parsing_for_card(parser: Result, result: Result) -> str:
    """Writes what a checkpoint's parser is, and how well such parsers do.

    Args:
        parser: Its `parser_config.json`.
        result: As of `parsing`.
    """
    versions = sorted(set(parser["taught_by"].values()))
    text = (
        "The checkpoint carries a parser (`parser.safetensors`; `biglog.LogParser.from_pretrained()`): trees "
        f"that were taught by the annotated samples of {len(parser['taught_by'])} systems (Loghub's 2,000 "
        f"lines each, ground truth {joined(versions)}) and {parser['statements']['kept']:,} log statements. "
        "No figure below is of it: they are of parsers that have not seen the system. It writes what is "
        "constant as those annotators would; its limits are names that are a value in one system and a word "
        "in another."
    )
    return "\n\n".join([text, parsing_in_short(result)])


def _steady(told: dict[str, Any]) -> str:
    """Writes how far a parse depends on the order of lines and on batches."""
    shuffled = told["steadiness"]["shuffled"]
    others = [f"{share:.1%} ({name})" for name, share in shuffled.items() if name != "BigLog"]
    return (
        f"Lines in another order: {shuffled['BigLog']:.1%} of them are grouped as before (BigLog), "
        f"{joined(others)}. In batches: {told['steadiness']['streamed']['BigLog']:.1%} have the event that "
        "they have in one piece, aliases followed; after settling all forms have."
        if others
        else ""
    )


def _told(result: Result) -> str:
    seeds = joined([str(seed) for seed in result["seeds"]])
    several = "s" if len(result["seeds"]) > 1 else ""
    return (
        "**Log parsing**, 2,000 annotated lines of each of 16 systems, mean over systems, one setting for "
        f"all. {OURS}: without any label of the system, taught by those of the other folds' systems and "
        f"by log statements; training seed{several} {seeds}. Where lines are labelled, scores are of the "
        "others. The parsers of logparser3 have the setting, and all the same masks, that serve them best "
        "over these samples. All samples were looked at while this was built "
        "(`python recipes/evaluation.py parsing`)."
    )


def _titled(truth: str, told: dict[str, Any]) -> str:
    others = sorted(domain for domain, version in told["versions"].items() if version != truth)
    where = f" ({joined(others)}: {told['versions'][others[0]]})" if others else ""
    return f"Ground truth {truth}{where}, templates as they were written:"


def _systems(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from told["systems"].items()


def _cells(values: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{values[metric]['mean']:.3f}"
        + (f" \u00b1 {values[metric]['sd']:.3f}" if values[metric]["sd"] else "")
        for metric in _SHOWN
    ]
