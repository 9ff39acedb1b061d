"""Whole runs: what is written, what a killed run goes on with, and a head that learns on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from adapt_samples import QUICK, examples_of, lines
from checkpoints import TINY
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, Trainer

from biglog.errors import CheckpointError, InputError
from biglog.training.adapt import RECORD, AdaptArguments, adapt, find_base, fit, load_adapted


def told(tmp_path, out="out", table=None, **given):
    path = tmp_path / "lines.csv"
    (lines() if table is None else table).write_csv(path)
    return AdaptArguments.from_mapping(
        QUICK | {"data": str(path), "output_path": str(tmp_path / out), "mode": "frozen"} | given
    )


def test_a_run_leaves_result_card_and_record_and_nothing_else(tmp_path):
    arguments = told(tmp_path, mode="full", save_steps=2, record_path=str(tmp_path / "again.json"), seed=3)
    record = adapt(arguments)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        "README.md",
        RECORD,
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert json.loads((tmp_path / "out" / RECORD).read_text()) == json.loads(json.dumps(record))
    assert json.loads((tmp_path / "again.json").read_text())["seed"] == 3
    assert str(tmp_path) not in json.dumps(record["data"])
    data = record["data"]
    assert data["learnt_from"]["rows"] + data["held_out"]["rows"] == len(lines())
    assert sum(data["held_out"]["labels"].values()) == record["held_out"]["labels"]
    assert record["training"]["lines_per_second"] > 0
    assert {"hardware", "versions", "git", "masking_version"} <= record.keys()
    assert 0 < record["held_out"]["majority"]["accuracy"] < 1


def test_the_card_says_what_the_record_says(tmp_path):
    record = adapt(told(tmp_path, epochs=20))
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    scores = record["held_out"]
    assert f"| accuracy | {scores['accuracy']:.3f} | {scores['majority']['accuracy']:.3f} |" in card.text
    assert f"{record['parameters']['trained']:,} of {record['parameters']['total']:,}" in card.text
    assert "AutoModelForSequenceClassification.from_pretrained" in card.text
    adapter = adapt(told(tmp_path, "adapter", mode="lora", held_out_share=0))
    assert adapter["held_out"] is None
    card = ModelCard.load(tmp_path / "adapter" / "README.md")
    assert card.data.library_name == "peft"
    assert "load_adapted" in card.text
    assert "nothing was measured" in card.text


class KilledError(Exception):
    """Stands for what ends a process."""


@pytest.mark.parametrize("given", [{"mode": "lora", "save_steps": 3}, {"mode": "full", "patience": 3}])
def test_a_killed_run_goes_on_to_the_same_result(given, tmp_path, monkeypatch):
    shared = given | {"epochs": 4, "batch_size": 12, "logging_steps": 1}
    whole = adapt(told(tmp_path, "whole", **shared))
    plain = Trainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step == 14:
            raise KilledError
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", step)
    with pytest.raises(KilledError):
        adapt(told(tmp_path, "killed", **shared))
    monkeypatch.setattr(Trainer, "training_step", plain)
    with pytest.raises(InputError, match=r"holds a run\. Add --resume"):
        adapt(told(tmp_path, "killed", **shared))
    with pytest.raises(InputError, match=r"other arguments: rank \(was 8, is 4\)"):
        adapt(told(tmp_path, "killed", **shared, rank=4, resume=True))
    gone_on = adapt(told(tmp_path, "killed", **shared, resume=True))
    assert gone_on["training"]["steps"] == whole["training"]["steps"] > 14
    name = "model.safetensors" if given["mode"] == "full" else "adapter_model.safetensors"
    one, other = (load_file(tmp_path / folder / name) for folder in ("whole", "killed"))
    for key, weight in one.items():
        assert torch.allclose(weight, other[key], atol=1e-6), key


def test_folders_that_are_in_use_are_left_alone(tmp_path):
    adapt(told(tmp_path))
    with pytest.raises(InputError, match="holds a result"):
        adapt(told(tmp_path, resume=True))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is in use"):
        adapt(told(tmp_path, "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_head_goes_on_learning_and_knows_its_labels(tmp_path):
    first = adapt(told(tmp_path, epochs=30))
    again = adapt(told(tmp_path, "again", model=str(tmp_path / "out"), epochs=1e-9, warmup_ratio=1.0))
    assert again["classes"] == first["classes"]
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "again"))
    assert torch.allclose(one["classifier.weight"], other["classifier.weight"], atol=1e-3)
    unknown = lines().with_columns(label=pl.lit("windows"))
    with pytest.raises(InputError, match=r"label 'windows' is unknown to the head.*'hadoop', 'hpc', 'unix'"):
        adapt(told(tmp_path, "third", table=unknown, model=str(tmp_path / "out")))
    with pytest.raises(InputError, match="classes a, b are not those of the head"):
        adapt(told(tmp_path, "fourth", model=str(tmp_path / "out"), classes=["a", "b"]))
    ordered = adapt(told(tmp_path, "fifth", classes=["unix", "hpc", "hadoop", "never"]))
    assert ordered["classes"] == ["unix", "hpc", "hadoop", "never"]
    assert ordered["data"]["learnt_from"]["labels"]["never"] == 0


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_an_encoder_goes_on_learning_masked_tokens_of_own_lines(mode, tmp_path):
    given = {"head": "mlm", "mode": mode, "epochs": 12, "batch_size": 8, "learning_rate": 5e-3}
    record = adapt(told(tmp_path, table=lines().select("content"), **given))
    assert record["classes"] == []
    assert record["before"]["labels"] == record["held_out"]["labels"] > 5
    assert record["held_out"]["loss"] != record["before"]["loss"]
    if mode == "full":
        assert record["held_out"]["loss"] < record["before"]["loss"]
        model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
        decoder = model.cls.predictions.decoder.weight
        assert decoder is model.bert.embeddings.word_embeddings.weight
    else:
        assert load_adapted(tmp_path / "out").head == "mlm"
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"(before {record['before']['accuracy']:.3f})" in card


def test_masks_change_with_the_epoch_and_evaluation_never_does():
    from biglog.training.adaptation.language import LineRows, segments_of
    from biglog.training.adaptation.order import EpochOrder

    base = find_base(str(TINY), "mlm")
    arguments = AdaptArguments.from_mapping(QUICK | {"head": "mlm", "mode": "full"})
    forms = examples_of(lines(), arguments).groups.forms.to_list()
    model = AutoModelForMaskedLM.from_pretrained(TINY)
    order = EpochOrder(len(forms), 0)
    rows = LineRows(segments_of(forms, base.tokenizer, model), order)
    first = [rows[n]["draw"] for n in range(len(rows))]
    order.set_epoch(1)
    assert not set(first) & {rows[n]["draw"] for n in range(len(rows))}


def test_distinct_rows_are_learnt_once_and_weigh_by_their_count(tmp_path):
    arguments = told(tmp_path, distinct=True, count_power=1.0, batch_size=0, epochs=15, learning_rate=1e-2)
    once = fit(find_base(str(TINY), "sequence"), examples_of(lines(), arguments), None, arguments)
    every = told(tmp_path, batch_size=0, epochs=15, learning_rate=1e-2)
    whole = fit(find_base(str(TINY), "sequence"), examples_of(lines(), every), None, every)
    assert np.allclose(
        once.model.classifier.weight.detach(), whole.model.classifier.weight.detach(), atol=1e-5
    )


def test_a_table_of_its_own_is_held_out(tmp_path):
    lines().head(12).write_csv(tmp_path / "test.csv")
    record = adapt(told(tmp_path, eval_data=str(tmp_path / "test.csv")))
    assert record["data"]["learnt_from"]["rows"] == len(lines())
    assert record["data"]["held_out"]["rows"] == 12
    assert record["data"]["split"] == "a table of its own"
    lines().head(3).with_columns(label=pl.lit("solaris")).write_csv(tmp_path / "odd.csv")
    with pytest.raises(InputError, match="label 'solaris' is unknown to the head"):
        adapt(told(tmp_path, "other", eval_data=str(tmp_path / "odd.csv")))


def test_a_checkpoint_without_a_head_of_ours_is_told(tmp_path):
    assert load_adapted(TINY).head == "mlm"
    folder = tmp_path / "encoder"
    shutil.copytree(TINY, folder)
    config = json.loads((TINY / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BigLogModel"]}))
    with pytest.raises(CheckpointError, match="it has no head"):
        load_adapted(folder)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_batches_twice_as_large(tmp_path):
    """With classes of other weights; 80 rows are whole batches, as the library fills up others."""
    path = tmp_path / "lines.csv"
    lines().head(80).write_csv(path)
    found = []
    for count, batch in ((1, 16), (2, 8)):
        out = tmp_path / f"processes-{count}"
        words = ["--data", str(path), "--model", str(TINY), "--mode", "lora", "--batch_size", str(batch)]
        words += ["--class_weights", "hpc=3", "--held_out_share", "0", "--dropout", "0", "--epochs", "2"]
        launched = ["-m", "torch.distributed.run", "--nproc_per_node", str(count), "recipes/fine_tuning.py"]
        command = [sys.executable, *launched, *words, "--out", str(out), "--use_cpu"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("parameters learnt") == 1
        found.append(load_file(out / "adapter_model.safetensors"))
    for name, weight in found[0].items():
        assert torch.allclose(weight, found[1][name], atol=1e-5), name


def test_the_configurations_of_the_recipe_are_understood(tmp_path):
    folder = Path("recipes/configs/adapt")
    told_ = {path.stem: AdaptArguments.from_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    assert {"smoke", "base", "paper", "domain"} <= told_.keys()
    assert all(
        told_[name].epochs == 2 and 0.5e-4 <= told_[name].rate <= 10e-4 for name in told_ if "paper" in name
    )
    assert {told_[name].batch_size for name in told_ if "paper" in name} == {8, 32}
    smoke = told_["smoke"].changed({"output_path": str(tmp_path / "smoke")})
    assert adapt(smoke)["parameters"]["trained_encoder"] > 0
