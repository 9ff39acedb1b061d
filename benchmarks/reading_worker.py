"""One side of the reading benchmark: a process that reads one log each time it is asked to.

It answers each line on standard input (`once`, `lap` to read again and again for half a second, or `content`
for one read and a checksum of the messages) with a line of JSON. It runs in the environment of whichever
package it measures, so it imports nothing but that package.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

LAP_SECONDS = 0.5
Reader = Callable[[], tuple[int, Any]]


def peer(path: Path, layout: str) -> Reader:
    """logparser3's loader, as each of its parsers calls it; `layout` is its `log_format`."""
    from logparser.Drain import LogParser  # type: ignore[import-not-found]

    parser = LogParser(layout)
    headers, regex = parser.generate_logformat_regex(layout)

    def read() -> tuple[int, Any]:
        with contextlib.redirect_stdout(sys.stderr):
            table = parser.log_to_dataframe(str(path), regex, headers, layout)
        return len(table), table

    return read


def ours(path: Path, layout: str, *, frame: bool, masked: bool) -> Reader:
    """`read_logs`, batch by batch or into one frame; `layout` is a name, or "" to have it recognised."""
    from biglog.logs.masking import normal_forms
    from biglog.logs.record import read_logs

    def read() -> tuple[int, Any]:
        reader = read_logs(path, layout=layout or None)
        if frame:
            table = reader.read()
            return len(table), table
        for batch in reader:
            if masked:
                normal_forms(batch.frame["content"])
        return reader.report.lines, None

    return read


READERS: dict[str, Callable[[Path, str], Reader]] = {
    "logparser3": peer,
    "frame": lambda path, layout: ours(path, layout, frame=True, masked=False),
    "batches": lambda path, layout: ours(path, layout, frame=False, masked=False),
    "recognised": lambda path, layout: ours(path, "", frame=True, masked=False),
    "normal forms": lambda path, layout: ours(path, layout, frame=False, masked=True),
}


def memory(name: str) -> float:
    """A figure of /proc/self/status in MB: `VmHWM` is the peak, `VmRSS` what is resident now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024, 1)


def messages(table: Any) -> str:
    """Checksum of the messages of a table, without spaces around them."""
    contents: Iterable[str] = table["Content" if "Content" in table.columns else "content"]
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content.strip().encode() + b"\n")
    return digest.hexdigest()


def answer(request: str, read: Reader) -> dict[str, Any]:
    """What a request is answered with: lines, seconds and CPU seconds of one read or of those of a lap."""
    began, cpu, lines = time.perf_counter(), time.process_time(), 0
    while True:
        count, table = read()
        lines += count
        seconds = time.perf_counter() - began
        if request != "lap" or seconds >= LAP_SECONDS:
            break
        # The table goes before the next one comes.
        del table
    took: dict[str, Any] = {"lines": lines, "seconds": seconds, "cpu": time.process_time() - cpu}
    if request == "content":
        took["content"] = messages(table)
    return took | {"peak_rss_mb": memory("VmHWM")}


def main() -> int:
    """Answers requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=list(READERS))
    parser.add_argument("log", type=Path)
    parser.add_argument("layout")
    options = parser.parse_args()
    read = READERS[options.reader](options.log, options.layout)
    names = ("logparser3", "pandas", "regex") if options.reader == "logparser3" else ("biglog", "polars")
    hello = {"rss_after_imports_mb": memory("VmRSS"), "versions": {name: version(name) for name in names}}
    print(json.dumps(hello), flush=True)
    for request in sys.stdin:
        print(json.dumps(answer(request.strip(), read)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
