"""The result of the probes as Markdown, for the model card and the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

_TRAINING: Final = {"none": "", "left out": "", "in-domain": " (in-domain)"}
_READS: Final = {"content": "contents", "normal_form": "normal forms"}


def render_probes(result: dict[str, Any]) -> str:
    """Returns the tables of every probe that a result has.

    Args:
        result: As `biglog.evaluation.probes.running.run_probes` returns it.
    """
    parts: list[str] = []
    for probe, write in (("events", _events), ("alerts", _alerts), ("severity", _severity)):
        if probe in result:
            parts += write(result, result[probe])
    return "\n\n".join(parts)


def _events(result: dict[str, Any], events: dict[str, Any]) -> Iterator[str]:
    templates, domains = sum(events["templates"].values()), len(events["templates"])
    yield (
        f"**Few-shot events**: 1-nearest-neighbour accuracy by cosine of frozen line embeddings, of each of "
        f"{templates:,} templates of {domains} domains at most {events['most_lines']} lines, 1 or 5 of them "
        f"known; mean over domains, and in one pool of all templates; *novel*: lines whose normal form no "
        f"known line has. Mean over {len(events['seeds'])} draws ± standard deviation. TF-IDF is fitted to "
        f"the unlabelled lines that it is tested among."
    )
    measures = ("per_domain_accuracy", "per_domain_novel", "pooled_accuracy", "pooled_novel")
    titles = ("per domain", "novel", "pooled", "novel")
    for protocol, scores in events["scores"].items():
        shots = list(next(iter(scores.values())))
        head = tuple(f"{shot}-shot {title}" for shot in shots for title in titles)
        rows = [
            (_name(result, name), *(_plus(score[shot].get(one)) for shot in shots for one in measures))
            for name, score in scores.items()
        ]
        told = "contents" if protocol == "raw" else "normal forms, each domain's mean taken off"
        yield f"Reading {told}:\n\n" + _table((protocol, *head), rows)


def _alerts(result: dict[str, Any], alerts: dict[str, Any]) -> Iterator[str]:
    yield (
        f"**Alerts** of {alerts['domain']} ({alerts['alerts']} of {alerts['lines']:,} lines, "
        f"{alerts['alert_templates']} templates). *Unseen templates*: logistic regression, {alerts['folds']} "
        f"folds of templates; *few-shot*: nearest of {alerts['shots']} alerts against nearest of as many "
        f"other lines, known lines from anywhere or from other templates. Mean over {len(alerts['seeds'])} "
        f"seeds ± standard deviation."
    )
    ways = {
        "unseen F1": ("unseen", "f1"),
        "unseen AP": ("unseen", "average_precision"),
        "few-shot balanced F1": ("few-shot", "balanced_f1"),
        "few-shot AP": ("few-shot", "average_precision"),
        "few-shot, unseen, AP": ("few-shot, unseen", "average_precision"),
    }
    for column, scores in alerts["scores"].items():
        rows = [
            (_name(result, name), *(_plus(score[way][metric], "sd") for way, metric in ways.values()))
            for name, score in scores.items()
        ]
        yield _table((f"reading {_READS[column]}", *ways), rows)


def _severity(result: dict[str, Any], severity: dict[str, Any]) -> Iterator[str]:
    sets = ", ".join(f"{name} {row['is_severe']} of {row['forms']}" for name, row in severity["sets"].items())
    yield (
        f"**Severity carried across domains**: AUC of a linear head on normal forms of a domain it has no "
        f"label of (severe forms: {sets}). Mean with 95 % bootstrap interval over forms; differences are "
        f"paired by form."
    )
    if "forms_of_ours" in severity.get("statements", {}):
        given, few = severity["statements"]["forms"], severity["statements"]["forms_of_ours"]
        yield (
            f"Heads on baselines learn from all {given:,} forms of statements of training projects, those "
            f"on encoders of ours, which have seen them all, from {few:,}. Of other projects "
            f"{severity['projects']['forms']:,} are asked for, none of them near to one that is learnt from."
        )
    taught = {
        "domains": "Learnt from the levels of the other domains",
        "statements": "Learnt from log statements of source code",
        "projects": "Learnt from log statements, asked for those of projects that nothing was learnt from",
    }
    for mode, found in severity["modes"].items():
        names = [] if mode == "projects" else list(severity["sets"])
        rows = [
            (
                _name(result, name),
                _between(score["mean"]),
                *(f"{score['sets'][one]['value']:.3f}" if one in score["sets"] else "" for one in names),
            )
            for name, score in found["scores"].items()
        ]
        yield f"{taught[mode]}:\n\n" + _table(("AUC", "mean over levels", *names), rows)
        for name, rivals in found["differences"].items():
            rows = [(other, _between(row["mean"], "+.3f")) for other, row in rivals.items() if row["mean"]]
            yield _table((f"{_name(result, name)} less", "difference of means"), rows)


def _name(result: dict[str, Any], name: str) -> str:
    about = result["systems"][name]
    bold = name if about["is_baseline"] else f"**{name}**"
    return bold + "".join(_TRAINING[one] for one in about["training"])


def _plus(score: dict[str, Any] | None, spread: str = "seed_sd") -> str:
    if score is None or score["mean"] is None:
        return ""
    return f"{score['mean']:.3f}" + ("" if score[spread] is None else f" ± {score[spread]:.3f}")


def _between(score: dict[str, float] | None, form: str = ".3f") -> str:
    if score is None:
        return ""
    return f"{score['value']:{form}} ({score['low']:{form}} to {score['high']:{form}})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
