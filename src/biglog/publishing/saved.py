"""What was saved in a folder (adapter, detector, predictor, parser), laid out as a repository.

Each names what it stands on: an adapter its base model, a detector or predictor its encoder. Others must be
able to load that, so it is an id on the Hub or the checkpoint that the package carries, and no folder here.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.errors import CheckpointError, InputError
from biglog.hub import check_card
from biglog.publishing import kinds
from biglog.publishing.checks import Place, check_no_pickles, check_no_places, places
from biglog.publishing.front_matter import front_matter
from biglog.publishing.predictor_card import predictor_card
from biglog.repository import CARD, check_repo_id, writing

_BASE: Final[Mapping[str, tuple[str, str]]] = {
    "adapter": (kinds.ADAPTER_CONFIG, "base_model_name_or_path"),
    "detector": (kinds.DETECTOR_CONFIG, "encoder"),
    "predictor": (kinds.PREDICTOR_CONFIG, "encoder"),
}
"""Where each kind names what it stands on: file and field."""

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "adapter": (kinds.ADAPTER_CONFIG, kinds.ADAPTER_WEIGHTS),
    "detector": (kinds.DETECTOR_CONFIG, "detector.safetensors"),
    "predictor": (kinds.PREDICTOR_CONFIG, "predictor.safetensors"),
    "parser": (kinds.PARSER_CONFIG, "parser.safetensors"),
}
_SENT: Final = (".json", ".safetensors", ".skops", ".md", ".txt", ".yaml", ".svg", ".png", "")
_PRIVATE: Final = ("alerts.json",)
"""Groups of the logs that were judged: they stay."""


def lay_out(
    kind: str, source: Path, folder: Path, base: str | None = None, *, hide_paths: bool = False
) -> list[str]:
    """Copies what was saved into an empty folder, as it will be published, and checks it.

    Args:
        kind: One of `biglog.publishing.kinds.KINDS` that is saved in a folder.
        source: That folder.
        folder: Where to; it is empty.
        base: Id on the Hub of what it stands on; None keeps what it names.
        hide_paths: Keep only the last part of other paths of this machine.

    Returns:
        Names of files and folders that stay here.

    Raises:
        CheckpointError: A file is missing or damaged, or the card is.
        InputError: What it stands on is unknown, or a file is a pickle or names a path of this machine.
    """
    _check_whole(kind, source)
    left = []
    for path in sorted(source.iterdir()):
        if path.is_file() and _is_sent(path):
            with writing(folder):
                shutil.copyfile(path, folder / path.name)
        else:
            left.append(path.name)
    _write_card(kind, folder)
    _name_base(kind, source, folder, base)
    check_card(folder / CARD, kind)
    check_no_pickles(folder, source)
    if hide_paths:
        for place in list(places(folder)):
            _replace(folder, place)
    check_no_places(folder, source=source)
    return left


def _check_whole(kind: str, source: Path) -> None:
    from biglog.repository import check_weights

    for name in _NEEDED[kind]:
        path = source / name
        if name == kinds.ADAPTER_WEIGHTS and not path.is_file() and (source / "adapter_model.bin").is_file():
            problem = "the adapter's weights are a pickle, which runs code when it is loaded"
            remedy = "Save the adapter with safe_serialization=True"
            raise InputError(problem, where=source / "adapter_model.bin", remedy=remedy)
        if not path.is_file():
            raise CheckpointError(f"the {kind} lacks {name}", where=source, remedy="Save it there again")
        if path.suffix == ".safetensors":
            check_weights(path)


def _is_sent(path: Path) -> bool:
    return path.suffix in _SENT and not path.name.startswith(".") and path.name not in _PRIVATE


def _write_card(kind: str, folder: Path) -> None:
    """A predictor is saved without a card: what its files say is one."""
    if kind == "predictor" and not (folder / CARD).is_file():
        told = _read(folder / kinds.PREDICTOR_CONFIG)
        (folder / CARD).write_text(predictor_card(told), encoding="utf-8")


def _name_base(kind: str, source: Path, folder: Path, base: str | None) -> None:
    """Checks what it stands on, and names it otherwise if another name is given."""
    if kind not in _BASE:
        if base is not None:
            raise InputError(f"--base is for adapters, detectors and predictors, not for a {kind}")
        return
    file, field = _BASE[kind]
    named = _read(folder / file).get(field)
    if base is not None:
        _check_base(base, kind, f"--base {base}")
        if isinstance(named, str) and named != base:
            _replace(folder, Place(folder / file, field, named), base)
        elif named is None:
            _replace_field(folder / file, field, base)
        _name_in_card(folder / CARD, base)
        return
    if not isinstance(named, str) or not named:
        raise InputError(
            f"{field} is {named!r}: what this {kind} stands on is unknown",
            where=source / file,
            remedy="Give its id on the Hub by --base owner/name",
        )
    _check_base(named, kind, f"{source / file}: {field} is {named!r}")


def _check_base(base: str, kind: str, place: str) -> None:
    if base == DEFAULT_CHECKPOINT:
        return
    problem = f"{place}, and no id on the Hub: others cannot load what this {kind} stands on"
    error = InputError(problem, remedy="Publish that first, and give its id by --base owner/name")
    try:
        check_repo_id(base)
    except InputError:
        raise error from None
    if base.count("/") != 1 or base.startswith((".", "~")) or Path(base).is_dir():
        raise error


def _replace(folder: Path, place: Place, name: str | None = None) -> None:
    """Puts a name for a path in all JSON files and in the card; the path's last part, if none is given."""
    new = name or re.split(r"[/\\]", place.value.rstrip("/\\"))[-1]
    for path in folder.glob("*.json"):
        told = _read(path)
        changed = _renamed(told, place.value, new)
        if changed != told:
            path.write_text(json.dumps(changed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    card = folder / CARD
    if card.is_file():
        text = card.read_text(encoding="utf-8")
        whole = re.compile(rf"(?<![\w./-]){re.escape(place.value)}(?![\w/-])")
        card.write_text(whole.sub(lambda _: new, text), encoding="utf-8")


def _replace_field(path: Path, field: str, value: str) -> None:
    told = _read(path) | {field: value}
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _name_in_card(path: Path, base: str) -> None:
    """Names what it stands on in the card's metadata, from which a Hub draws the family of a model."""
    from huggingface_hub import ModelCard

    if front_matter(path) and front_matter(path).get("base_model") != base:
        card = ModelCard(path.read_text(encoding="utf-8"))
        card.data["base_model"] = base
        path.write_text(str(card), encoding="utf-8")


def _renamed(told: Any, old: str, new: str) -> Any:
    if isinstance(told, dict):
        return {name: _renamed(value, old, new) for name, value in told.items()}
    if isinstance(told, list):
        return [_renamed(value, old, new) for value in told]
    return new if told == old else told


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"it cannot be read: {error}", where=path, remedy="Save it again") from error
