"""Modes of adaptation, compared."""

import numpy as np
import polars as pl
import pytest
from adapt_samples import TABLES, lines
from checkpoints import TINY

from biglog.logs.masking import MASK_TOKENS
from biglog.training.adapt import AdaptArguments, Table, find_base
from biglog.training.adaptation.modes import SETTINGS, Trial, _examples, compare_modes

COLUMNS = {"sequence": "content", "window": "contents", "token": "words"}


@pytest.mark.parametrize("head", list(TABLES))
def test_modes_stand_beside_full_tuning(head, tmp_path):
    rows = TABLES[head]().rename({COLUMNS[head]: "text"})
    table = Table(rows, COLUMNS[head], "a table", "")
    base = find_base(str(TINY), head)
    seeds = [0, 1] if head == "sequence" else [0]
    found = compare_modes(
        head, lambda seed: [Trial(base, table, [table, table])], seeds, str(tmp_path), epochs=1
    )
    modes = found["modes"]
    assert set(modes) == {"frozen", "lora", "full"}
    assert modes["full"]["points_below_full"] == 0
    for row in modes.values():
        figure = row["metrics"]["macro_f1"]
        assert figure["mean"] == pytest.approx(np.mean(figure["values"]))
        assert row["points_below_full"] == pytest.approx(
            100 * (modes["full"]["metrics"]["macro_f1"]["mean"] - figure["mean"])
        )
    counts = {name: row["parameters"]["trained_encoder"] for name, row in modes.items()}
    assert 0 == counts["frozen"] < counts["lora"] < counts["full"]


def test_adapters_on_all_linear_layers_of_the_embedded_encoder_are_below_one_per_cent():
    from biglog.training.adaptation.adapters import with_adapters
    from biglog.training.adaptation.heads import build_model
    from biglog.training.adaptation.losses import parameter_counts

    told = SETTINGS["lora"]
    model = build_model(find_base(None, "sequence"), told, ("a", "b"))
    counts = parameter_counts(with_adapters(model, told))
    assert 0.005 < counts["share_encoder"] < counts["share"] <= 0.01


def test_words_under_masks_are_left_out_of_the_comparison():
    table = pl.DataFrame(
        {"text": ["open 12 as root", "open 13 as admin", "77"], "label": ["open <*> as <*>"] * 2 + ["<*>"]}
    )
    found = _examples(Table(table, "content", "a table", ""), AdaptArguments(head="token"))
    forms = found.groups.forms
    for number in range(len(found)):
        form = forms[int(found.codes(number)[0])]
        words = [form[a:b] for a, b in found.words[int(found.codes(number)[0])]]
        assert not any(token in word for word in words for token in MASK_TOKENS)
        assert [found.classes[label] for label in found.labels[number]] == [
            "constant",
            "constant",
            "parameter",
        ]
    assert len(found) == 2
    assert len(lines()) > 2
