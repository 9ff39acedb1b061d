"""Write the table of log statements: what programs log, taken from their sources, in zstd Parquet.

python datasets_scripts/build_statements.py .venv my-project-1.0.tar.gz --out statements.parquet
python datasets_scripts/build_statements.py datasets_scripts/statements_sources.csv --out tables --forms t.csv

With a folder as --out there are splits, which can be published. A .csv among the sources is a list of
packages with pinned versions and checksums; they are fetched by pip, npm and apt-get (for which /etc/apt
needs a `deb-src` line) and kept in --cache, as is what was read of them, so that a killed build goes on.
Projects whose logs models are tested on are left out by name; --forms drops what is near to their forms, and
--record says what was built of what.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from biglog.data.executors import LocalExecutor
from biglog.data.statements import build_statements, read_forms
from biglog.data.statements.fetch import fetch, read_packages
from biglog.data.statements.record import write_record
from biglog.errors import BigLogError

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=Path, help="folders, archives, environments, .csv lists")
    parser.add_argument("--out", type=Path, required=True, help=".parquet file, or folder for splits")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/sources"), help="where packages, and what was read, are kept"
    )
    parser.add_argument("--exclude", action="append", default=[], help="further projects to leave out")
    parser.add_argument("--permissive", action="store_true", help="leave out other licences")
    parser.add_argument("--forms", nargs="+", type=Path, help="templates that nothing may be near to")
    parser.add_argument("--record", type=Path, help="JSON to write, such as results/statements.json")
    parser.add_argument("--processes", type=int, help="processes that read; default one a core")
    arguments = parser.parse_args()
    try:
        lists = [path for path in arguments.sources if path.suffix == ".csv"]
        trees = [tree for path in lists for tree in fetch(read_packages(path), arguments.cache)]
        others = [path for path in arguments.sources if path not in lists]
        forms = pl.concat([read_forms(path) for path in arguments.forms]) if arguments.forms else None
        with LocalExecutor(arguments.processes) as executor:
            report = build_statements(
                [*others, *trees],
                arguments.out,
                exclude=arguments.exclude,
                permissive=arguments.permissive,
                forms=forms,
                kept=arguments.cache / "read",
                executor=executor,
            )
        if arguments.record:
            write_record(arguments.record, report, lists, arguments.forms or [])
        print(f"{report.rows} statements, {report.templates} templates in {report.path}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
