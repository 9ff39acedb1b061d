"""Write the table of failures: histories before a moment, and whether a failure followed.

python datasets_scripts/build_failures.py HPC BGL Hadoop --data ./loghub --out ./failures

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
    parser.add_argument("domains", nargs="+", help="domains, such as HPC BGL Hadoop")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, one folder a domain")
    parser.add_argument("--data", type=Path, help="where the domains' logs are; default BIGLOG_DATA")
    parser.add_argument("--processes", type=int, help="processes that build; default one a core")
    parser.add_argument("--history-seconds", type=float, help="what a predictor sees; default as published")
    parser.add_argument("--horizon-seconds", type=float, help="how far labels reach; default as published")
    arguments = parser.parse_args()
    try:
        for name in [domain(name).name for name in arguments.domains]:
            executor = LocalExecutor(arguments.processes)
            asked = {option: getattr(arguments, option) for option in GROUPINGS["failures"]}
            report = build(
                name, arguments.data, arguments.out, tables=("failures",), executor=executor, **asked
            )
            print(f"{name}: {report.rows['failures']} in {report.folder}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
