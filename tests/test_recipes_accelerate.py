"""`accelerate launch` with the configurations of the recipes: what they say, and two real processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from transformers.models.bert import modeling_bert

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "recipes" / "configs" / "accelerate"
NAMES = sorted(path.name for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_is_read_and_its_head_shows_a_command_that_is_there(name):
    config = load_config_from_file(str(CONFIGS / name))
    assert config.num_processes % config.num_machines == 0
    assert config.num_processes > 1
    # A recipe says which precision it takes; here it would be said twice.
    assert config.mixed_precision == "no"
    head = re.sub(r"\n#\s*", " ", (CONFIGS / name).read_text())
    assert f"accelerate launch --config_file recipes/configs/accelerate/{name} " in head
    for path in re.findall(r"recipes/[\w/]+\.(?:py|yaml)", head):
        assert (ROOT / path).is_file(), path


def test_what_is_sharded_are_layers_of_the_model():
    sharding = load_config_from_file(str(CONFIGS / "fsdp.yaml")).fsdp_config
    assert sharding["fsdp_version"] == 2
    assert hasattr(modeling_bert, sharding["fsdp_transformer_layer_cls_to_wrap"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cpu.yaml", "fsdp.yaml"])
def test_two_processes_learn_what_torchrun_learns(name, tmp_path):
    recipe = [
        "recipes/pretrain_mlm.py",
        "--config",
        "recipes/configs/pretrain/smoke.yaml",
        "--max_steps",
        "6",
    ]
    launchers = {
        "accelerate": [
            "accelerate.commands.launch",
            "--config_file",
            str(CONFIGS / name),
            "--num_processes",
            "2",
        ],
        "torchrun": ["torch.distributed.run", "--nproc_per_node", "2"],
    }
    records = {}
    for port, (launcher, words) in enumerate(launchers.items(), start=29551):
        out = tmp_path / launcher
        option = "--main_process_port" if launcher == "accelerate" else "--master_port"
        command = [sys.executable, "-m", *words, option, str(port), *recipe, "--output_path", str(out)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("tiny-biglog: 6 steps") == 1
        records[launcher] = json.loads((out / "record.json").read_text())
    one, other = records.values()
    assert one["training"]["tokens"] == other["training"]["tokens"]
    assert one["evaluation"]["average_over_domains"] == other["evaluation"]["average_over_domains"]
