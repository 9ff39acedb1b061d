"""Personal and secret values out of logs, replaced by pseudonyms that can be turned back.

A pseudonym is a keyed hash: the same value has the same pseudonym in every log under the same key, so
sessions still join, and nobody without the key can try values out. It keeps the kind of its value readable,
and the value's mask token: an address stays an address.

    redactor = Redactor(key)
    redacted = redactor.redact(frame["content"])
    restored = restore(redacted, redactor.mapping)

=========  ==========================================  =============================================
kind       what is replaced                            by
=========  ==========================================  =============================================
`email`    addresses                                   `user-<hash>@redacted.example`
`ip`       IPv4 and IPv6 addresses but loopback        an address in 240.0.0.0/4 or 2001:db8::/32
`mac`      hardware addresses                          one that begins with f2:ed
`user`     names of accounts but root                  `user-<hash>`
`token`    tokens and keys that show what they are     `[REDACTED:token:<hash>]`
`secret`   values of password=, api_key= and kin       `[REDACTED:secret:<hash>]`
`card`     numbers of payment cards                    `[REDACTED:card:<hash>]`
=========  ==========================================  =============================================

What it does not see: names and numbers in prose, addresses within host names, user names in other places, the
last line of a private key whose lines are separate records (join them first). It helps those who share logs;
it is no promise.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count as numbers
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from biglog.errors import InputError, OutputError
from biglog.logs.sensitive import IPV4_PSEUDONYMS, KINDS, MAC_PSEUDONYMS, STEPS, Rule, Step, steps

MIN_KEY_LENGTH: Final = 16
KEY_VARIABLE: Final = "BIGLOG_REDACTION_KEY"
_TEXT_COLUMNS: Final = ("line", "content", "component", "host")
_LEFT, _RIGHT = r"(?-u:\b{start-half})", r"(?-u:\b{end-half})"
# A letter comes first, so that the masks take every hash for one of `[CODE]`.
_HASH: Final = "[a-f][0-9a-f]{11}"
_SHAPES: Final = Step(
    "",
    "",
    r"\[REDACTED:|user-",
    (
        Rule("", rf"\[REDACTED:[a-z]+:{_HASH}\]"),
        Rule("", rf"user-{_HASH}@redacted\.example"),
        Rule("", f"user-{_HASH}"),
    ),
)
"""Pseudonyms that no rule may take for values."""
_ADDRESSES: Final = tuple(step for step in STEPS if step.shape in ("mac", "ipv4", "ipv6"))

# Marks around values: noncharacters, that no text has on purpose, or else private use.
_MARKS: Final = tuple(map(chr, range(0xFDD0, 0xFDF0)))
_OTHER_MARKS: Final = tuple(map(chr, range(0xF0000, 0xFFFFE)))
# Texts that are worked on together: it bounds memory.
_PART: Final = 200_000

Replace = Callable[[Step, list[str]], list[str]]


class Redactor:
    """Replaces values by pseudonyms, and remembers which.

    Attributes:
        kinds: Names of the kinds it replaces.
        mapping: Pseudonym -> value, of all that was replaced so far. Whoever has it can turn everything back.
        collisions: Values whose first pseudonym another value had. They take the next one of a sequence, so
            only which of the two was seen first decides; of 10,000 IPv4 addresses it happens to one with a
            probability of 18 %, of 10,000 hardware addresses with 1 %, and practically never otherwise.
    """

    def __init__(
        self,
        key: bytes | str,
        kinds: Iterable[str] = KINDS,
        *,
        mapping: Mapping[str, str] | None = None,
    ) -> None:
        """Takes the key.

        Args:
            key: Secret of at least 16 characters or bytes; another key gives other pseudonyms.
            kinds: Names of the kinds to replace, of `KINDS`.
            mapping: Pseudonyms given earlier under the same key, to go on with.

        Raises:
            InputError: The key is too short, or a kind unknown.
        """
        self.kinds = tuple(dict.fromkeys([kinds] if isinstance(kinds, str) else kinds))
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(f"unknown kind {kind!r}", remedy=f"Choose of {', '.join(KINDS)}")
        self.mapping: dict[str, str] = dict(mapping or {})
        self.collisions = 0
        self._key = _digest_key(key)
        self._known: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"Redactor(kinds={self.kinds}, {len(self.mapping)} values)"

    def redact(self, texts: pl.Series) -> pl.Series:
        """Replaces the values in a column; what is a pseudonym already stays.

        Args:
            texts: Contents or lines, dtype String, shape (n,); null stays null.

        Returns:
            The same texts with pseudonyms, shape (n,), in the same order.
        """
        return _substitute(texts, (_SHAPES, *steps(self.kinds)), self._replace)

    def redact_frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replaces the values in the columns of records that can have some.

        Args:
            frame: Records, columns as `read_logs` gives them.

        Returns:
            The frame with `line`, `content`, `component` and `host` redacted, and `raw_bytes` null.
        """
        columns = [self.redact(frame[name]) for name in _TEXT_COLUMNS if name in frame.columns]
        raw = [name for name in ("raw_bytes",) if name in frame.columns]
        return frame.with_columns(
            *columns, *(pl.lit(None, dtype=frame[name].dtype).alias(name) for name in raw)
        )

    def _replace(self, step: Step, values: list[str]) -> list[str]:
        """The pseudonyms of distinct values, or the values themselves where they are none of the kind."""
        if step is _SHAPES:
            return values
        return [self._pseudonym(step, value) if step.accepts(value) else value for value in values]

    def _pseudonym(self, step: Step, value: str) -> str:
        known = self._known.get((step.shape + step.kind, value))
        if known is not None:
            return known
        for attempt in numbers():
            text = f"{attempt}:{value}" if attempt else value
            person = step.kind.encode()
            digest = hashlib.blake2b(text.encode(), key=self._key, person=person, digest_size=16).digest()
            pseudonym = _shaped(step, value, digest)
            if self.mapping.setdefault(pseudonym, value) == value:
                self._known[(step.shape + step.kind, value)] = pseudonym
                return pseudonym
            self.collisions += 1
        raise AssertionError("unreachable")


def restore(texts: pl.Series, mapping: Mapping[str, str]) -> pl.Series:
    """Turns pseudonyms back into what they stand for.

    Args:
        texts: Redacted texts, dtype String, shape (n,); null stays null.
        mapping: Pseudonym -> value, as `Redactor.mapping`.

    Returns:
        The texts as they were, shape (n,). Pseudonyms that the mapping lacks stay.
    """
    return _substitute(
        texts, (_SHAPES, *_ADDRESSES), lambda step, values: [mapping.get(value, value) for value in values]
    )


def save_mapping(mapping: Mapping[str, str], path: str | Path) -> None:
    """Writes a mapping as JSON that its owner alone can read (mode 0600), whole or not at all.

    Args:
        mapping: Pseudonym -> value.
        path: Where to.

    Raises:
        OutputError: It cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"pseudonyms": dict(mapping)}, file, ensure_ascii=True, indent=0)
            file.flush()
            os.fsync(handle)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"the mapping cannot be written: {error.strerror}",
            where=target,
            remedy="Give a file in a folder that exists and has room",
        ) from error


def read_key(path: str | Path | None = None) -> bytes:
    """Returns the key of pseudonyms from a file, or from the environment variable BIGLOG_REDACTION_KEY.

    Args:
        path: File whose content, without blanks at its ends, is the key; None takes the variable.

    Raises:
        InputError: There is no key, or the file cannot be read.
    """
    if path is not None:
        try:
            return Path(path).read_bytes().strip()
        except OSError as error:
            raise InputError(
                f"the key cannot be read: {error.strerror}", where=path, remedy="Give a file that holds it"
            ) from error
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise InputError(
            "pseudonyms need a key, and there is none",
            remedy=f"Set {KEY_VARIABLE}, or give a file; `openssl rand -hex 32` makes one",
        )
    return key.encode()


def load_mapping(path: str | Path) -> dict[str, str]:
    """Reads what `save_mapping` wrote.

    Raises:
        InputError: The file is missing, or no mapping.
    """
    remedy = "Give a file that save_mapping wrote"
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, remedy=remedy) from error
    except ValueError as error:
        raise InputError("is no JSON", where=path, remedy=remedy) from error
    mapping = data.get("pseudonyms") if isinstance(data, dict) else None
    if not isinstance(mapping, dict) or not all(isinstance(value, str) for value in mapping.values()):
        raise InputError("is no mapping of pseudonyms to values", where=path, remedy=remedy)
    return mapping


def _digest_key(key: bytes | str) -> bytes:
    if len(key) < MIN_KEY_LENGTH:
        raise InputError(
            f"the key has {len(key)} characters, and {MIN_KEY_LENGTH} are needed",
            remedy="Make one with python -c 'import secrets; print(secrets.token_hex())', and keep it secret",
        )
    data = key.encode() if isinstance(key, str) else bytes(key)
    return hashlib.blake2b(data, person=b"biglog redaction").digest()


def _shaped(step: Step, value: str, digest: bytes) -> str:
    """A digest in the shape of what it stands for."""
    digits = digest.hex()
    name = "abcdef"[digest[15] % 6] + digits[:11]
    if step.shape == "ipv4":
        first = int(IPV4_PSEUDONYMS.network_address) >> 24
        return f"{first + digest[0] % 15}.{digest[1]}.{digest[2]}.{digest[3]}"
    if step.shape == "ipv6":
        groups = (digits[at : at + 4].lstrip("0") or "0" for at in range(0, 24, 4))
        return f"2001:db8:{':'.join(groups)}"
    if step.shape == "mac":
        pairs = (MAC_PSEUDONYMS.replace(":", "") + digits)[:12]
        return value[2].join(pairs[at : at + 2] for at in range(0, 12, 2))
    if step.shape == "bracket":
        return f"[REDACTED:{step.kind}:{name}]"
    return f"user-{name}@redacted.example" if step.shape == "email" else f"user-{name}"


class _Marks(NamedTuple):
    """Characters that a column of texts does not have.

    Attributes:
        openings: Stand before the values of each step.
        closing: Stands behind a value.
    """

    openings: str
    closing: str

    def hidden(self, openings: str) -> str:
        """Pattern of a value between one of the given marks and the closing one."""
        return f"[{openings}][^{self.closing}]*{self.closing}"


def _substitute(texts: pl.Series, table: Sequence[Step], replace: Replace) -> pl.Series:
    """Replaces what the steps find; texts in which nothing could be found are not touched."""
    hints = "|".join(f"(?:{step.hint})" for step in table)
    found = texts.str.contains(hints).fill_null(False).arg_true()
    candidates = texts.gather(found)
    distinct = candidates.unique(maintain_order=True)
    parts = [_substitute_part(part, tuple(table), replace) for part in _parts(distinct)]
    if not parts:
        return texts
    if len(distinct) == len(candidates):
        return _put(texts, found, pl.concat(parts))
    news = pl.DataFrame({"text": distinct, "new": pl.concat(parts)})
    joined = candidates.to_frame("text").join(news, on="text", how="left", maintain_order="left")
    return _put(texts, found, joined["new"])


def _parts(texts: pl.Series) -> Iterator[pl.Series]:
    return (texts.slice(start, _PART) for start in range(0, len(texts), _PART))


def _substitute_part(texts: pl.Series, table: tuple[Step, ...], replace: Replace) -> pl.Series:
    """Writes marks around the values of each step in turn, and then replaces what stands between marks."""
    marks = _unused_marks(texts, len(table))
    for step, opening in zip(table, marks.openings, strict=True):
        rows = texts.str.contains(step.hint).arg_true()
        pattern, template = _compiled(step, table, marks)
        marked = texts.gather(rows).str.replace_all(pattern, template)
        # Rules without a value leave marks around nothing.
        marked = marked.str.replace_all(opening + marks.closing, "", literal=True)
        texts = _put(texts, rows, marked)
    rows = texts.str.contains(marks.closing, literal=True).arg_true()
    marked = texts.gather(rows)
    values = (
        marked.str.extract_all(marks.hidden(marks.openings))
        .explode(empty_as_null=False)
        .unique(maintain_order=True)
        .to_list()
    )
    new: dict[str, str] = {}
    for step, opening in zip(table, marks.openings, strict=True):
        own = [value for value in values if value[0] == opening]
        new |= zip(own, replace(step, [value[1:-1] for value in own]), strict=True)
    return _put(texts, rows, marked.str.replace_many(list(new), list(new.values()))) if new else texts


def _put(texts: pl.Series, rows: pl.Series, new: pl.Series) -> pl.Series:
    # Series.scatter changes the series itself, which may be the caller's.
    return texts.clone().scatter(rows, new)


def _unused_marks(texts: pl.Series, count: int) -> _Marks:
    marks = list(_MARKS)
    if texts.str.contains(f"[{_MARKS[0]}-{_MARKS[-1]}]").any():
        used = set().union(*texts)
        marks = [mark for mark in (*_MARKS, *_OTHER_MARKS) if mark not in used]
    return _Marks("".join(marks[1 : 1 + count]), marks[0])


@cache
def _compiled(step: Step, table: tuple[Step, ...], marks: _Marks) -> tuple[str, str]:
    """The step as one pattern, and the template that writes marks around values.

    Of all groups only those of the rule that matched hold something, so the template names them all. What
    earlier steps have marked is passed over.
    """
    marked = dict(zip(table, marks.openings, strict=True))
    delimited = "".join(mark for other, mark in marked.items() if other.shape not in ("mac", "ipv6"))
    behind = [rule for rule in step.rules if rule.before == "<A>"]
    others = [rule for rule in step.rules if rule.before != "<A>"]
    rows = [*behind, Rule("<H>"), *others]
    rules = "|".join(
        f"(?P<b{n}>{r.before})(?P<v{n}>{r.value})(?P<a{n}>{r.after})" for n, r in enumerate(rows)
    )
    spellings = {"<L>": _LEFT, "<R>": _RIGHT, "<M>": marks.openings + marks.closing}
    spellings |= {"<H>": marks.hidden(marks.openings), "<A>": marks.hidden(delimited)}
    for name, spelling in spellings.items():
        rules = rules.replace(name, spelling)
    before, value, after = ("".join(f"${{{side}{n}}}" for n in range(len(rows))) for side in "bva")
    return rules, f"{before}{marked[step]}{value}{marks.closing}{after}"
