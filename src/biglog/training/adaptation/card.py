"""The model card of an adapted model or adapter, rendered from its record alone."""

from __future__ import annotations

import re
from typing import Any, Final

from huggingface_hub import ModelCard, ModelCardData

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.training.adaptation.heads import AUTO_CLASSES

_TASKS: Final = {
    "sequence": "text-classification",
    "token": "token-classification",
    "window": "text-classification",
    "mlm": "fill-mask",
}
_WORDS: Final = {
    "sequence": "says the class of a log line",
    "token": "says the class of each word of a log line",
    "window": "says the class of a window of log lines",
    "mlm": "guesses masked tokens of log lines: an encoder that went on learning on other logs",
}
_MODES: Final = {
    "frozen": "the encoder was left as it was, and the head learnt",
    "lora": "by low-rank adapters (LoRA), and the head",
    "full": "all weights learnt",
    "ia3": "by learnt scales of activations (IA3), and the head",
    "prompt": "by learnt tokens before each line (prompt tuning), and the head",
}
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")


def render_card(record: dict[str, Any]) -> str:
    """Returns the card, YAML metadata included.

    Args:
        record: Of the run.
    """
    adapter = _is_adapter(record)
    known = record["base"] == DEFAULT_CHECKPOINT or _HUB_ID.fullmatch(record["base"])
    metadata = ModelCardData(
        base_model=record["base"] if known else None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag=_TASKS[record["head"]],
        language="en",
        tags=["biglog", "logs", f"adaptation:{record['mode']}"],
        model_name=record["name"],
    )
    parts = [_head(record), _loading(record, adapter), _data(record), _figures(record), _run(record)]
    return str(ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"))


def _is_adapter(record: dict[str, Any]) -> bool:
    return record["mode"] in ("lora", "ia3", "prompt") and not record["merged"]


def _head(record: dict[str, Any]) -> str:
    counts = record["parameters"]
    return (
        f"# {record['name']}\n\n"
        f"It {_WORDS[record['head']]}. It was made of `{record['base']}` by "
        f"[BigLog](https://pypi.org/project/biglog/), mode {record['mode']}: {_MODES[record['mode']]}. "
        f"{counts['trained']:,} of {counts['total']:,} parameters learnt ({counts['share']:.2%}; outside of "
        f"the head {counts['trained_encoder']:,}, {counts['share_encoder']:.2%})."
    )


def _loading(record: dict[str, Any], adapter: bool) -> str:
    if adapter:
        code = (
            "from biglog.training.adapt import load_adapted\n\n"
            f'adapted = load_adapted("{record["name"]}")  # it checks the base'
        )
    else:
        auto = AUTO_CLASSES[record["head"]]
        code = (
            "import biglog  # registers the model type\n"
            f"from transformers import {auto}, AutoTokenizer\n\n"
            f'model = {auto}.from_pretrained("{record["name"]}")\n'
            f'tokenizer = AutoTokenizer.from_pretrained("{record["name"]}")'
        )
    return f"## How to load it\n\n```python\n{code}\n```"


def _data(record: dict[str, Any]) -> str:
    rows = [
        "| | rows | distinct | normal forms | labels | SHA-256 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, words in (("learnt_from", "learnt from"), ("held_out", "held out")):
        part = record["data"][name]
        if "lines" in part:
            labels = ", ".join(f"{label} {count:,}" for label, count in part["labels"].items()) or "none"
            rows.append(
                f"| {words}: {part['source']} | {part['rows']:,} | {part['distinct_examples']:,} | "
                f"{part['normal_forms']:,} | {labels} | `{part['sha256'][:12]}` |"
            )
    return "## Data\n\n" + "\n".join(rows) + f"\n\nHeld out: {record['data']['split']}."


def _figures(record: dict[str, Any]) -> str:
    scores = record["held_out"]
    if scores is None:
        return "## Figures\n\nNothing was held out, so nothing was measured."
    stopped = record["training"]["best_epoch"] is not None
    note = "They also decided when training stopped, so the figures flatter it a little." if stopped else ""
    if record["head"] == "mlm":
        before = record["before"]
        return (
            f"## Figures\n\nOn {scores['labels']:,} masked tokens that were held out: accuracy "
            f"{scores['accuracy']:.3f} (before {before['accuracy']:.3f}), loss {scores['loss']:.3f} (before "
            f"{before['loss']:.3f}). {note}".rstrip()
        )
    names = ("accuracy", "balanced_accuracy", "macro_f1", "average_precision")
    told = [
        f"| {name.replace('_', ' ')} | {scores[name]:.3f} | "
        + (f"{scores['majority'][name]:.3f} |" if name in scores["majority"] else "|")
        for name in names
        if name in scores
    ]
    each = [
        f"| {name} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']:,} |"
        for name, row in scores["classes"].items()
    ]
    return "\n".join(
        [
            f"## Figures\n\nOn {scores['labels']:,} labels that were held out. {note}".rstrip(),
            "",
            "| | this model | most frequent class |\n| --- | --- | --- |",
            *told,
            "",
            "| class | precision | recall | F1 | labels |\n| --- | --- | --- | --- | --- |",
            *each,
        ]
    )


def _run(record: dict[str, Any]) -> str:
    training, machine = record["training"], record["hardware"]
    kept = "" if training["best_epoch"] is None else f", of which epoch {training['best_epoch']:g} was kept"
    return (
        f"## Training\n\n{training['steps']:,} steps, {training['epochs']:g} epochs{kept}, "
        f"{training['wall_seconds']:.1f} s ({training['lines_per_second']:,.0f} lines/s) on "
        f"{machine['processor']}, {machine['cores']} cores; seed {record['seed']}. All arguments, versions "
        "and checksums are in `adaptation.json`."
    )
