"""How a run is told what to do: one dataclass, read from YAML, the command line or a mapping alike."""

from __future__ import annotations

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from biglog.errors import InputError


@dataclass(frozen=True)
class RunArguments:
    """Base of the dataclasses that describe a run.

    Attributes:
        aliases: Other names of fields, and what they are here.
    """

    aliases: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_mapping(cls, values: Mapping[str, object], *, where: str | Path | None = None) -> Self:
        """Reads arguments by name, as YAML gives them.

        Raises:
            InputError: A name is unknown (the nearest known one is named), given twice, or its value has the
                wrong type.
        """
        kinds = typing.get_type_hints(cls)
        known = {field.name: kinds[field.name] for field in dataclasses.fields(cls)}
        read: dict[str, Any] = {}
        for given, value in cls._given(values, where).items():
            name = cls.aliases.get(given, given)
            if name not in known:
                remedy = _nearest(given, [*known, *cls.aliases], cls.__name__)
                raise InputError(f"unknown argument {given!r}", where=where, remedy=remedy)
            if name in read:
                raise InputError(f"{name} is given twice (once as {given!r})", where=where)
            read[name] = coerced(name, value, known[name], where)
        return cls(**read)

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: object) -> Self:
        """Reads arguments from a YAML file; overrides win.

        Raises:
            InputError: The file cannot be read, is not a mapping, or `from_mapping` finds fault with it.
        """
        values = _read_yaml(Path(path))
        canonical = {cls.aliases.get(name, name): value for name, value in overrides.items()}
        kept = {name: value for name, value in values.items() if cls.aliases.get(name, name) not in canonical}
        return cls.from_mapping(kept | canonical, where=path)

    @classmethod
    def from_command_line(cls, words: Sequence[str]) -> Self:
        """Reads ``--config FILE --name value --name=value ...``; a flag without a value is true, lists are
        comma-separated.

        Raises:
            InputError: As `from_mapping` and `from_yaml`.
        """
        given: dict[str, object] = {}
        config: str | None = None
        for name, value in _flags(words):
            if name == "config":
                config = value if isinstance(value, str) else None
            elif name in given:
                raise InputError(f"--{name} is given twice")
            else:
                given[name] = value
        return cls.from_mapping(given) if config is None else cls.from_yaml(config, **given)

    def changed(self, values: Mapping[str, object]) -> Self:
        """Returns the arguments with some of them changed, read as `from_mapping` reads them.

        Raises:
            InputError: As `from_mapping`.
        """
        return type(self).from_mapping(self.to_dict() | dict(values))

    def to_dict(self) -> dict[str, object]:
        """Returns the arguments as JSON and YAML can hold them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def _given(cls, values: Mapping[str, object], where: str | Path | None) -> dict[str, object]:
        """Returns what was given in the names and values of today."""
        return dict(values)

    def _require(self, holds: bool, name: str, what: str) -> None:
        if not holds:
            raise InputError(f"{name} {what}, not {getattr(self, name)!r}")


def _flags(words: Sequence[str]) -> list[tuple[str, object]]:
    flags: list[tuple[str, object]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise InputError(f"expected a flag, not {word!r}", remedy="Write --name value")
        name, equals, value = word[2:].partition("=")
        if equals:
            flags.append((name.replace("-", "_"), value))
        elif rest and not rest[0].startswith("--"):
            flags.append((name.replace("-", "_"), rest.pop(0)))
        else:
            flags.append((name.replace("-", "_"), True))
    return flags


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())}", where=path) from error
    if not isinstance(values, dict):
        raise InputError("holds no arguments", where=path, remedy="Write one `name: value` a line")
    return {str(name): value for name, value in values.items()}


def coerced(name: str, value: object, kind: Any, where: str | Path | None) -> object:
    """Returns a value as its field wants it; YAML reads 2e-4 as text, and the command line everything."""
    if isinstance(kind, types.UnionType):  # the only unions here are with None
        if value is None or value in ("none", "null"):
            return None
        (kind,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
    try:
        if typing.get_origin(kind) is tuple:
            items = value.split(",") if isinstance(value, str) else value
            if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
                raise ValueError
            return tuple(item.strip() for item in items if item.strip())
        if kind is bool:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                str(value).lower()
            ]
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError
        if kind is int and isinstance(value, float):
            raise ValueError
        return os.path.expandvars(value) if kind is str and isinstance(value, str) else kind(value)
    except (ValueError, KeyError):
        wanted = (
            "a list of texts" if typing.get_origin(kind) is tuple else getattr(kind, "__name__", str(kind))
        )
        raise InputError(f"{name} must be {wanted}, not {value!r}", where=where) from None


def _nearest(given: str, known: Sequence[str], described_by: str) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"See {described_by} for the names"
