"""Formats whose lines say themselves what their fields are: JSON, CSV, key=value."""

from __future__ import annotations

from typing import Final

from biglog.logs.formats import Format

STRUCTURED: Final[tuple[Format, ...]] = ()
