"""Everything about detection in one run, as one result; each part can be run alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from biglog.errors import InputError
from biglog.evaluation.anomaly import hadoop, hdfs, learning, sets, transfer, windows, wording
from biglog.evaluation.anomaly.systems import Embedders
from biglog.evaluation.explanations import explanations
from biglog.evaluation.probes.labelled import checksum

Say = Callable[[str], None]

SCHEMA: Final = "biglog-anomaly/1"
WORDINGS: Final = tuple(range(5))
"""Seeds of the rewording."""

PARTS: Final = (
    "hdfs",
    "hdfs_labels",
    "drift",
    "wording",
    "windows",
    "unvouched",
    "windows_labels",
    "hadoop",
    "transfer",
    "few_labels",
    "online",
    "explanations",
)
"""Names of the parts."""


def evaluate_anomaly(
    folder: Path,
    statements: Path,
    embedders: Embedders,
    seeds: Sequence[int],
    say: Say = lambda text: None,
    parts: Sequence[str] = PARTS,
    keep: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Scores all systems on all sets.

    Args:
        folder: The data.
        statements: A table of log statements.
        embedders: Ours by domain and seed.
        seeds: Of ours and of what is drawn.
        say: Is told what was done.
        parts: Names of `PARTS`.
        keep: Is given the result after each part, so that a killed run has what it did.

    Returns:
        The parts by name, and `data`: checksums of all files.

    Raises:
        InputError: A part is not known, or a file is missing.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no part", remedy=f"Choose of {', '.join(PARTS)}")
    result: dict[str, Any] = {"schema": SCHEMA, "seeds": list(seeds), "data": {}}
    for name in sets.FILES:
        result["data"][sets.FILES[name]] = checksum(sets.path_of(folder, name))
    run = _parts(folder, statements, embedders, seeds, say)
    for part in parts:
        say(f"== {part}")
        result[part] = run[part]()
        keep(result)
    return result


def _parts(
    folder: Path, statements: Path, embedders: Embedders, seeds: Sequence[int], say: Say
) -> Mapping[str, Callable[[], dict[str, Any]]]:
    told = (folder, embedders, seeds, say)
    return {
        "hdfs": lambda: hdfs.unsupervised(*told),
        "hdfs_labels": lambda: hdfs.supervised(*told),
        "drift": lambda: hdfs.drift(folder, embedders, seeds, WORDINGS, say),
        "wording": lambda: wording.wording(statements, embedders, seeds, say),
        "windows": lambda: windows.unsupervised(*told),
        "unvouched": lambda: windows.unvouched(*told),
        "windows_labels": lambda: windows.supervised(*told),
        "hadoop": lambda: hadoop.by_application(*told),
        "transfer": lambda: transfer.transfer(*told),
        "few_labels": lambda: learning.few_labels(*told),
        "online": lambda: learning.online(*told),
        "explanations": lambda: explanations(
            folder, {d: {f"seed {s}": embedders.ours(d, s) for s in seeds} for d in windows.DOMAINS}
        ),
    }
