"""A page of HTML that needs nothing else: templates, a policy for its scripts, plotly.js packed into it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from biglog import wording
from biglog.errors import OutputError

_UNBROKEN = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?|[\d.,]+ (%|[A-Za-z]+)")
_TEMPLATES = Path(__file__).with_name("templates")


@cache
def read(name: str) -> str:
    """Returns a template's text as it stands, without blanks around it."""
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


@cache
def plotly() -> tuple[str, str]:
    """Returns the source of plotly.js, and the same packed by gzip and base64."""
    # The import costs half a second: only where something is drawn.
    from plotly.offline import get_plotlyjs

    source = str(get_plotlyjs())
    # A fixed time stamp keeps equal analyses equal byte for byte.
    return source, base64.b64encode(gzip.compress(source.encode(), 6, mtime=0)).decode("ascii")


def policy(scripts: Sequence[str]) -> str:
    """Returns a content security policy that lets these scripts run, and nothing else.

    Args:
        scripts: Their texts, as they stand in the page.
    """
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Plotly sets style attributes and inserts rules, and draws its export through data: images.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> jinja2.Environment:
    """Returns what pages are rendered in, with our words as filters."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("visible", "moment", "percent", "plural", "duration", "size", "score", "clip", "shorten")
    made.filters |= {name: getattr(wording, name) for name in words}
    made.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    made.filters["line_end"] = lambda line: line.rstrip("\r\n")
    made.filters["unbroken"] = _unbroken
    names = ("headline", "lede", "source_words", "burst_words", "alike_words", "severity_rank", "SEVERITIES")
    pieces = ("template_pieces", "text_pieces", "line_pieces")
    made.globals |= {name: getattr(wording, name) for name in (*names, *pieces, "SCORE_NOTE")}
    return made


def _unbroken(text: str) -> Markup:
    """Keep times, and numbers with what they count, from being broken over two lines."""
    return Markup(_UNBROKEN.sub(r'<span class="nowrap">\g<0></span>', str(escape(text))))


def write(path: Path, content: bytes) -> None:
    """Writes a page; it appears under its name only when it is complete.

    Args:
        path: Where to write; an existing file is replaced, a pipe or a device is written to directly.
        content: The page.

    Raises:
        OutputError: The system refuses the write; nothing half-written stays behind.
    """
    try:
        target = path.resolve()
        if target.exists() and not (target.is_file() or target.is_dir()):
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the report cannot be written: {error.strerror or error}",
            where=path,
            remedy="Name a file in an existing folder that you may write to, on a disk with a few MB free",
        ) from error
