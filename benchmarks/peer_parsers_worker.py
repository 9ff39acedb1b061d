"""One side of `peer_parsers.py`: the parsers of logparser3 on contents, one setting for all logs.

    peer/bin/python benchmarks/peer_parsers_worker.py contents.json templates.json

It runs in the environment of logparser3, so it imports nothing but that package. `contents.json` has lists of
contents by ground truth and domain, and `templates.json` the template of each of them, in their order.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

MASKS = [
    r"blk_-?\d+",
    r"(/|)(\d+\.){3}\d+(:\d+)?",
    r"([\w-]+\.){2,}[\w-]+",
    r"(/[\w-]+)+",
    r"\b(\-?\+?\d+)\b|\b0[Xx][a-fA-F\d]+\b|\b[a-fA-F\d]{4,}\b",
]
"""Block ids, addresses, dotted names, paths, numbers: as logparser3's benchmark has them, for all domains."""

# The benchmark of logparser3 tunes each parser to each sample. Here is one number for all samples: the
# default or the median of the tuned ones, whichever groups more of their lines rightly.
SETTINGS: dict[str, dict[str, Any]] = {
    "Drain": {"depth": 4, "st": 0.4, "keep_para": False},
    "AEL": {"minEventCount": 2, "merge_percent": 0.45, "keep_para": False},
    # Brain splits words by rules of its own where the name is that of a sample; this is none of them.
    "Brain": {"threshold": 4, "delimeter": [], "logname": "log"},
    "Spell": {"tau": 0.7, "keep_para": False},
}
FORMAT = "<Content>"
NO_EVENT = "0"
"""What the parsers call the event of a line that they put nowhere."""

_BREAKS = re.compile(r"[\r\n]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7F]+")


def one_line(content: str) -> str:
    """A content as a line of a file: the parsers read line by line and strip each."""
    return _BREAKS.sub(" ", content).strip()


def aligned(contents: Sequence[str], rows: Sequence[tuple[str, str | None]]) -> list[str]:
    """Gives each content its template.

    A parser numbers the lines that it kept, so its rows are found again by what they say.

    Args:
        contents: Of all lines.
        rows: Content and template of the lines that were kept, in order; no template is no event.

    Returns:
        A template for each content: where the parser has none, the content itself.

    Raises:
        ValueError: A row is of no line, or out of order.
    """
    templates, place = list(contents), 0
    for number, content in enumerate(contents):
        if place < len(rows) and _spelled(rows[place][0]) == _spelled(one_line(content)):
            template = rows[place][1]
            templates[number] = content if template is None else template
            place += 1
    if place < len(rows):
        raise ValueError(f"row {place + 1} of the parser is of no line: {rows[place][0]!r}")
    return templates


def _spelled(text: str) -> str:
    """A content as Spell writes it, who replaces what is not ASCII."""
    return _NOT_ASCII.sub("<NASCII>", text)


def read_rows(path: Path) -> list[tuple[str, str | None]]:
    """Reads content and template from a structured CSV, in the order of the lines."""
    csv.field_size_limit(sys.maxsize)
    # Not by pandas, to which a template `null` would be no text.
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["LineId"]))
    return [(row["Content"], None if row["EventId"] == NO_EVENT else row["EventTemplate"]) for row in rows]


def parse(parser: Callable[..., Any], settings: dict[str, Any], contents: Sequence[str]) -> list[str]:
    """Has a parser read a log that has nothing but contents.

    Args:
        parser: A `LogParser` of logparser3.
        settings: Its own; masks come beside them.
        contents: Of all lines.

    Returns:
        A template for each. A blank line is not parsed and stays as it is.
    """
    told = [number for number, content in enumerate(contents) if content.strip()]
    if not told:
        return list(contents)
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(one_line(contents[number]) + "\n" for number in told)
        Path(folder, "log").write_text(text, encoding="utf-8", errors="replace")
        # They print how far they are, to either stream.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            parser(log_format=FORMAT, indir=folder, outdir=folder, rex=MASKS, **settings).parse("log")
        rows = read_rows(Path(folder, "log_structured.csv"))
    templates = list(contents)
    for number, template in zip(told, aligned([contents[number] for number in told], rows), strict=True):
        templates[number] = template
    return templates


def run(name: str, domains: dict[str, list[str]]) -> dict[str, Any]:
    """Seconds and templates of one parser on all domains."""
    parser = import_module(f"logparser.{name}").LogParser
    began = time.perf_counter()
    templates = {domain: parse(parser, SETTINGS[name], contents) for domain, contents in domains.items()}
    return {"seconds": round(time.perf_counter() - began, 2), "templates": templates}


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contents", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    truths = json.loads(options.contents.read_text(encoding="utf-8"))
    result = {
        "peer_versions": {name: version(name) for name in ("logparser3", "pandas", "regex")},
        "masks": MASKS,
        "settings": SETTINGS,
        "parsers": {
            truth: {name: run(name, domains) for name in SETTINGS} for truth, domains in truths.items()
        },
    }
    options.out.write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
