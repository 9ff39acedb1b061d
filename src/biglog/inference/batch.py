"""Embeddings of whole files, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.errors import OutputError
from biglog.inference.encoder import LogEncoder
from biglog.logs import masking
from biglog.logs.record import read_logs
from biglog.logs.sources.expand import SourceLike


def encode_files(
    sources: SourceLike | Iterable[SourceLike],
    out: Path,
    *,
    model: str | Path | None = None,
    layout: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Embeds every line of logs into a Parquet file.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        out: File to write: columns ``source``, ``line_number``, ``normal_form`` and ``embedding`` (a list of
            float32 of the encoder's width; dictionary encoding stores equal ones once a row group).
        model: Checkpoint; None is the embedded default.
        layout: Header layout; None recognises it.
        progress: Called with the lines and bytes read so far.

    Returns:
        ``lines``, ``normal_forms``, ``hidden_size`` and ``out``.

    Raises:
        InputError: A source cannot be read.
        OutputError: The file cannot be written; nothing half-written stays behind.
    """
    encoder = LogEncoder.from_pretrained(model)
    reader = read_logs(sources, layout=layout)
    seen: set[str] = set()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with pq.ParquetWriter(temporary, _schema(encoder.hidden_size), compression="zstd") as writer:
            for batch in reader:
                forms = masking.normal_forms(batch.frame["content"])
                seen.update(forms.unique().to_list())
                writer.write_table(_table(batch.source, batch.frame["line_number"], forms, encoder))
                if progress is not None:
                    progress(reader.report.lines, reader.report.bytes)
        temporary.replace(out)
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror or error}", where=out) from error
    finally:
        temporary.unlink(missing_ok=True)
    size = encoder.hidden_size
    return {"lines": reader.report.lines, "normal_forms": len(seen), "hidden_size": size, "out": str(out)}


def _schema(hidden_size: int) -> pa.Schema:
    return pa.schema(
        [
            ("source", pa.string()),
            ("line_number", pa.int64()),
            ("normal_form", pa.string()),
            ("embedding", pa.list_(pa.float32(), hidden_size)),
        ]
    )


def _table(source: str, numbers: pl.Series, forms: pl.Series, encoder: LogEncoder) -> pa.Table:
    vectors = encoder.encode_normal_forms(forms)
    flat = pa.array(vectors.reshape(-1))
    return pa.Table.from_arrays(
        [
            pa.array([source] * len(forms)),
            numbers.to_arrow(),
            forms.to_arrow().cast(pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, encoder.hidden_size),
        ],
        schema=_schema(encoder.hidden_size),
    )
