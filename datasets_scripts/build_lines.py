"""Write the table of lines: one row a line, header columns, content and normal form, in zstd Parquet.

python datasets_scripts/build_lines.py BGL HDFS --data ./loghub --out ./tables      domains, with their splits
python datasets_scripts/build_lines.py 'logs/*.log.gz' --out lines.parquet          any logs, in one file
python datasets_scripts/build_lines.py HDFS.log --layout HDFS --out hdfs.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biglog.data.archives.catalog import domain
from biglog.data.executors import LocalExecutor
from biglog.data.tables.build import build
from biglog.data.tabulate import tabulate
from biglog.errors import BigLogError


def domains(names: list[str], data: Path | None, out: Path, processes: int | None) -> None:
    """Builds the table of each domain."""
    for name in [domain(name).name for name in names]:
        report = build(name, data, out, tables=("lines",), executor=LocalExecutor(processes))
        print(f"{name}: {report.rows['lines']} in {report.folder}")


def logs(sources: list[str], layout: str | None, out: Path) -> None:
    """Writes the lines of any logs to one file."""
    done = tabulate(sources, out, layout=layout)
    lines = sum(source.lines for source in done.sources)
    print(f"{lines} lines of {len(done.sources)} sources in {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="domains; or files, folders and patterns, - for stdin")
    parser.add_argument("--out", type=Path, required=True, help="folder for domains, .parquet file for logs")
    parser.add_argument("--data", type=Path, help="where the domains' logs are; default BIGLOG_DATA")
    parser.add_argument("--layout", help="layout of all logs; recognised file by file without it")
    parser.add_argument("--processes", type=int, help="processes that build; default one a core")
    arguments = parser.parse_args()
    try:
        if arguments.out.suffix == ".parquet":
            logs(arguments.sources, arguments.layout, arguments.out)
        else:
            domains(arguments.sources, arguments.data, arguments.out, arguments.processes)
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
