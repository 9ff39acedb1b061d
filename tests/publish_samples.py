"""Things that were trained or fitted on the tiny checkpoint, in folders."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import polars as pl
import torch
from checkpoints import TINY, tiny_encoder
from failure_logs import lines_and_failures
from peft import LoraConfig, PeftModel, TaskType, get_peft_model

from biglog import FailurePredictor
from biglog.checkpoints import checkpoint_path
from modeling_biglog import BigLogForSequenceClassification


def save_adapter(folder: Path) -> Path:
    """A LoRA adapter with a head, every weight of it drawn."""
    torch.manual_seed(0)
    base = BigLogForSequenceClassification.from_pretrained(TINY, num_labels=3)
    model = get_peft_model(base, LoraConfig(task_type=TaskType.SEQ_CLS, r=2))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def logits(folder: str | Path, base: str | Path, input_ids: torch.Tensor) -> torch.Tensor:
    """What an adapter on its base says."""
    loaded = BigLogForSequenceClassification.from_pretrained(base, num_labels=3)
    model = PeftModel.from_pretrained(loaded, str(folder)).eval()
    with torch.no_grad():
        return model(input_ids=input_ids).logits


def save_parser(folder: Path) -> Path:
    """The embedded parser alone, with a card."""
    folder.mkdir()
    for name in ("parser_config.json", "parser.safetensors"):
        shutil.copyfile(checkpoint_path() / name, folder / name)
    (folder / "README.md").write_text("---\nlibrary_name: biglog\n---\n# A parser\n")
    return folder


@cache
def history() -> tuple[pl.DataFrame, pl.DataFrame]:
    return lines_and_failures(12, 2)


@cache
def predictor() -> FailurePredictor:
    lines, failures = history()
    made = FailurePredictor(tiny_encoder(), history_seconds=3300, horizon_seconds=3600)
    return made.fit(lines, failures)


def save_predictor(folder: Path) -> Path:
    predictor().save_pretrained(folder)
    return folder
