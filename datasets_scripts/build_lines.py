"""Write logs as a `lines` table: one row a line, header columns, content and normal form, in zstd Parquet.

python datasets_scripts/build_lines.py 'logs/*.log.gz' --out lines.parquet
python datasets_scripts/build_lines.py HDFS.log --layout HDFS --out hdfs.parquet
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from biglog.errors import BigLogError, OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import LogReader, read_logs


def tables(reader: LogReader) -> Iterator[pl.DataFrame]:
    """The rows of a table, batch by batch."""
    for batch in reader:
        source = pl.lit(batch.source).alias("source")
        form = normal_forms(batch.frame["content"]).alias("normal_form")
        yield batch.frame.drop("line", "raw_bytes").select(source, pl.all()).with_columns(form)


def write(reader: LogReader, out: Path) -> None:
    """Write a table in bounded memory; the file appears whole or not at all."""
    partial = out.with_name(f".{out.name}.tmp")
    batches = tables(reader)
    try:
        first = next(batches).to_arrow()
        with pq.ParquetWriter(partial, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for table in batches:
                writer.write_table(table.to_arrow().cast(first.schema))
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=out, remedy="Check folder and space") from error
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", help="files or glob patterns, - for standard input")
    parser.add_argument("--out", type=Path, required=True, help="the Parquet file to write")
    parser.add_argument("--layout", help="layout of all sources; recognised file by file without it")
    arguments = parser.parse_args()
    try:
        logs = read_logs(arguments.sources, layout=arguments.layout)
        write(logs, arguments.out)
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
    print(f"{logs.report.lines} lines of {len(logs.report.sources)} sources in {arguments.out}")
