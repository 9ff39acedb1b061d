"""Ablations: the plan, and the flat numbers of the probes."""

from pathlib import Path

import numpy as np
import pytest
from data_path import DATA, needs_data

from biglog.errors import InputError
from biglog.evaluation.ablation import flat_probes, mean_of, read_plan
from biglog.training.arguments import PretrainArguments

ROOT = Path(__file__).parents[1]
PLAN = ROOT / "recipes/configs/ablation/mini.yaml"


def test_every_variant_of_the_plan_is_a_run():
    plan = read_plan(PLAN)
    base = PretrainArguments.from_yaml(PLAN.parent / plan.base, max_steps=plan.steps)
    changed = {name: base.changed(variant.changes) for name, variant in plan.variants.items()}
    assert next(iter(changed.values())) == base
    assert len({str(arguments.to_dict()) for arguments in changed.values()}) == len(changed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("base: a\n", "lacks 'leave_out'"),
        ("[]", "no ablation"),
        ("base: [", "no ablation"),
        ("base: a\nleave_out: [BGL]\nsteps: many\nseeds: [0]\nvariants: {}\n", "no ablation"),
    ],
)
def test_a_plan_that_is_none_is_named(tmp_path, text, problem):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_plan(tmp_path / "plan.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml")


def test_runs_of_a_variant_are_averaged():
    runs = [{"probes": {"a": 1.0}, "cpu_seconds": 2.0}, {"probes": {"a": 0.0}, "cpu_seconds": 4.0}]
    assert mean_of(runs) == {"probes": {"a": 0.5}, "cpu_seconds": 3.0}


@needs_data
def test_probes_are_flat_numbers_of_the_tested_domains():
    def letters(texts):
        counts = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return np.array(counts, dtype=np.float32) + 0.1

    found = flat_probes(letters, letters, DATA, ["Apache"])
    assert set(found) == {"1-shot events", "1-shot novel keys", "5-shot events", "5-shot novel keys"} & set(
        found
    )
    assert 0.5 < found["1-shot events"] <= 1
