"""Zero-shot: every task in systems of which no label was seen, gathered from the results of the tasks.

Nothing is measured here. Parsing: taught by other folds' domains. Same event: the rule of another domain, by
vectors alone. Severity: learnt from log statements. Detection: learnt from the labels of another system.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from biglog.data.run_facts import read_json
from biglog.evaluation.anomaly.systems import OURS
from biglog.evaluation.studies.transfer import MINILM, TRIVIAL, WORDS

RULE: Final = "a rule"
ROWS: Final = (OURS, WORDS, MINILM, RULE)

PARSING, TRANSFER, PROBES, DETECTION = (
    "parsing.json",
    "study_transfer.json",
    "probes_biglog-mini.json",
    "anomaly.json",
)


def zero_shot(results: Path) -> dict[str, Any]:
    """Gathers the scores.

    Args:
        results: The folder of results.

    Returns:
        `measures`: of each its title, what is meant, the result file and `scores` by system; `from`: the
        commit of each file.

    Raises:
        InputError: A result is missing or cannot be read.
    """
    read = {name: read_json(results / name) for name in (PARSING, TRANSFER, PROBES, DETECTION)}
    measures = [
        *_parsing(read[PARSING]),
        _same_event(read[TRANSFER]),
        _severity(read[PROBES]),
        *_detection(read[DETECTION]),
    ]
    commits = {name: (result.get("git") or {}).get("commit") for name, result in read.items()}
    return {"protocol": " ".join((__doc__ or "").split()), "measures": measures, "from": commits}


def _measure(title: str, meant: str, file: str, scores: Mapping[str, float], rule: str) -> dict[str, Any]:
    return {"title": title, "meant": meant, "file": file, "scores": dict(scores), "rule": rule}


def _parsing(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    version, told = next(iter(result["ground_truths"].items()))
    systems = told["systems"]
    return [
        _measure(
            f"Parsing\n{metric}",
            f"{metric}, mean of 16 domains, ground truth {version}",
            PARSING,
            {
                OURS: systems["BigLog, zero-shot"]["means"]["none"][metric]["mean"],
                RULE: systems["Drain3"]["means"]["none"][metric]["mean"],
            },
            "Drain3",
        )
        for metric in ("GA", "FTA")
    ]


def _same_event(result: Mapping[str, Any]) -> dict[str, Any]:
    names = {OURS: OURS, WORDS: WORDS, MINILM: MINILM, RULE: TRIVIAL}
    scores = {row: result["systems"][name]["mean"] for row, name in names.items()}
    meant = "F1 of pairs of normal forms that are one event, mean of 16 x 15 pairs of domains"
    return _measure("Same event?\nF1 of pairs", meant, TRANSFER, scores, TRIVIAL)


def _severity(result: Mapping[str, Any]) -> dict[str, Any]:
    names = {OURS: "biglog-mini", WORDS: "masked word TF-IDF", MINILM: MINILM, RULE: "exact lookup"}
    modes = result["severity"]["modes"]["statements"]["scores"]
    scores = {row: modes[name]["mean"]["value"] for row, name in names.items() if name in modes}
    meant = "area under the ROC curve, warning or worse, learnt from log statements, mean over domains"
    return _measure("Severity\nAUROC", meant, PROBES, scores, "exact lookup")


def _detection(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    pairs = result["transfer"]["pairs"]
    learnt = {name: row for name, row in pairs.items() if not name.startswith("none")}
    names = {OURS: f"{OURS}, trouble and rarity", WORDS: "words in place of the encoder"}
    found = []
    for metric, title in (("auroc", "AUROC"), ("average_precision", "av. precision")):
        scores = {
            row: float(np.mean([pair[name][metric]["mean"] for pair in learnt.values()]))
            for row, name in names.items()
        }
        rules = [
            row["worst word severity"][metric]["mean"] for name, row in pairs.items() if name not in learnt
        ]
        meant = f"{title}, mean of {len(learnt)} pairs of systems"
        scores[RULE] = float(np.mean(rules))
        found.append(_measure(f"Detection\n{title}", meant, DETECTION, scores, "worst word severity"))
    return found
