import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from data_path import LINES
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, pipeline

from biglog.checkpoints import checkpoint_path
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.tokenizer import load_tokenizer, without_masks
from biglog.training.arguments import PretrainArguments
from biglog.training.prepared import prepare
from biglog.training.pretrain import pretrain
from biglog.training.run_folder import RunFolder
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "recipes/configs/pretrain/smoke.yaml"


def smoke(output, **changes):
    data = [f"{LINES}/*.log"]
    settings = {
        "output_path": str(output),
        "train_data": data,
        "threads": 0,
        "max_steps": 12,
        "save_steps": 4,
    }
    return PretrainArguments.from_yaml(SMOKE, **(settings | {"logging_steps": 1, "eval_steps": 0} | changes))


def command(output, *flags):
    words = ["--config", str(SMOKE), "--output_path", str(output), *flags]
    return [sys.executable, str(ROOT / "recipes/pretrain_mlm.py"), *words]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its folder and its record."""
    output = tmp_path_factory.mktemp("run")
    record_path = output / "copy" / "pretrain.json"
    return output, pretrain(smoke(output, eval_steps=6, record_path=str(record_path)))


def test_the_checkpoint_loads_everywhere(run):
    folder = run[0] / "tiny-biglog"
    assert {file.name for file in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoding = tokenizer("generating core.2275", return_tensors="pt")
    assert AutoModel.from_pretrained(folder)(**encoding).pooler_output.shape == (1, 32)
    assert AutoModelForMaskedLM.from_pretrained(folder)(**encoding).logits.shape[-1] == len(tokenizer)


def test_pipelines_load_the_checkpoint(run):
    folder = str(run[0] / "tiny-biglog")
    guesses = pipeline("fill-mask", model=folder)("generating [MASK].2275")
    assert len(guesses) == 5
    features = pipeline("feature-extraction", model=folder)("generating core.2275")
    assert len(features[0][0]) == 32


def test_the_record_says_what_was_done(run):
    output, record = run
    assert json.loads((output / "record.json").read_text()) == json.loads(json.dumps(record))
    assert (output / "copy" / "pretrain.json").read_text() == (output / "record.json").read_text()
    assert record["schema"] == "biglog-pretraining/1"
    assert record["training"]["steps"] == 12
    assert record["training"]["cpu_seconds"] > 0
    assert 12 * 4 * 100 < record["training"]["tokens"] <= 12 * 4 * 192
    assert [point["step"] for point in record["curve"]] == list(range(1, 13))
    assert [point["step"] for point in record["evaluations"]] == [6, 12]
    assert len(record["data"]["sources"]) == 16
    assert record["model"]["parameters"] == sum(
        p.numel() for p in AutoModelForMaskedLM.from_pretrained(output / "tiny-biglog").parameters()
    )
    assert record["masking_version"]
    assert not [value for value in _texts(record) if str(output) in value], "a record names no private path"


def _texts(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_learning_beats_what_it_started_from(run):
    average = run[1]["evaluation"]["average_over_domains"]
    assert average["model"]["loss"] < average["random_initialisation"]["loss"]
    assert average["model"]["tokens"] == average["unigram"]["tokens"] > 50
    assert run[1]["curve"][-1]["loss"] < run[1]["curve"][0]["loss"]


def test_the_first_loss_is_that_of_guessing_among_all_tokens(run):
    assert run[1]["curve"][0]["loss"] == pytest.approx(math.log(run[1]["model"]["vocab_size"]), abs=0.3)


def test_interrupted_and_resumed_gives_the_same_curve_and_weights(run, tmp_path):
    class InterruptionError(Exception):
        pass

    def interrupt(folder, step, clock):
        mark_whole(folder, step, clock)
        if step == 8:
            raise InterruptionError

    mark_whole = RunFolder.mark_whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "mark_whole", interrupt)
        with pytest.raises(InterruptionError):
            pretrain(smoke(tmp_path, eval_steps=6))
    record = pretrain(smoke(tmp_path, eval_steps=6, resume=True, save_steps=5))
    assert record["curve"] == run[1]["curve"]
    assert record["evaluations"] == run[1]["evaluations"]
    assert record["training"]["tokens"] == run[1]["training"]["tokens"]
    mine, other = (AutoModelForMaskedLM.from_pretrained(f / "tiny-biglog") for f in (tmp_path, run[0]))
    for name, weight in mine.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed(tmp_path):
    """SIGKILL while a checkpoint may be half-written; the half-written one is not resumed from."""
    process = subprocess.Popen(
        command(tmp_path, "--save_steps", "1", "--logging_steps", "1"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("step 20/"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    whole = RunFolder(tmp_path).whole_checkpoints()
    assert whole
    done = subprocess.run(
        command(tmp_path, "--resume", "--logging_steps", "1"), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    straight = pretrain(
        smoke(
            tmp_path / "straight",
            max_steps=60,
            threads=1,
            logging_steps=1,
            train_data=["tests/data/loghub/*.log"],
            data_root=str(ROOT),
        )
    )
    assert [p["loss"] for p in record["curve"]] == pytest.approx(
        [p["loss"] for p in straight["curve"]], rel=1e-5
    )


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one_at_the_same_global_batch(tmp_path):
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        "29533",
    ]
    flags = ["--batch_size", "2", "--max_steps", "10", "--logging_steps", "1", "--eval_steps", "0"]
    two = subprocess.run(
        [*torchrun, *command(tmp_path / "two", *flags)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert two.returncode == 0, two.stderr[-2000:]
    flags[1] = "4"
    subprocess.run(command(tmp_path / "one", *flags), cwd=ROOT, check=True, capture_output=True)
    curves = [json.loads((tmp_path / n / "record.json").read_text())["curve"] for n in ("one", "two")]
    assert [p["loss"] for p in curves[1]] == pytest.approx([p["loss"] for p in curves[0]], rel=1e-4)


def test_accumulated_batches_give_the_curve_of_large_ones(run, tmp_path):
    record = pretrain(smoke(tmp_path, batch_size=1, gradient_accumulation_steps=4))
    losses = [point["loss"] for point in run[1]["curve"]]
    assert [point["loss"] for point in record["curve"]] == pytest.approx(losses, rel=1e-4)


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_last_checkpoint(tmp_path):
    with pytest.raises(InputError, match="not a finite number at step") as failure:
        pretrain(
            smoke(
                tmp_path,
                learning_rate=1e30,
                max_grad_norm=1e30,
                warmup_ratio=0,
                save_steps=1,
                lowercase=False,
            )
        )
    whole = RunFolder(tmp_path).whole_checkpoints()
    assert "Lower learning_rate" in str(failure.value)
    assert not (tmp_path / "record.json").exists()
    for folder in whole.values():
        model = AutoModelForMaskedLM.from_pretrained(folder)
        assert all(torch.isfinite(weight).all() for weight in model.parameters())


def test_a_full_disk_names_the_place_and_spares_the_last_checkpoint(tmp_path):
    """A limit on the size of a file is the nearest thing to a full disk that needs no privilege."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "sys.path.insert(0, 'recipes'); from pretrain_mlm import main; sys.exit(main(sys.argv[1:]))"
    )
    flags = ["--max_steps", "4", "--save_steps", "2"]
    words = [sys.executable, "-c", code, *command(tmp_path, *flags)[2:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr.splitlines()[-1]
    assert "There is no checkpoint yet" in done.stderr
    assert not RunFolder(tmp_path).whole_checkpoints()
    assert not (tmp_path / "tiny-biglog").exists()


def test_a_folder_that_holds_a_run_is_not_written_over(run):
    with pytest.raises(InputError, match="holds a run"):
        pretrain(smoke(run[0]))
    with pytest.raises(InputError, match="finished"):
        pretrain(smoke(run[0], resume=True))


def test_changed_arguments_and_changed_lines_are_refused_on_resume(tmp_path):
    log = tmp_path / "data" / "some.log"
    log.parent.mkdir()
    lines = [line for file in sorted(LINES.glob("*.log")) for line in file.read_bytes().splitlines()]
    log.write_bytes(b"\n".join(lines))
    settings = {"train_data": [str(log)], "max_steps": 4, "save_steps": 2}
    output = tmp_path / "run"
    pretrain(smoke(output, **settings))
    (output / "record.json").unlink()
    with pytest.raises(InputError, match=r"learning_rate \(was 0\.003, is 0\.1\)"):
        pretrain(smoke(output, resume=True, learning_rate=0.1, **settings))
    log.write_bytes(b"\n".join([*lines, b"a line of another kind"]))
    with pytest.raises(InputError, match="training lines differ"):
        pretrain(smoke(output, resume=True, **settings))
    (output / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        pretrain(smoke(output, resume=True, **settings))


def test_too_few_lines_are_an_error(tmp_path):
    (tmp_path / "small.log").write_text("".join(f"request {i} served\n" for i in range(1, 1000)))
    with pytest.raises(InputError, match=r"only 1 distinct normal forms"):
        pretrain(smoke(tmp_path / "run", train_data=[str(tmp_path / "small.log")], held_out_share=0.001))


def test_eval_data_is_evaluated_on_and_not_trained_on(tmp_path):
    prepared = prepare(smoke(tmp_path, eval_data=[f"{LINES}/BGL.log"]))
    assert "given/BGL" in prepared.held_out.rows
    assert prepared.corpus.exclusions[0].remaining == 0
    assert prepared.corpus.exclusions[0].dropped > 0


def test_epochs_become_steps(tmp_path):
    record = pretrain(smoke(tmp_path, max_steps=0, epochs=2, train_data=[f"{LINES}/*.log"]))
    drawn = record["training"]["tokens"] / record["data"]["train_tokens"]
    assert drawn == pytest.approx(2, rel=0.4)


class TestInitialCheckpoint:
    def test_training_goes_on_from_it_with_its_tokenizer(self, run, tmp_path):
        start = run[0] / "tiny-biglog"
        record = pretrain(
            smoke(tmp_path, initial_checkpoint=str(start), max_steps=2, learning_rate=1e-9, hidden_size=64)
        )
        assert record["model"]["hidden_size"] == 32
        assert record["evaluation"]["average_over_domains"]["model"] == pytest.approx(
            run[1]["evaluation"]["average_over_domains"]["model"], rel=1e-3
        )

    def test_another_vocabulary_is_refused(self, run, tmp_path):
        config = BigLogConfig(
            vocab_size=99, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16
        )
        BigLogForMaskedLM(config).save_pretrained(tmp_path / "other")
        arguments = smoke(
            tmp_path / "run",
            initial_checkpoint=str(tmp_path / "other"),
            tokenizer=str(run[0] / "tiny-biglog"),
        )
        with pytest.raises(CheckpointError, match="embeds 99 tokens"):
            pretrain(arguments)

    def test_too_few_positions_are_refused(self, run, tmp_path):
        arguments = smoke(
            tmp_path, initial_checkpoint=str(run[0] / "tiny-biglog"), max_position_embeddings=160
        )
        with pytest.raises(CheckpointError, match="150 positions"):
            pretrain(arguments)

    def test_a_folder_that_is_none_is_refused(self, run, tmp_path):
        arguments = smoke(tmp_path, initial_checkpoint=str(LINES), tokenizer=str(run[0] / "tiny-biglog"))
        with pytest.raises(CheckpointError, match="cannot be read"):
            pretrain(arguments)


def test_an_output_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        pretrain(smoke(tmp_path / "file" / "run"))


def test_the_embedded_checkpoint_is_that_of_its_record_and_masks_as_this_version_does():
    folder = checkpoint_path()
    record = json.loads((ROOT / "results/pretrain_biglog-mini.json").read_text())
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 25e6
    assert record["training"]["steps"] == record["arguments"]["max_steps"]
    assert record["arguments"]["leave_out"] == []
    assert all(exclusion["remaining"] == 0 for exclusion in record["data"]["exclusions"])
    tokenizer = load_tokenizer(folder)
    without_masks(tokenizer)  # refuses another table of masks
    assert len(tokenizer) == record["model"]["vocab_size"]
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert sum(weight.numel() for weight in model.parameters()) == record["model"]["parameters"]


def test_the_embedded_checkpoint_guesses_what_logs_say():
    guess = pipeline("fill-mask", model=str(checkpoint_path()))
    best = guess("Failed [MASK] for root from [IP] port [NUM] ssh2")[0]
    assert best["token_str"] == "password"
    embedded = pipeline("feature-extraction", model=str(checkpoint_path()))
    assert len(embedded("session closed")[0][0]) == embedded.model.config.hidden_size


@pytest.mark.xfail(reason="the present checkpoint was trained for ten CPU minutes, and guesses tokens poorly")
def test_the_embedded_checkpoint_was_trained_for_half_an_hour():
    record = json.loads((ROOT / "results/pretrain_biglog-mini.json").read_text())
    assert record["training"]["cpu_seconds"] >= 30 * 60


@pytest.mark.xfail(reason="the present checkpoint's token head is worse than that of the first one")
def test_the_embedded_checkpoint_guesses_what_happens_to_sessions():
    guess = pipeline("fill-mask", model=str(checkpoint_path()))
    assert guess("session [MASK] for user root by (uid=0)")[0]["token_str"] == "opened"
