"""Figures on what was learnt: pretraining, probes beside baselines, ablation, tokenizers, the ranking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from biglog.errors import InputError
from biglog.evaluation.charts import Column, Mark, scores
from biglog.evaluation.figures.markdown import Result, joined, table
from biglog.evaluation.probes.cells import Cell, beaten, cells, ours_of
from biglog.evaluation.probes.rendering import render_probes

PICTURE: Final = "probes.svg"

STATEMENTS: Final = "statements"
"""Domain of log statements among training lines."""

HEADLINES: Final = {
    ("contents", "1-shot per domain"): "Events\n1-shot",
    ("contents", "1-shot novel keys"): "Novel keys\n1-shot",
    ("contents", "5-shot per domain"): "Events\n5-shot",
    ("contents", "unseen templates, F1"): "New alerts\nF1",
    ("contents", "unseen templates, AP"): "New alerts\nav. precision",
    ("from other domains' levels", "mean AUC over domains"): "Severity\nby logs",
    ("from log statements", "mean AUC over domains"): "Severity\nby code",
    ("from log statements, on those of other projects", "AUC"): "Severity\nin code",
}
"""The figures that stand for the probes, with their titles in a picture."""

_METRICS: Final = {
    "AUC, lines": "line_auc",
    "average precision, lines": "line_average_precision",
    "AUC, events": "event_auc",
    "average precision, events": "event_average_precision",
}
_BASELINES: Final = {
    "model": "",
    "bigram": "masked bigram",
    "unigram": "masked unigram",
    "random_initialisation": "the same, untrained",
}
_ABLATION: Final = "biglog-ablation/1"


def pretraining(record: Result) -> str:
    """Sums up a pretraining run: what was trained for how long, and masked tokens beside baselines."""
    training, data, model = record["training"], record["data"], record["model"]
    begun = record["arguments"].get("initial_checkpoint")
    domains = f"{len(log_domains(record))} domains"
    if has_statements(record):
        domains += " and of log statements"
    layers = model["num_hidden_layers"]
    told = (
        f"**{record['name']}** ({layers} layer{'' if layers == 1 else 's'}, {model['hidden_size']} wide, "
        f"{model['megabytes']:.1f} MB) was trained "
        f"{'from a general checkpoint' if begun else 'from scratch'} for {training['cpu_seconds'] / 60:.0f} "
        f"CPU minutes on {data['train_normal_forms']:,} distinct normal forms of {domains}. On held-out "
        "normal forms, mean over domains:"
    )
    evaluation, rows = record["evaluation"], []
    places = {"average_over_domains": "", "average_over_left_out_domains": ", domains left out"}
    for key, place in places.items():
        for name, title in _BASELINES.items():
            score = evaluation.get(key, {}).get(name)
            if score:
                numbers = (f"{score['accuracy']:.3f}", f"{score['bits_per_byte']:.3f}")
                rows.append(((title or record["name"]) + place, *numbers))
    return told + "\n\n" + table(("masked tokens", "accuracy", "bits per byte"), rows)


def left_out(result: Result) -> str:
    """Sums up masked tokens of domains that fold models have not seen, beside baselines."""
    average = result["average_over_left_out_domains"]
    rows = [
        (title or result["name"], f"{average[name]['accuracy']:.3f}", f"{average[name]['bits_per_byte']:.3f}")
        for name, title in _BASELINES.items()
        if name in average
    ]
    told = (
        f"**Masked tokens of {len(result['domains'])} domains left out of training**, mean over domains, of "
        f"{len(result['models'])} models of {result['name']}'s recipe:"
    )
    return told + "\n\n" + table(("masked tokens", "accuracy", "bits per byte"), rows)


def log_domains(record: Result) -> list[Result]:
    """Returns what a record says of the domains trained on, log statements left out, which count as one."""
    return [row for row in record["data"]["domains"] if row["domain"] != STATEMENTS]


def has_statements(record: Result) -> bool:
    """Says whether log statements of source code were trained on."""
    return len(log_domains(record)) < len(record["data"]["domains"])


def who(result: Result, name: str) -> str:
    """Says which models a score of ours is of: others than the shipped one, or the shipped one itself.

    Args:
        result: Of the probes.
        name: Of the system.
    """
    about = result["systems"][name]
    models = [one for one in about["checkpoints"] if one["tested"] is not None]
    if not models:
        return f"{name} itself, **which has been trained on the tested domains**"
    seeds = sorted({one["seed"] for one in models if one["seed"] is not None})
    word = "seed" if len(seeds) == 1 else "seeds"
    told = f", training {word} {joined([str(seed) for seed in seeds])}" if seeds else ""
    return (
        f"{len(models)} models of {name}'s recipe{told}, each scored only on the domains that were left out "
        "of its training; they are not the shipped model, which saw all domains"
    )


def probes(result: Result) -> str:
    """Renders all tables of the probes, with what is drawn of them on the card."""
    told = [
        f"{name}: {who(result, name)}.\n\n"
        f"![Scores of frozen line embeddings, {name} and baselines](../model_cards/{name}/{PICTURE})"
        for name in ours_of(result)[:1]
    ]
    return "\n\n".join([*told, render_probes(result)])


def probes_in_short(result: Result) -> str:
    """Says in a sentence and a picture how frozen embeddings of ours stand beside baselines."""
    parts = []
    for name in ours_of(result)[:1]:
        shown = headline_cells(result)
        lost = {(one.cell.table, one.cell.measure) for one in beaten(result, name)}
        known = [cell for cell in shown if name in cell.scores]
        won = sum((cell.table, cell.measure) not in lost for cell in known)
        parts.append(
            f"**Frozen line embeddings beside baselines**: {who(result, name)}. {name} is above every "
            f"baseline in {won} of these {len(known)} figures; spreads, all other figures, and each in which "
            f"a baseline is above are in its [card](model_cards/{name}.md).\n\n"
            f"![Scores of frozen line embeddings, {name} and baselines](model_cards/{name}/{PICTURE})"
        )
    return "\n\n".join(parts)


def headline_cells(result: Result) -> list[Cell]:
    """Returns the figures that stand for the probes, in the order of `HEADLINES`."""
    found = {(cell.table, cell.measure): cell for cell in cells(result)}
    return [found[key] for key in HEADLINES if key in found]


def probes_picture(result: Result, name: str) -> str:
    """Draws the figures that stand for the probes.

    Args:
        result: Of the probes.
        name: The system of ours.

    Raises:
        InputError: The result has none of them.
    """
    columns = [
        Column(
            HEADLINES[cell.table, cell.measure],
            {system: Mark(one.value, one.low, one.high) for system, one in cell.scores.items()},
        )
        for cell in headline_cells(result)
    ]
    systems = sorted(result["systems"], key=lambda system: system != name)
    return scores(columns, systems, own=name, title=f"Frozen line embeddings of {name} and of baselines")


def ablation(result: Result) -> str:
    """Compares changed recipes with the full one, which is the first.

    Raises:
        InputError: The result is of another version.
    """
    if result.get("schema") != _ABLATION:
        raise InputError(f"not an ablation of this version ({_ABLATION})", remedy="Measure it again")
    variants = result["variants"]
    full = next(iter(variants.values()))["probes"]
    metrics = list(dict.fromkeys(metric for row in variants.values() for metric in row["probes"]))
    rows = [
        (
            f"{name}: {row['what']}",
            *(_changed(row["probes"].get(metric), full.get(metric), row is first) for metric in metrics),
            f"{row['cpu_seconds'] / 60:.1f}",
        )
        for first in (next(iter(variants.values())),)
        for name, row in variants.items()
    ]
    seeds = len(result["seeds"])
    told = (
        f"**What each part of the recipe is worth**: {result['steps']:,} steps, probed on "
        f"{joined(result['fold'])}, which are left out of training; "
        + (
            f"means of {seeds} training seeds."
            if seeds > 1
            else "one training seed, so small differences say little."
        )
        + " In brackets: difference to the full recipe."
    )
    return told + "\n\n" + table(("recipe", *metrics, "CPU minutes"), rows)


def _changed(value: float | None, full: float | None, is_full: bool) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" + ("" if is_full or full is None else f" ({value - full:+.3f})")


def tokenizers(result: Result) -> str:
    """Compares tokenizers: length of lines, what is cut, speed."""
    from biglog.evaluation.tokenizers import tokenizers_table  # takes seconds to import

    return tokenizers_table(result)


def ranking(result: Result) -> str:
    """Compares the unlabelled ranking with trivial rules, log by log."""
    return "\n\n".join(_ranked(result))


def _ranked(result: Result) -> Iterator[str]:
    for name, log in result["logs"].items():
        rows = [
            (rule, *(f"{row[metric]:.3f}" for metric in _METRICS.values()))
            for rule, row in log["scores"].items()
        ]
        told = (
            f"**What the unlabelled ranking finds** on {name} ({log['alerts']:,} alerts in "
            f"{log['lines']:,} lines, {log['alert_events']} of {log['events']} events), "
            "beside trivial rules on the same events:"
        )
        yield told + "\n\n" + table(("score", *_METRICS), rows)


def beaten_by(result: Result, name: str) -> list[tuple[str, ...]]:
    """Returns a row for every figure in which a baseline is above ours: what it is, ours, the baselines.

    Args:
        result: Of the probes.
        name: The system of ours.
    """
    return [
        (
            f"{one.cell.probe}, {one.cell.table}: {one.cell.measure}",
            f"{one.ours:.4f}",
            ", ".join(f"{other} {value:.4f}" for other, value in one.above.items()),
        )
        for one in beaten(result, name)
    ]
