"""How well the unlabelled ranking finds labelled alerts, beside trivial rules on the same events.

Labels are read for scoring only; nothing was tuned on these logs. A line has the score of its event.

Example: python benchmarks/odd_lines.py --data ../shared/data
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import arguments, sha256, write
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, roc_auc_score

from biglog.checkpoints import checkpoint_path
from biglog.inference.census import Census
from biglog.inference.encoder import LogEncoder
from biglog.inference.events import Events
from biglog.inference.evidence import weigh
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.tasks.anomaly import evidence as anomaly
from biglog.tasks.parsing.head import load_head

LOGS = {
    "BGL_100k": "anomaly/bgl/BGL_100k.log.gz",
    "Thunderbird_19k": "anomaly/thunderbird/Thunderbird_19k.log.gz",
}
SEED, DRAWS = 0, 100

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


def scores(events: Events, encoder: LogEncoder) -> dict[str, NDArray[np.float64]]:
    """Scores of each event, ours and the rules'."""
    evidence = weigh(events, encoder)
    vectors = (
        TfidfVectorizer(token_pattern=r"[^\s]+").fit_transform(events.forms).toarray().astype(np.float32)
    )
    common = np.flatnonzero(anomaly.is_common(events.counts, events.severities))
    distance, _ = anomaly.nearest(vectors, common)
    level = np.array([anomaly.LEVEL_SEVERITY.get(name or "", 0.0) for name in events.levels])
    return {
        "biglog analyze": evidence.scores,
        "without embeddings": anomaly.combine({k: v for k, v in evidence.pieces.items() if k != "isolation"}),
        "embedding distance alone": np.nan_to_num(evidence.distance),
        "TF-IDF distance alone": np.nan_to_num(distance),
        "rarity alone": evidence.pieces["rarity"],
        "severity (level and words) alone": evidence.pieces["severity"],
        "header level alone": level,
    }


def metrics(alert: Flags, event: Indices, positive: Flags, values: NDArray[np.float64]) -> dict[str, float]:
    """Both metrics over lines and over events."""
    return {
        "line_auc": round(float(roc_auc_score(alert, values[event])), 4),
        "line_average_precision": round(float(average_precision_score(alert, values[event])), 4),
        "event_auc": round(float(roc_auc_score(positive, values)), 4),
        "event_average_precision": round(float(average_precision_score(positive, values)), 4),
    }


def chance(alert: Flags, event: Indices, positive: Flags) -> dict[str, float]:
    """What random scores reach on average: single draws differ widely, as few events hold most lines."""
    draw = np.random.default_rng(SEED)
    rows = [metrics(alert, event, positive, draw.random(len(positive))) for _ in range(DRAWS)]
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def evaluate(path: Path, encoder: LogEncoder, limit: int) -> dict[str, Any]:
    """Scores one log by its label column."""
    census = Census(with_values=False)
    frames = []
    for batch in read_logs(path):
        census.add(batch)
        frames.append(batch.frame.select("content", alert=pl.col("label") != "-"))
        if limit and census.lines >= limit:
            break
    events, lines = Events(census, None, load_head(checkpoint_path())), pl.concat(frames)
    code = {form: index for index, form in enumerate(census.forms)}
    event = events.event_of[[code[form] for form in normal_forms(lines["content"])]]
    alert = lines["alert"].to_numpy()
    positive = np.zeros(len(events), dtype=bool)
    positive[event[alert]] = True
    rows = {name: metrics(alert, event, positive, values) for name, values in scores(events, encoder).items()}
    rows["random, mean of draws"] = chance(alert, event, positive)
    counts = {
        "lines": len(lines),
        "alerts": int(alert.sum()),
        "events": len(events),
        "alert_events": int(positive.sum()),
    }
    return counts | {"sha256": sha256(path), "scores": rows}


def main() -> int:
    """Runs the comparison, prints a table and writes the result."""
    options = arguments(__doc__, "odd_lines.json").parse_args()
    encoder = LogEncoder.from_pretrained()
    logs = {name: evaluate(options.data / path, encoder, options.limit) for name, path in LOGS.items()}
    for name, log in logs.items():
        alerts = (
            f"{log['alerts']:,} of {log['lines']:,} lines, {log['alert_events']} of {log['events']} events"
        )
        print(f"{name}: {alerts}")
        for rule, row in log["scores"].items():
            print(f"  {rule:34} " + "  ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    protocol = "unsupervised; labels for scoring only, no tuning; an event is an alert if a line of it is"
    result = {
        "schema": "biglog-odd-lines/1",
        "model": encoder.name,
        "seed": SEED,
        "protocol": protocol,
        "logs": logs,
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
