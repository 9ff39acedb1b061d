"""Figures of the studies: a picture each, what it says, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, joined, table

OURS: Final = "BigLog"
_TRIVIAL: Final = "first word and number of words"
_AT, _ALL = "20", "all"
_METRICS: Final = {"f1": "F1 of pairs", "average_precision": "average precision", "GA": "GA of lines"}
_PROBES: Final = (
    "1-shot events",
    "1-shot novel keys",
    "unseen alerts, F1",
    "unseen alerts, AP",
    "severity, AUC",
)


def picture(name: str, words: str) -> str:
    """Returns the picture of a study, as docs/figures.md shows it.

    Args:
        name: The study.
        words: For readers who cannot see it.
    """
    return f"![{words}](studies/{name}.svg)"


def transfer(result: Result) -> str:
    """Says in how many targets ours is above the others, and what the means are."""
    bar, of = result["bar"], result["bar"]["of"]
    verdict = "holds" if bar["holds"] else "does not hold"
    lost = of - len(result["wins"]["f1"][_TRIVIAL])
    shaped, rule = result["with_shape"]["systems"][OURS], result["systems"][_TRIVIAL]
    silent = [name for name, counts in result["domains"].items() if not counts["same"]]
    told = (
        "**Domain transfer**: a rule for *are two normal forms one event?* is learnt from the labelled "
        f"events of one domain and asked in every other one, {of} x {of - 1} pairs of 2,000-line samples. "
        f"Ours, seeds {_seeds(result)}, is asked by encoders that left the target's fold out; they have seen "
        f"most sources (*same fold* are pairs of which they have seen neither). {OURS} is above TF-IDF of "
        f"words and MiniLM-L6 in {bar['found']} of {of} targets: the bar ({bar['wanted']}) {verdict}. But a "
        f"rule that learns nothing, *{_TRIVIAL}*, is as good as {OURS} or better in {lost}: {_mean(rule)} in "
        f"the mean, and ours with these two facts beside the vectors {_mean(shaped)}."
    )
    if silent:
        told += f" No two forms are one event in {joined(silent)}: what is learnt there is *never*."
    rows = [
        [name, _mean(row), _mean(result["with_shape"]["systems"][name])]
        + [_beaten(result, name, "wins", metric) for metric in _METRICS]
        + [_beaten(result, name, "wins_strict", "f1")]
        for name, row in result["systems"].items()
    ]
    head = ["system", "mean F1", "with word facts"]
    head += [f"targets where ours is above: {title}" for title in _METRICS.values()] + ["same fold, F1"]
    return "\n\n".join([told, picture("transfer", "Domain transfer"), table(head, rows)])


def _mean(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:.3f}" + (f" \u00b1 {row['sd']:.3f}" if row["runs"] > 1 else "")


def _beaten(result: Result, name: str, over: str, metric: str) -> str:
    found = result[over][metric].get(name)
    return "" if found is None else f"{len(found)}"


def few_shot(result: Result) -> str:
    """Says what 20 labels are worth, and the curve in numbers."""
    parsing, detection = result["parsing"], result["detection"]
    way = detection["bar"]["way"]
    held = [case for case, row in detection["bar"]["sets"].items() if row["holds"]]
    missed = [
        f"{case} ({row['share']:.1%})" for case, row in detection["bar"]["sets"].items() if not row["holds"]
    ]
    shares = joined([f"{metric} {row['share']:.1%}" for metric, row in parsing["bar"]["proposed"].items()])
    told = (
        "**Few labels**, as share of the quality with all labels; the test is never labelled. Parsing, "
        f"{_AT} proposed lines of a log's first half, scored on the second: {shares}. Detection, {_AT} "
        f"groups ({way}, which validation parts chose): at least 95 % on {joined(held) or 'no set'}"
        + (f"; not on {joined(missed)}." if missed else ".")
    )
    counts = [str(count) for count in result["counts"]] + [_ALL]
    rows = [
        [f"parsing, {metric}, {one}", *(f"{parsing['curves'][one][n][metric]['mean']:.3f}" for n in counts)]
        for metric in ("GA", "PA", "FGA", "FTA")
        for one in parsing["curves"]
    ]
    rows += [
        [f"{case}, F1, {one}", *(f"{row[n]['mean']:.3f}" for n in counts)]
        for case, sets in detection["sets"].items()
        for one, row in sets["curves"].items()
    ]
    return "\n\n".join([told, picture("few_shot", "Few labels"), table(["labels", *counts], rows)])


def online(result: Result) -> str:
    """Shows the picture; the numbers are with those of detection."""
    told = (
        "**Online learning**: a detector that is fitted on a share of a log's beginning, as it was fitted "
        f"and after it has gone on to the last fifth, which is the test ({result['online']['protocol']})."
    )
    return f"{told}\n\n{picture('online', 'Online learning')}"


def tokenizer(result: Result) -> str:
    """Shows the picture; the numbers are with those of tokenizers."""
    told = (
        f"**Bytes a token** of message contents by domain, over {result['sample_lines']:,} lines: ours, ours "
        "with the domain left out of its training, and the vocabulary of BigLog's authors."
    )
    return f"{told}\n\n{picture('tokenizer', 'Tokenizers')}"


def adaptation(result: Result) -> str:
    """Shows the picture of ways to adapt, and what each costs."""
    metric = result["main_metric"]
    rows = [
        [
            f"{task_name}, {mode}",
            f"{row['metrics'][metric]['mean']:.3f} \u00b1 {row['metrics'][metric]['sd']:.3f}",
            f"{row['points_below_full']:.1f}",
            f"{row['seconds']:.1f}",
        ]
        for task_name, task in result["tasks"].items()
        for mode, row in task["modes"].items()
    ]
    name = metric.replace("_", " ")
    told = f"**Ways to adapt**: {name}, seeds {_seeds(result)}, beside the most frequent class."
    head = ["task, mode", name, "points below full", "seconds"]
    return "\n\n".join([told, picture("adaptation", "Ways to adapt"), table(head, rows)])


def data_size(result: Result) -> str:
    """Compares shares of the training data."""
    told = f"**More training lines**, {_plan(result)}"
    return _sized(result, told, "data_size", "Training data")


def model_size(result: Result) -> str:
    """Compares sizes of the encoder."""
    told = f"**Larger encoders**, {_plan(result)}"
    return _sized(result, told, "model_size", "Size of the encoder")


def _plan(result: Result) -> str:
    return (
        f"all at {result['steps']} steps, far fewer than a published checkpoint has; probed on "
        f"{joined(result['fold'])}, which none has seen; seeds {_seeds(result)}. "
        "Every variant has a tokenizer of its own training lines."
    )


def _seeds(result: Result) -> str:
    return joined([str(seed) for seed in result["seeds"]])


def _sized(result: Result, told: str, name: str, words: str) -> str:
    variants = result["variants"]
    shown = [probe for probe in _PROBES if all(probe in row["probes"] for row in variants.values())]
    rows = [
        [
            title,
            f"{row['facts']['parameters']:,.0f}",
            f"{row['facts']['training_forms']:,.0f}",
            f"{row['facts']['cold_lines_per_cpu_second']:,.0f}",
            f"{row['facts']['cpu_seconds']:,.0f}",
            *(f"{row['probes'][probe]['mean']:.3f}" for probe in shown),
        ]
        for title, row in variants.items()
    ]
    head = ["", "parameters", "training lines", "new lines a CPU second", "CPU seconds", *shown]
    return "\n\n".join([told, picture(name, words), table(head, rows)])


def zero_shot(result: Result) -> str:
    """Puts the tasks side by side in systems of which no label was seen."""
    told = "**No label of the system**: every task as its own results have it. " + " ".join(
        f"*{_flat(one['title'])}*: {one['meant']}; rule: {one['rule']}." for one in result["measures"]
    )
    systems = list(dict.fromkeys(name for one in result["measures"] for name in one["scores"]))
    rows = [
        [name, *(f"{one['scores'][name]:.3f}" if name in one["scores"] else "" for one in result["measures"])]
        for name in systems
    ]
    head = ["system", *(_flat(one["title"]) for one in result["measures"])]
    return "\n\n".join([told, picture("zero_shot", "Zero-shot"), table(head, rows)])


def _flat(title: str) -> str:
    return title.replace("\n", ", ")


def reproduction(result: Result) -> str:
    """Says what a run from scratch found of the committed results on tasks, and which figures differed."""
    states, spread = result["states"], result["spread"]
    text = (
        f"**`make reproduce`**: {len(result['figures']):,} figures of {len(result['models'])} models "
        f"measured anew in {result['wall_seconds'] / 60:.0f} minutes: {states.get('equal', 0):,} equal, "
        f"{states.get('near', 0):,} within {result['tolerance']:g}, {states.get('differs', 0):,} further "
        f"off. Of {spread['rows_over_seeds']} rows over seeds {len(spread['wide'])} vary by more than "
        f"{spread['limit']:g}."
    )
    rows = [
        [f"{row['model']}, {row['task']}", row["metric"], f"{row['committed']:.4f}", f"{row['found']:.4f}"]
        for row in result["figures"]
        if row["state"] == "differs"
    ]
    head = ["differed", "metric", "as committed then", "found"]
    return "\n\n".join([text, table(head, rows, texts=2)] if rows else [text])
