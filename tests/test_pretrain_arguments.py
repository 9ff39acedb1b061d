import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from data_path import LINES

from biglog.errors import InputError
from biglog.tokenizer import load_tokenizer
from biglog.training.arguments import ALIASES, PretrainArguments

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "recipes/configs/pretrain"

PUBLISHED_FLAGS = (
    "--num_of_proc 2 --train_data_path a.log --eval_data_path b.log --tokenizer_data_path tokens "
    "--initial_checkpoint start --output_path out --batch_size 32 --learning_rate 2e-4 --weight_decay 0.01 "
    "--epoch 3 --warm_up_ratio 0.1 --save_steps 100 --save_total_limit 5 --mlm_probability 0.2 "
    "--gradient_acc 4"
)


def test_the_flags_of_the_published_script_are_understood():
    arguments = PretrainArguments.from_command_line(PUBLISHED_FLAGS.split())
    assert (arguments.loader_workers, arguments.train_data, arguments.eval_data) == (
        2,
        ("a.log",),
        ("b.log",),
    )
    assert (arguments.tokenizer, arguments.initial_checkpoint, arguments.output_path) == (
        "tokens",
        "start",
        "out",
    )
    assert (arguments.batch_size, arguments.learning_rate, arguments.weight_decay) == (32, 2e-4, 0.01)
    assert (arguments.epochs, arguments.warmup_ratio, arguments.save_steps) == (3.0, 0.1, 100)
    assert (arguments.save_total_limit, arguments.mlm_probability) == (5, 0.2)
    assert arguments.gradient_accumulation_steps == 4


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_can_be_read_and_written_back(path):
    arguments = PretrainArguments.from_yaml(path)
    assert PretrainArguments.from_mapping(yaml.safe_load(yaml.safe_dump(arguments.to_dict()))) == arguments


def test_base_is_the_papers_recipe():
    base = PretrainArguments.from_yaml(CONFIGS / "base.yaml")
    assert base.batch_size * base.gradient_accumulation_steps * 8 == 512
    assert (base.max_steps, base.learning_rate, base.num_hidden_layers, base.hidden_size) == (
        10_000,
        2e-4,
        12,
        768,
    )


def test_the_command_line_wins_over_the_file_under_either_name():
    words = [
        "--config",
        str(CONFIGS / "smoke.yaml"),
        "--gradient_acc=2",
        "--train_data",
        "x.log, y.log",
        "--resume",
    ]
    arguments = PretrainArguments.from_command_line(words)
    assert arguments.gradient_accumulation_steps == 2
    assert arguments.train_data == ("x.log", "y.log")
    assert arguments.resume is True
    assert arguments.hidden_size == 32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rte": 1e-3}, "unknown argument 'learning_rte'. Did you mean 'learning_rate'?"),
        ({"epoch": 2, "epochs": 3}, "epochs is given twice"),
        ({"batch_size": "many"}, "batch_size must be int, not 'many'"),
        ({"batch_size": 2.5}, "batch_size must be int"),
        ({"resume": "perhaps"}, "resume must be bool"),
        ({"train_data": 7}, "train_data must be a list of texts"),
        ({"batch_size": 0}, "batch_size must be positive, not 0"),
        ({"mlm_probability": 1.5}, "mlm_probability must lie between 0 and 1"),
        ({"hidden_size": 100, "num_attention_heads": 3}, "must be a multiple of num_attention_heads"),
        ({"bf16": True, "fp16": True}, "bf16 excludes fp16"),
        ({"masking": "lines"}, "masking must be one of pieces, words, terms, not 'lines'"),
        ({"max_steps": 0, "epochs": 0}, "epochs must be positive"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(InputError) as failure:
        PretrainArguments.from_mapping(values)
    assert message in str(failure.value)


def test_hiding_whole_words_has_its_old_name_too():
    assert PretrainArguments.from_mapping({"whole_words": "true"}).masking == "words"
    assert PretrainArguments.from_mapping({"whole_words": False}).masking == "pieces"
    earlier = {k: v for k, v in PretrainArguments().to_dict().items() if k != "masking"}
    assert not PretrainArguments().differences(earlier | {"whole_words": False})
    assert "masking" in PretrainArguments().differences(earlier | {"whole_words": True})
    with pytest.raises(InputError, match="masking is given twice"):
        PretrainArguments.from_mapping({"whole_words": True, "masking": "terms"})


def test_a_file_at_fault_is_named(tmp_path):
    path = tmp_path / "run.yaml"
    for text, message in (
        ("a: [", "not YAML"),
        ("- a\n", "holds no arguments"),
        ("sed: 1\n", "Did you mean 'seed'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as failure:
            PretrainArguments.from_yaml(path)
        assert str(path) in str(failure.value)
    with pytest.raises(InputError, match="cannot be read"):
        PretrainArguments.from_yaml(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="expected a flag"):
        PretrainArguments.from_command_line(["run.yaml"])
    with pytest.raises(InputError, match="--seed is given twice"):
        PretrainArguments.from_command_line(["--seed", "1", "--seed=2"])


def test_what_decides_learning_is_told_apart_from_what_does_not():
    earlier = PretrainArguments(learning_rate=1e-3, save_steps=10).to_dict()
    now = PretrainArguments(learning_rate=2e-3, save_steps=20, resume=True)
    assert now.differences(earlier) == {"learning_rate": (1e-3, 2e-3)}


def test_aliases_lead_to_arguments():
    assert set(ALIASES.values()) <= set(PretrainArguments().to_dict())


def test_the_tokenizers_own_script(tmp_path):
    script = [sys.executable, "tokenizer_training/train.py"]
    words = [f"{LINES}/*.log", "--out", str(tmp_path), "--vocab-size", "500"]
    done = subprocess.run([*script, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(load_tokenizer(tmp_path)) <= 500
    missing = ["missing.log", "--out", str(tmp_path)]
    done = subprocess.run([*script, *missing], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "missing.log" in done.stderr
