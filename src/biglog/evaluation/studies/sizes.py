"""How much a larger model, or more training data, is worth: variants of one recipe at equal steps, probed.

Each variant is pretrained without the domains that are probed, for fewer steps than a published checkpoint:
figures compare variants, and say little of what a whole run reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from biglog.evaluation.ablation import Plan

Train = Callable[[str, Mapping[str, object], int], Mapping[str, Any]]
"""Name of a variant, what it changes, and a seed to `probes` and `facts` of the run, each figures by name,
and to `origin`: checksums of the `files` that were learnt from or probed on, `ground_truth_versions` of the
probed domains, and the `fingerprint` of what was trained on."""

Say = Callable[[str], None]


def sizes(plan: Plan, train: Train, say: Say = lambda text: None) -> dict[str, Any]:
    """Trains and probes every variant.

    Args:
        plan: The variants.
        train: Trains and probes one.
        say: Is told what was done.

    Returns:
        Of the plan; `data` and `ground_truth_versions`; and by variant `what`, `changes`, `probes` (mean and
        deviation over seeds), `facts` (means over seeds) and `fingerprints` by seed.
    """
    variants: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name, variant in plan.variants.items():
        runs = [train(name, variant.changes, seed) for seed in plan.seeds]
        probes = _spread([run["probes"] for run in runs])
        facts = {key: one["mean"] for key, one in _spread([run["facts"] for run in runs]).items()}
        variants[name] = {"what": variant.what, "changes": variant.changes, "probes": probes, "facts": facts}
        variants[name]["fingerprints"] = [run["origin"]["fingerprint"] for run in runs]
        for run in runs:
            files |= run["origin"]["files"]
            versions |= run["origin"]["ground_truth_versions"]
        say(f"  {name}: " + ", ".join(f"{key} {one['mean']:.3f}" for key, one in probes.items()))
    told = {"protocol": " ".join((__doc__ or "").split()), "data": files, "ground_truth_versions": versions}
    return plan.as_dict() | told | {"variants": variants}


def _spread(rows: list[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "mean": float(np.mean([row[name] for row in rows])),
            "sd": float(np.std([row[name] for row in rows])),
        }
        for name in rows[0]
    }
