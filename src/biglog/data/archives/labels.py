"""Labels of sessions, from the files that Loghub and its copies keep them in."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.domains import Domain

LABEL_SCHEMA: Final = pl.Schema({"session_id": pl.String, "label": pl.String, "is_anomaly": pl.Boolean})

# The labels of 575,061 HDFS blocks are 18 MB; what is far larger is no list of labels.
_MOST_BYTES: Final = 1 << 28
_APPLICATION: Final = re.compile(r"application_[0-9]+_[0-9]+")
_INSTANCE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORDS: Final = {"0": "Normal", "1": "Anomaly"}


def read_session_labels(domain: Domain, files: Iterable[str]) -> pl.DataFrame:
    """Reads and joins the label files of one domain.

    Args:
        domain: Whose labels they are.
        files: Label files: paths, or members of archives written `archive.zip::member`.

    Returns:
        Columns session_id, label (as the source has it; 0 and 1 are written Normal and Anomaly) and
        is_anomaly; one row a session, sorted by session_id. Empty where there are no files.

    Raises:
        InputError: A file cannot be read, is laid out in a way that is not known, or contradicts another.
    """
    parts = [pl.DataFrame(schema=LABEL_SCHEMA)]
    for file in files:
        reader = _READERS.get(PurePosixPath(file.rpartition("::")[2]).name, _blocks)
        parts.append(reader(file, _text(file), domain))
    labels = pl.concat(parts)
    told = labels.group_by("session_id").agg(pl.col("is_anomaly").n_unique().alias("answers"))
    if len(torn := told.filter(pl.col("answers") > 1).sort("session_id")):
        session = torn["session_id"][0]
        problem = f"the label files contradict each other about {len(torn):,} sessions, the first {session}"
        raise InputError(problem, where=", ".join(files), remedy="Keep the files of one release only")
    return labels.unique("session_id", keep="first", maintain_order=True).sort("session_id")


def _text(file: str) -> str:
    """The text of a small file, also inside an archive."""
    archive, member = file.partition("::")[::2]
    try:
        if not member:
            return _checked(Path(file).read_bytes() if _fits(Path(file)) else None, file)
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                large = opened.getinfo(member).file_size > _MOST_BYTES
                return _checked(None if large else opened.read(member), file)
        return _checked(_tar_member(archive, member), file)
    except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"the labels cannot be read ({error})", where=file, remedy="Fetch it again"
        ) from error


def _fits(path: Path) -> bool:
    return path.stat().st_size <= _MOST_BYTES


def _tar_member(archive: str, member: str) -> bytes | None:
    """The first member of that name, in whatever folder: the tar's own list is as long as the tar."""
    with tarfile.open(archive, "r|*") as opened:
        for one in opened:
            if one.isfile() and PurePosixPath(one.name).name == PurePosixPath(member).name:
                stream = opened.extractfile(one)
                return stream.read() if stream and one.size <= _MOST_BYTES else None
    raise KeyError(f"no {member} in it")


def _checked(data: bytes | None, file: str) -> str:
    if data is None:
        raise InputError(f"larger than {_MOST_BYTES >> 20} MiB, so it is no list of labels", where=file)
    return data.decode("utf-8-sig", "replace")


def _table(file: str, text: str, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        table = pl.read_csv(text.encode(), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"not a CSV file ({error})", where=file, remedy="Fetch it again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        remedy = f"It has {', '.join(table.columns)}; rename them, or fetch the file again"
        raise InputError(f"the column {missing[0]} is missing", where=file, remedy=remedy)
    return table


def _labelled(sessions: pl.Series, labels: pl.Series, domain: Domain) -> pl.DataFrame:
    words = labels.replace(_WORDS)
    return pl.DataFrame(
        {"session_id": sessions, "label": words, "is_anomaly": words != domain.normal_label},
        schema=LABEL_SCHEMA,
    )


def _blocks(file: str, text: str, domain: Domain) -> pl.DataFrame:
    """`BlockId,Label` of the original archive, `block_id,label,...` of its extracts."""
    original = text.startswith("BlockId")
    columns = ("BlockId", "Label") if original else ("block_id", "label")
    table = _table(file, text, columns)
    if len(odd := table.filter(~pl.col(columns[1]).is_in(["Normal", "Anomaly", "0", "1"]).fill_null(False))):
        raise InputError(
            f"{odd[columns[1]][0]!r} is no label of a block", where=file, remedy="Fetch it again"
        )
    return _labelled(table[columns[0]], table[columns[1]], domain)


def _applications(file: str, text: str, domain: Domain) -> pl.DataFrame:
    table = _table(file, text, ("application_id", "fault"))
    return _labelled(table["application_id"], table["fault"], domain)


def _application_lists(file: str, text: str, domain: Domain) -> pl.DataFrame:
    """Headings `### Job` and `Fault:`, with lists of applications below: the text in Hadoop's archive."""
    rows: dict[str, str] = {}
    fault = None
    for line in map(str.strip, text.splitlines()):
        if line.endswith(":") and not line.startswith(("#", "+")):
            fault = line[:-1].strip()
        elif fault is not None and (found := _APPLICATION.search(line)):
            rows[found[0]] = fault
    if not rows:
        raise InputError("it names no application below a fault", where=file, remedy="Fetch it again")
    return _labelled(pl.Series(rows.keys()), pl.Series(rows.values()), domain)


def _instances(file: str, text: str, domain: Domain) -> pl.DataFrame:
    """The identifiers of the abnormal instances, in running text; the others are not named."""
    found = sorted(set(_INSTANCE.findall(text)))
    if not found:
        raise InputError("it names no instance", where=file, remedy="Fetch it again")
    return _labelled(pl.Series(found), pl.Series(["Anomaly"] * len(found)), domain)


_READERS: Final[dict[str, Callable[[str, str, Domain], pl.DataFrame]]] = {
    "labels.csv": _applications,
    "abnormal_label.txt": _application_lists,
    "anomaly_labels.txt": _instances,
}
