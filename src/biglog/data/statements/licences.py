"""Licences of projects: from package metadata or from the text of a LICENSE file, as SPDX calls them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.parser import HeaderParser
from typing import Final

PERMISSIVE: Final = frozenset(
    (
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0",
        "PSF-2.0", "PostgreSQL", "Python-2.0", "Zlib",
    )
)  # fmt: skip
"""Licences under which statements may be passed on with no more than a notice."""

_NAMES: Final = (
    (r"affero|agpl", "AGPL-3.0"),
    (r"lesser|lgpl", "LGPL"),
    (r"\bgpl|gnu general public", "GPL"),
    (r"apache.{0,30}2|apache[- ]license$|^apache$|apache software license|^asl 2", "Apache-2.0"),
    (r"bsd.{0,3}2|2.clause|simplified bsd", "BSD-2-Clause"),
    (r"bsd|3.clause|new bsd|modified bsd", "BSD-3-Clause"),
    (r"\bmit[ -]?0\b", "MIT-0"),
    (r"\bmit\b|expat", "MIT"),
    (r"\bisc\b", "ISC"),
    (r"python software foundation|\bpsf", "PSF-2.0"),
    (r"mozilla|mpl", "MPL-2.0"),
    (r"zope|\bzpl", "ZPL-2.1"),
    (r"eclipse|\bepl", "EPL-2.0"),
    (r"postgresql", "PostgreSQL"),
    (r"unlicense", "Unlicense"),
)
_TEXTS: Final = (
    (r"gnu affero general public license", "AGPL-3.0"),
    (r"gnu lesser general public license|gnu library general public", "LGPL"),
    (r"gnu general public license", "GPL"),
    (r"apache license\W+version 2\.0|licensed under the apache license", "Apache-2.0"),
    (r"mozilla public license", "MPL-2.0"),
    (r"eclipse public license", "EPL-2.0"),
    (r"permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"neither the name.{0,200}may be used to endorse", "BSD-3-Clause"),
    (r"redistributions? in binary form must reproduce", "BSD-2-Clause"),
    (r"permission to use, copy, modify, and(?:/or)? distribute this software", "ISC"),
    (r"python software foundation license", "PSF-2.0"),
)
_SPDX: Final = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_CLASSIFIER: Final = "License :: "
_IN_POM: Final = re.compile(r"<license>\s*.*?<name>\s*(.*?)\s*</name>", re.DOTALL)
FILE: Final = re.compile(r"(?:.*/)?(?:LICEN[CS]E|COPYING)(?:[-.][\w.-]+)?|(?:.*/)?copyright", re.IGNORECASE)
"""Paths of files that hold a licence."""


def licence_name(told: str) -> str | None:
    """Returns what SPDX calls a licence.

    Args:
        told: A name, an SPDX expression, or a classifier of Python packages.

    Returns:
        The SPDX identifier; of the GNU licences without the version where that is not told; None where the
        name says nothing.
    """
    name = told.rpartition(" :: ")[2].strip()
    if not name or len(name) > 200:
        return licence_of_text(told) if name else None
    if _SPDX.fullmatch(name) and (name in PERMISSIVE or " OR " in name or " AND " in name):
        return name
    return next((spdx for pattern, spdx in _NAMES if re.search(pattern, name, re.IGNORECASE)), None)


def is_permissive(licence: str | None) -> bool:
    """Whether a licence asks for no more than a notice.

    Args:
        licence: An SPDX expression without brackets; None where it is not known.
    """
    if licence is None:
        return False
    choices = [re.sub(r" WITH \S+", "", choice).split(" AND ") for choice in licence.split(" OR ")]
    return any(all(one in PERMISSIVE for one in parts) for parts in choices)


def licence_of_text(text: str) -> str | None:
    """Recognises a licence by its words.

    Args:
        text: The text of a LICENSE file.
    """
    plain = " ".join(text[:40_000].lower().split())
    found = [(match.start(), spdx) for pattern, spdx in _TEXTS if (match := re.search(pattern, plain))]
    # The licence comes first; that of bundled parts, or one it names, follows.
    return min(found)[1] if found else None


def python_metadata(text: str) -> tuple[str | None, str | None, str | None]:
    """Reads METADATA or PKG-INFO.

    Args:
        text: The file.

    Returns:
        Name, version and licence of the distribution, each None where it is not told.
    """
    head = HeaderParser().parsestr(text)
    licences = [
        head["License-Expression"],
        *(one for one in head.get_all("Classifier", []) if one.startswith(_CLASSIFIER)),
        head["License"],
    ]
    named = (licence_name(str(one)) for one in licences if one)
    return head["Name"], head["Version"], next(filter(None, named), None)


def npm_metadata(text: str) -> tuple[str | None, str | None, str | None]:
    """Reads package.json: name, version and licence, each None where it is not told.

    Args:
        text: The file.
    """
    try:
        told = json.loads(text)
    except ValueError:
        return None, None, None
    if not isinstance(told, Mapping):
        return None, None, None
    licence = told.get("license")
    licence = licence.get("type") if isinstance(licence, Mapping) else licence
    values = [value if isinstance(value, str) else None for value in (told.get("name"), told.get("version"))]
    return values[0], values[1], licence_name(licence) if isinstance(licence, str) else None


def pom_metadata(text: str) -> tuple[str | None, str | None, str | None]:
    """Reads pom.xml: group, version and licence, each None where it is not told.

    The group is the project: its artifacts are parts of one.

    Args:
        text: The file.
    """
    own = re.sub(r"<(parent|dependencies|build|profiles)>.*?</\1>", "", text, flags=re.DOTALL)
    values = []
    for name in ("groupId", "version"):
        match = re.search(rf"<{name}>\s*([^<$]+?)\s*</{name}>", own) or re.search(
            rf"<{name}>\s*([^<$]+?)\s*</{name}>", text
        )
        values.append(match[1] if match else None)
    licence = _IN_POM.search(text)
    return values[0], values[1], licence_name(licence[1]) if licence else None
