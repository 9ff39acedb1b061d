"""Write the table of windows: groups of lines with their labels, by session, by count or by time.

python datasets_scripts/build_windows.py HDFS BGL --data ./loghub --out ./windows

What an earlier build has left for a domain is replaced; `biglog datasets build` makes all tables in one go.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biglog.data.archives.catalog import domain
from biglog.data.executors import LocalExecutor
from biglog.data.schema import GROUPINGS
from biglog.data.tables.build import build
from biglog.errors import BigLogError

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("domains", nargs="+", help="domains, such as HDFS BGL")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, one folder a domain")
    parser.add_argument("--data", type=Path, help="where the domains' logs are; default BIGLOG_DATA")
    parser.add_argument("--processes", type=int, help="processes that build; default one a core")
    parser.add_argument("--window-lines", type=int, help="lines a window; default 20, or labelled sessions")
    parser.add_argument("--stride-lines", type=int, help="lines from one window to the next")
    parser.add_argument("--window-seconds", type=float, help="seconds a window")
    parser.add_argument("--stride-seconds", type=float, help="seconds from one window to the next")
    parser.add_argument("--session", action="store_const", const=True, help="windows are sessions")
    arguments = parser.parse_args()
    try:
        for name in [domain(name).name for name in arguments.domains]:
            executor = LocalExecutor(arguments.processes)
            asked = {option: getattr(arguments, option) for option in GROUPINGS["windows"]}
            report = build(
                name, arguments.data, arguments.out, tables=("windows",), executor=executor, **asked
            )
            grouping = report.record["tables"]["windows"]["grouping"]
            print(f"{name}: {grouping}, {report.rows['windows']} in {report.folder}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
