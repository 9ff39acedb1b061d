"""What a run stands: interruptions between two points of its curve, half-written checkpoints, a full disk."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from data_path import LINES
from test_pretrain import ROOT, command, smoke
from transformers import AutoModelForMaskedLM

from biglog.errors import InputError
from biglog.training.pretrain import pretrain
from biglog.training.run_folder import RunFolder
from biglog.training.trackers import trackers

IN_A_SMALL_FILE_SYSTEM = """
mount -t tmpfs -o size={kilobytes}k tmpfs {folder} || exit 77
cd {root}
{command}
code=$?
{python} -c "
from pathlib import Path
from transformers import AutoModelForMaskedLM
from biglog.training.run_folder import RunFolder
for step, folder in sorted(RunFolder(Path('{folder}')).whole_checkpoints().items()):
    AutoModelForMaskedLM.from_pretrained(folder)
    print('whole', step)
"
exit $code
"""


class InterruptionError(Exception):
    pass


def interrupted(arguments, step, *, before):
    """Begins a run and breaks it off at a step, before or after its checkpoint is marked as whole."""
    mark_whole = RunFolder.mark_whole

    def interrupt(folder, at, clock):
        if at == step and before:
            raise InterruptionError
        mark_whole(folder, at, clock)
        if at == step:
            raise InterruptionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "mark_whole", interrupt)
        with pytest.raises(InterruptionError):
            pretrain(arguments)


def test_a_run_resumed_between_two_points_of_its_curve_has_the_same_curve(tmp_path):
    straight = pretrain(smoke(tmp_path / "straight", logging_steps=5, save_steps=12))
    interrupted(smoke(tmp_path / "run", logging_steps=5), 8, before=False)
    half = tmp_path / "run" / "checkpoint-11"  # a later one that was never finished
    shutil.copytree(tmp_path / "run" / "checkpoint-8", half, ignore=shutil.ignore_patterns("clock.json"))
    (half / "model.safetensors").write_bytes(b"half")
    resumed = pretrain(smoke(tmp_path / "run", logging_steps=5, resume=True))
    assert [point["step"] for point in resumed["curve"]] == [5, 10]
    assert resumed["curve"] == straight["curve"]
    assert not half.exists()
    one, other = (
        AutoModelForMaskedLM.from_pretrained(tmp_path / run / "tiny-biglog").state_dict()
        for run in ("straight", "run")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_goes_only_when_a_later_one_is_whole(tmp_path):
    arguments = smoke(tmp_path, save_total_limit=1)
    interrupted(arguments, 8, before=True)
    assert list(RunFolder(tmp_path).whole_checkpoints()) == [4]
    pretrain(smoke(tmp_path, save_total_limit=1, resume=True))
    assert [folder.name for folder in tmp_path.glob("checkpoint-*")] == ["checkpoint-12"]


def test_a_disk_that_fills_up_later_spares_the_checkpoint_before(tmp_path):
    """A file system of 700 kB has room for one checkpoint and not for two."""
    words = " ".join(command(tmp_path, "--max_steps", "6", "--save_steps", "2", "--eval_steps", "0"))
    script = IN_A_SMALL_FILE_SYSTEM.format(
        kilobytes=700, folder=tmp_path, root=ROOT, command=words, python=sys.executable
    )
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True)
    if "unshare" in done.stderr or done.returncode == 77:
        pytest.skip("no namespace to mount a small file system in")
    assert done.returncode == 2, done.stderr
    last = [line for line in done.stderr.splitlines() if line.startswith("pretrain_mlm:")][-1]
    assert "cannot be written" in last
    assert "checkpoint-2 is whole: go on with --resume" in last
    assert "Traceback" not in done.stderr
    assert done.stdout.split("whole") == ["", " 2\n"]


def test_a_loss_that_is_no_number_ends_the_command_with_a_message(tmp_path):
    words = command(tmp_path, "--learning_rate", "1e30", "--max_grad_norm", "1e30", "--warmup_ratio", "0")
    done = subprocess.run([*words, "--save_steps", "1"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "not a finite number at step" in last
    assert "is whole: go on with --resume" in last
    assert "Traceback" not in done.stderr


class TestTrackers:
    def test_tensorboard_gets_the_curve(self, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        record = pretrain(smoke(tmp_path, report_to="tensorboard", max_steps=4, save_steps=4))
        (events,) = tmp_path.rglob("events.out.tfevents.*")
        accumulator = EventAccumulator(str(events))
        accumulator.Reload()
        curve = [(event.step, event.value) for event in accumulator.Scalars("train/loss")]
        assert curve == [(p["step"], pytest.approx(p["loss"], rel=1e-6)) for p in record["curve"]]

    def test_one_that_is_not_installed_is_named_with_its_package(self, tmp_path):
        with pytest.raises(InputError, match=r"names wandb, which is not installed\. pip install wandb"):
            pretrain(smoke(tmp_path / "run", report_to="wandb"))
        assert not (tmp_path / "run").exists()

    def test_one_that_nobody_knows(self):
        with pytest.raises(InputError, match=r"no tracker 'tensorbored'\. Known are .*tensorboard"):
            trackers("tensorbored")
        assert trackers("none") == ()
        assert trackers("tensorboard, none") == ("tensorboard",)


def test_every_flag_of_the_published_script_in_one_run(tmp_path):
    first = pretrain(smoke(tmp_path / "first", max_steps=2, save_steps=2))
    start = tmp_path / "first" / "tiny-biglog"
    flags = {
        "num_of_proc": 1,
        "train_data_path": f"{LINES}/*.log",
        "eval_data_path": f"{LINES}/Zookeeper.log",
        "tokenizer_data_path": start,
        "initial_checkpoint": start,
        "output_path": tmp_path / "run",
        "batch_size": 8,
        "learning_rate": 2e-4,
        "weight_decay": 0.01,
        "epoch": 0.2,
        "warm_up_ratio": 0.05,
        "save_steps": 2,
        "save_total_limit": 1,
        "mlm_probability": 0.15,
        "gradient_acc": 2,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/pretrain_mlm.py"), *words, "--use_cpu", "--name", "again"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["model"]["parameters"] == first["model"]["parameters"]
    assert record["training"]["steps"] >= 1
    assert "given/Zookeeper" in record["evaluation"]["domains"]
    told = record["arguments"]
    assert (told["loader_workers"], told["epochs"], told["gradient_accumulation_steps"]) == (1, 0.2, 2)
    assert (told["warmup_ratio"], told["weight_decay"], told["save_total_limit"]) == (0.05, 0.01, 1)
    assert len(RunFolder(tmp_path / "run").whole_checkpoints()) == 1
    assert (tmp_path / "run" / "again" / "model.safetensors").is_file()
