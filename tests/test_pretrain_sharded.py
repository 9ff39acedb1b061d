"""Sharded models: two real processes, without an accelerator."""

import subprocess
import sys
from pathlib import Path

import pytest

from biglog.errors import InputError
from biglog.training.arguments import PretrainArguments
from biglog.training.trainer import training_arguments

TESTS = Path(__file__).parent
CONFIGS = TESTS.parent / "recipes/configs/pretrain"


def test_a_sharded_model_is_put_together_in_every_process():
    words = ["--nproc_per_node", "2", "--master_port", "29537", str(TESTS / "sharded_worker.py")]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words], capture_output=True, text=True, cwd=TESTS
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("whole False") == 2


def test_the_words_for_sharding_become_the_librarys_settings(tmp_path):
    base = PretrainArguments.from_yaml(CONFIGS / "base_fsdp.yaml", output_path=str(tmp_path), bf16=False)
    plugin = training_arguments(base).fsdp_plugin_args
    assert plugin["fsdp_version"] == 2
    assert plugin["reshard_after_forward"] is True
    assert plugin["transformer_cls_names_to_wrap"] == "BertLayer"
    with pytest.raises(InputError, match="fsdp knows no half_shard"):
        training_arguments(PretrainArguments(output_path=str(tmp_path), fsdp="half_shard auto_wrap"))


def test_the_sharded_recipe_differs_from_the_papers_in_sharding_alone():
    base = PretrainArguments.from_yaml(CONFIGS / "base.yaml").to_dict()
    sharded = PretrainArguments.from_yaml(CONFIGS / "base_fsdp.yaml").to_dict()
    changed = {name for name in base if base[name] != sharded[name]}
    assert changed == {"name", "output_path", "fsdp"}
