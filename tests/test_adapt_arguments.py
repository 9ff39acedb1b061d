"""What an adaptation can be told, and what it refuses."""

import dataclasses

import pytest

from biglog.errors import InputError
from biglog.training.adapt import HEADS, MODES, AdaptArguments


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"haed": "token"}, "unknown argument 'haed'. Did you mean 'head'"),
        ({"zzzz": 1}, "See AdaptArguments for the names"),
        ({"head": "tokens"}, "head must be one of sequence, token, window, mlm, not 'tokens'"),
        ({"mode": "qlora"}, "mode must be one of"),
        ({"mode": "lora", "adaptation": "full"}, "mode is given twice"),
        ({"head": "mlm", "mode": "frozen"}, "mode must be lora, ia3 or full for head mlm"),
        ({"head": "window", "mode": "prompt"}, "prompt is for head sequence alone"),
        ({"mode": "prompt", "merge": True}, "merge is not for mode prompt"),
        ({"mode": "lora", "batch_size": 0}, "batch_size must be positive"),
        ({"mode": "frozen", "cached": False, "batch_size": 0}, "batch_size must be positive"),
        ({"patience": 2, "held_out_share": 0}, "patience needs held-out rows"),
        ({"held_out_share": 1}, "held_out_share must be"),
        ({"classes": "a,b,a"}, "classes must differ"),
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"learning_rate": "fast"}, "learning_rate must be float, not 'fast'"),
        ({"epochs": 0}, "epochs must be positive"),
        ({"bf16": True, "fp16": True}, "bf16 excludes fp16"),
        ({"masking": "terms"}, "masking must be one of pieces, words"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, problem):
    with pytest.raises(InputError, match=problem):
        AdaptArguments.from_mapping(values)


def test_yaml_command_line_and_library_say_the_same(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("head: window\nmode: full\nlearning_rate: 5.0e-5\nclasses: [a, b]\ndropout: null\n")
    said = AdaptArguments.from_command_line(
        ["--config", str(path), "--batch-size", "8", "--out=x", "--merge"]
    )
    wanted = AdaptArguments(
        head="window",
        mode="full",
        learning_rate=5e-5,
        classes=("a", "b"),
        batch_size=8,
        output_path="x",
        merge=True,
    )
    assert said == wanted
    assert AdaptArguments.from_mapping(wanted.to_dict()) == wanted


def test_each_mode_has_a_rate_that_can_be_overruled():
    assert all(AdaptArguments(mode=mode).rate > 0 for mode in MODES)
    assert AdaptArguments(learning_rate=0.5).rate == 0.5


def test_every_argument_is_described():
    described = AdaptArguments.__doc__ or ""
    for field in dataclasses.fields(AdaptArguments):
        assert f"        {field.name}: " in described, field.name
    assert {f"``{head}``" in described for head in HEADS} == {True}
