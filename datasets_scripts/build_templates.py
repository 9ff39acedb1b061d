"""Write the table of templates: the ground truth of log parsing, in every version of it, for evaluation.

python datasets_scripts/build_templates.py HDFS BGL --data ./loghub --out ./templates

What an earlier build has left for a domain is replaced; `biglog datasets build` makes all tables in one go.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biglog.data.archives.catalog import domain
from biglog.data.executors import LocalExecutor
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
    arguments = parser.parse_args()
    try:
        for name in [domain(name).name for name in arguments.domains]:
            executor = LocalExecutor(arguments.processes)
            report = build(name, arguments.data, arguments.out, tables=("templates",), executor=executor)
            versions = report.record["tables"]["templates"]["versions"]
            told = ", ".join(f"{version['version']} {version['rows']}" for version in versions)
            print(f"{name}: {told} in {report.folder}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
