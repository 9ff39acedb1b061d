"""What each mask is worth: normal forms saved, and what they mix up that belongs apart.

Example: python benchmarks/masking_ablation.py --data ../shared/data
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
from measuring import arguments, sha256, timed, write

from biglog.logs.masking import MASKING_VERSION, MASKS, Mask, normal_forms
from biglog.logs.record import read_logs

Table = tuple[Mask, ...]
_EXIT = r"(?i)exit(?:ed|ing)?[^0-9]{0,40}(?:code|status|value)[^0-9]{0,4}([0-9]+)"


def variants() -> dict[str, Table]:
    """The table as it is, without each kind, and with each decision taken the other way."""
    named: dict[str, Table] = {"as it is": MASKS, "no masks": ()}
    for kind in dict.fromkeys(mask.kind for mask in MASKS):
        named[f"without {kind}"] = tuple(mask for mask in MASKS if mask.kind != kind)
    for least in (1, 3, 4):
        named[f"digits in words from {least} on"] = _changed(
            "digits-in-word", lambda _, n=least: f"[0-9]{{{n},}}"
        )
    named["a lone 0 masked"] = _changed("number", lambda p: p.replace("[1-9][0-9]*|0[0-9]+", "[0-9]+"))
    for digits in (1, 2, 3):
        wider = _changed("number", lambda p, n=digits: p.replace("[1-9][0-9]*|0[0-9]+", f"[0-9]{{{n + 1},}}"))
        kept = tuple(
            replace(mask, pattern=f"[0-9]{{{max(2, digits + 1)},}}")
            if mask.kind == "digits-in-word"
            else mask
            for mask in wider
        )
        named[f"integers of up to {digits} digits kept"] = kept
    return named


def _changed(kind: str, change: object) -> Table:
    assert callable(change)
    return tuple(replace(mask, pattern=change(mask.pattern)) if mask.kind == kind else mask for mask in MASKS)


def impure(frame: pl.DataFrame, label: str) -> int:
    """Lines whose normal form mostly has another label: what no task could tell apart any more."""
    counted = frame.group_by("form", label).agg(pl.len().alias("n"))
    most = counted.group_by("form").agg(pl.col("n").sum() - pl.col("n").max())
    return int(most["n"].sum())


def with_forms(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Adds the normal forms of a table to a frame with contents."""
    return frame.with_columns(form=normal_forms(frame["content"], table))


def templates(data: Path) -> dict[str, pl.DataFrame]:
    """Contents and ground-truth templates of the 16 samples, loghub-2.0's where there is one."""
    frames = {}
    for folder in sorted(path for path in (data / "loghub_2k").iterdir() if path.is_dir()):
        name = f"{folder.name}_2k.log_structured_corrected.csv"
        path = folder / "loghub2" / name
        path = path if path.exists() else folder / name
        table = pl.read_csv(path, infer_schema=False).select(content="Content", event="EventTemplate")
        frames[folder.name] = table.fill_null("")
    return frames


def labelled(data: Path, limit: int) -> dict[str, tuple[pl.DataFrame, str]]:
    """Contents with what a mask might hide: alerts, HTTP failures, exit codes."""
    sets = {}
    for name, path in (
        ("BGL_100k", "bgl/BGL_100k.log.gz"),
        ("Thunderbird_19k", "thunderbird/Thunderbird_19k.log.gz"),
    ):
        frame = read_logs(data / "anomaly" / path).read()
        frame = frame.select("content", alert=pl.col("label") != "-")
        sets[f"{name} alert"] = (frame.head(limit or len(frame)), "alert")
    access = read_logs(
        [data / "formats" / f"access_{name}.log" for name in ("combined_apache", "nginx")], layout="plain"
    )
    failure = pl.col("line").str.contains(r'" [45][0-9]{2} ')
    sets["HTTP failure"] = (access.read().select(content="line", failure=failure), "failure")
    exits = pl.DataFrame({"content": list(_exit_lines(data))})
    zero = exits["content"].str.extract(_EXIT, 1).cast(pl.Int64) == 0
    sets["exit code 0"] = (exits.with_columns(zero=zero), "zero")
    return sets


def _exit_lines(data: Path) -> Iterable[str]:
    with zipfile.ZipFile(data / "anomaly" / "hadoop" / "Hadoop.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".log"):
                for line in archive.read(name).decode(errors="replace").splitlines():
                    if re.search(_EXIT, line):
                        yield line.split(": ", 1)[-1]


def main() -> int:
    """Runs the ablation, prints a table and writes the result."""
    options = arguments(__doc__, "masking_ablation.json").parse_args()
    samples, sets = templates(options.data), labelled(options.data, options.limit)
    rows = []
    for name, table in variants().items():
        frames = [with_forms(frame, table) for frame in samples.values()]
        row: dict[str, object] = {
            "variant": name,
            "normal_forms": sum(frame["form"].n_unique() for frame in frames),
            "lines_mixing_events": sum(impure(frame, "event") for frame in frames),
        }
        for title, (frame, label) in sets.items():
            masked = with_forms(frame, table)
            row[f"{title}: normal_forms"] = masked["form"].n_unique()
            row[f"{title}: lines mixed"] = impure(masked, label)
        rows.append(row)
        print(" | ".join(f"{value}" for value in row.values()), flush=True)
    bgl = sets["BGL_100k alert"][0]["content"]
    speed = sorted(len(bgl) / timed(lambda: normal_forms(bgl))[1] for _ in range(3))[1]
    write(
        options.out,
        {
            "schema": "biglog-masking-ablation/1",
            "masking_version": MASKING_VERSION,
            "ground_truth_version": "loghub-2.0 for 14 domains, logparser-corrected for Android and Windows",
            "events": sum(frame["event"].n_unique() for frame in samples.values()),
            "lines": {title: len(frame) for title, (frame, _) in sets.items()},
            "sha256": {
                path.name: sha256(path) for path in sorted((options.data / "anomaly").glob("*/*.log.gz"))
            },
            "bgl_lines_per_cpu_second": round(speed),
            "rows": rows,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
