"""Figures on anomaly detection: every method beside the trivial rules, distinct sequences beside all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, joined, table

OURS: Final = "BigLog"
_SETS: Final = {"robust": "9,838 abnormal", "all_abnormal": "all 16,838 abnormal"}


def anomaly(result: Result) -> str:
    """Writes all tables that a result has."""
    writers = {
        "hdfs": _hdfs,
        "hdfs_labels": _hdfs_labels,
        "drift": _drift,
        "wording": _wording,
        "windows": _windows,
        "unvouched": _unvouched,
        "windows_labels": _windows_labels,
        "hadoop": _hadoop,
        "transfer": _transfer,
        "few_labels": _few_labels,
        "online": _online,
        "explanations": _explanations,
    }
    parts = [_told(result)]
    for name, write in writers.items():
        if name in result:
            parts += write(result[name])
    return "\n\n".join(parts)


def anomaly_in_short(result: Result) -> str:
    """Writes HDFS, drift and windows: what stands in the README."""
    parts = [_told(result)]
    if "hdfs" in result:
        parts += _hdfs(result["hdfs"], short=True)
    if "drift" in result:
        parts += _drift(result["drift"])
    if "windows" in result:
        parts += _windows_in_short(result["windows"])
    if "explanations" in result:
        parts += _explanations(result["explanations"])[:1]
    return "\n\n".join(parts)


def _told(result: Result) -> str:
    seeds = joined([str(seed) for seed in result["seeds"]])
    return (
        "**Anomaly detection**, groups of lines, with encoders that left the domain out of their training, "
        f"seeds {seeds} (mean \u00b1 standard deviation where a seed matters). Thresholds are set on normal "
        "groups of the training part, never on the test; *distinct*: each pair of sequence and label counts "
        "once (`python recipes/anomalies.py`)."
    )


_SHOWN_IN_SHORT: Final = (
    "event set",
    "count range",
    "nearest neighbour of counts",
    "LOF of counts",
    "PCA of counts",
    "DeepLog (LSTM on identities)",
    OURS,
)


def _hdfs(told: Mapping[str, Any], short: bool = False) -> list[str]:
    names = [name for name in told["systems"] if not short or name in _SHOWN_IN_SHORT]
    rows = [
        [name, *_two(told["systems"][name]["robust"]), *_two(told["systems"][name]["all_abnormal"])]
        for name in names
    ]
    head = ["HDFS sessions", *(f"{what}, {count}" for count in _SETS.values() for what in ("F1", "distinct"))]
    counts = told["sets"]["robust"]
    normal = counts["groups"] - counts["anomalies"]
    about = f"HDFS, without labels: {told['protocol']}, {normal:,} normal ones beside"
    return [f"{about} LogRobust's abnormal ones or all there are.", table(head, rows)]


def _hdfs_labels(told: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, *_two(row), _cell(row["precision"]), _cell(row["recall"])]
        for name, row in told["systems"].items()
    ]
    head = ["HDFS, with labels", "F1", "distinct", "precision", "recall"]
    return [f"HDFS, {told['protocol']}.", table(head, rows)]


def _drift(told: Mapping[str, Any]) -> list[str]:
    shares = list(next(iter(told["systems"].values())))
    rows = [
        [name, *(_cell(row[share]["f1"]) for share in shares), f"{row[shares[2]]['least_f1']:.3f}"]
        for name, row in told["systems"].items()
    ]
    head = ["F1 with log statements reworded", *(f"{float(share):.0%}" for share in shares)]
    text = (
        "Wording drift: a share of HDFS's distinct log statements is reworded wherever they come (synonyms, "
        f"words inserted and left out, parameters changed; {len(told['wordings'])} seeded rewordings), after "
        "a detector has learnt the old wording."
    )
    return [text, table([*head, f"least at {float(shares[2]):.0%}"], rows)]


def _wording(told: Mapping[str, Any]) -> list[str]:
    rows = [[name, _cell(row["accuracy"])] for name, row in told["systems"].items()]
    text = f"Is a log statement another wording of a known one? {told['protocol']}."
    return [text, table(["embedding", "right"], rows)]


def _windows(told: Mapping[str, Any]) -> list[str]:
    parts = []
    for case, one in told.items():
        rows = [
            [name, *_two(row), *(_cell(row[figure]) for figure in _FIGURES)]
            for name, row in one["systems"].items()
        ]
        counts = one["set"]
        text = f"{case} lines: {one['protocol']} ({counts['anomalies']} of {counts['groups']:,} anomalous)."
        parts += [text, table([case, "F1", "distinct", *_HEADS], rows)]
    return parts


def _unvouched(told: Mapping[str, Any]) -> list[str]:
    cases = told["cases"]
    names = list(next(iter(cases.values()))["systems"])
    rows = [[name, *(_f1_and_ap(one["systems"][name]) for one in cases.values())] for name in names]
    learnt = joined(
        [
            f"{case}: {one['learnt_from']['anomalies']:,} of {one['learnt_from']['groups']:,}"
            for case, one in cases.items()
        ]
    )
    text = (
        f"A log that nobody has called normal, as `biglog detect FILE` takes it: {told['protocol']} judged. "
        f"Anomalous windows in what is learnt from: {learnt}."
    )
    return [text, table(["F1 / AP", *cases], rows)]


def _f1_and_ap(row: Mapping[str, Any]) -> str:
    return f"{row['f1']['mean']:.3f} / {row['average_precision']['mean']:.3f}"


_FIGURES: Final = ("precision", "recall", "average_precision", "auroc")
_HEADS: Final = ("precision", "recall", "AP", "AUROC")


def _windows_in_short(told: Mapping[str, Any]) -> list[str]:
    names = ("new event", "event set", "count range", "PCA of counts", "DeepLog (LSTM on identities)", OURS)
    cases = list(told)
    rows = [
        [
            name,
            *(_f1_and_ap(told[case]["systems"][name]) for case in cases),
        ]
        for name in names
    ]
    text = (
        "Windows of lines in order of time, learnt from the normal ones at the beginning of the log: F1 / "
        "average precision."
    )
    return [text, table(["F1 / AP", *cases], rows)]


def _windows_labels(told: Mapping[str, Any]) -> list[str]:
    parts = []
    for case, one in told.items():
        kinds = sorted({kind for row in one["systems"].values() for kind in row["recall_by_kind"]})
        rows = [
            [name, *_two(row), *(_cell(row["recall_by_kind"][kind]) for kind in kinds)]
            for name, row in one["systems"].items()
        ]
        counts = one["set"]
        text = (
            f"{case} lines, with labels: {one['protocol']} ({counts['anomalies']} of {counts['groups']:,} "
            "anomalous). Where a table of counts reaches 1, nothing can be gained."
        )
        parts += [text, table([case, "F1", "distinct", *(f"recall {kind}" for kind in kinds)], rows)]
    return parts


def _hadoop(told: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, _cell(row["fault_macro_f1"]), _cell(row["binary_macro_f1"])]
        for name, row in told["systems"].items()
    ]
    text = f"Hadoop, {told['set']['groups']} applications: {told['protocol']}."
    head = ["macro-F1", "which of three faults, or none", "fault or none"]
    return [text, table(head, rows)]


def _transfer(told: Mapping[str, Any]) -> list[str]:
    pairs = told["pairs"]
    systems = list(dict.fromkeys(name for row in pairs.values() for name in row))
    rows = [
        [pair, *(_cell(row[name]["auroc"]) if name in row else "" for name in systems)]
        for pair, row in pairs.items()
    ]
    return [f"From one system to another, AUROC: {told['protocol']}.", table(["", *systems], rows)]


def _few_labels(told: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            case,
            name,
            _cell(row["labels_20"]["f1"]),
            _cell(row["all_labels"]["f1"]),
            f"{row['share_of_own']:.1%}",
            f"{row['share_of_best']:.1%}",
        ]
        for case, one in told["sets"].items()
        for name, row in one["systems"].items()
    ]
    head = ["set", "system", "F1, 20 labels", "F1, all labels", "share of own", "share of best"]
    return [f"Few labels: {told['protocol']}.", table(head, rows, texts=2)]


def _online(told: Mapping[str, Any]) -> list[str]:
    rows = [
        [case, f"{float(share):.1%}", *(_cell(row[way]["f1"]) for way in ("as fitted", "going on"))]
        for case, one in told["cases"].items()
        for share, row in one["shares"].items()
    ]
    head = ["log", "fitted on the first", "F1 as fitted", "F1 after going on"]
    return [f"Online learning: {told['protocol']}.", table(head, rows)]


def _explanations(told: Mapping[str, Any]) -> list[str]:
    rows, falls = [], []
    for domain in ("BGL", "Thunderbird"):
        for case, one in told[domain].items():
            name = f"{domain}, {case.replace('_', ' of ')}"
            labelled, deletion = one["mean"]["labelled"]["all"], one["mean"]["deletion"]
            seeds = [run["labelled"]["all"]["explanation"] for run in one["encoders"].values()]
            rows.append(
                [
                    name,
                    f"{labelled['alerts']:.0f}",
                    f"{labelled['explanation']:.3f}",
                    " / ".join(f"{seed:.3f}" for seed in seeds),
                    *(f"{labelled[rule]:.3f}" for rule in _LINE_RULES),
                ]
            )
            falls.append(
                [
                    name,
                    *(
                        f"{deletion[line][what]:.3f}"
                        for what in ("score", "raw", "silenced")
                        for line in ("explanation", "random_line")
                    ),
                    f"{deletion['more_than_random_of_several_forms']:.3f}",
                ]
            )
    head = ["top line is a labelled one", "true alerts", "explanation", "by seed", *_LINE_RULES.values()]
    deletion_head = [
        "without the named / a random line",
        *(f"{what}, {line}" for what in _FALLS for line in ("named", "random")),
        "named falls further",
    ]
    texts = (
        "Explanations: is the line that an alert names first one that is labelled?",
        "Deletion test: how far scores fall without the named line, and without a random one; *silenced*: "
        "share of alerts that are none any more; *named falls further*: of alerts with several forms.",
    )
    return [f"{texts[0]}\n\n{table(head, rows)}", texts[1], table(deletion_head, falls)]


_LINE_RULES: Final = {
    "rarest_form": "rarest form",
    "word_severity": "word severity",
    "random_line": "random line",
}
_FALLS: Final = ("score in [0, 1]", "raw score", "silenced")


def _two(row: Mapping[str, Any]) -> tuple[str, str]:
    return _cell(row["f1"]), _cell(row["distinct"]["f1"])


def _cell(value: Mapping[str, Any] | float) -> str:
    if not isinstance(value, Mapping):
        return f"{value:.3f}"
    digits = 4 if value["mean"] > 0.95 else 3
    spread = f" \u00b1 {value['sd']:.3f}" if value["sd"] >= 0.0005 else ""
    return f"{value['mean']:.{digits}f}{spread}"
