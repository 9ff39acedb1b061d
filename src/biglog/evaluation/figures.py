"""The README's figures, from the results that commands wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from biglog.errors import InputError


def figures(results: Path) -> str:
    """Returns the figures as Markdown.

    Args:
        results: The folder of result files.

    Raises:
        InputError: A result is missing or cannot be read.
    """
    return "\n\n".join(write(_read(results / name)) for name, write in _SECTIONS.items())


def _read(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"this result cannot be read: {error}", where=path, remedy="Run `make bench`"
        ) from error
    return read


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pretraining(record: dict[str, Any]) -> str:
    training, data, model = record["training"], record["data"], record["model"]
    average = record["evaluation"]["average_over_domains"]
    names = {
        "model": record["name"],
        "unigram": "masked unigram",
        "random_initialisation": "the same, untrained",
    }
    rows = [
        (names[name], f"{average[name]['accuracy']:.3f}", f"{average[name]['bits_per_byte']:.3f}")
        for name in names
    ]
    told = (
        f"**{record['name']}** ({model['num_hidden_layers']} layers, {model['hidden_size']} wide, "
        f"{model['megabytes']:.1f} MB) was trained from scratch for {training['cpu_seconds'] / 60:.0f} CPU "
        f"minutes on {data['train_normal_forms']:,} distinct normal forms of {len(data['domains'])} domains. "
        f"On held-out normal forms of the same domains, mean over domains:"
    )
    return told + "\n\n" + _table(("masked tokens", "accuracy", "bits per byte"), rows)


def _analyzing(result: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{log['lines']:,}",
            f"{log['normal_forms']:,}",
            f"{log['wall_seconds']:.1f} s",
            f"{log['peak_rss_mb']:,.0f} MB",
        )
        for name, log in result["logs"].items()
    ]
    split = ", ".join(f"{name} {value:.1f}" for name, value in result["logs"]["BGL"]["seconds"].items())
    told = (
        f"**`biglog analyze FILE --report --json`**, whole processes on {result['hardware']['cores']} cores, "
        f"start-up included; of BGL's seconds: {split}."
    )
    head = ("log", "lines", "normal forms", "time", "peak memory")
    return told + "\n\n" + _table(head, rows)


def _embedding(result: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{row['lines']:,}",
            f"{100 * row['unique_share']:.2f} %",
            f"{row['ours_mini']:,.0f}",
            f"{row['ratio_mini']:,.0f} ×",
            f"{row['ratio_mini_contents']:,.0f} ×",
            f"{row['ratio_base']:,.0f} ×" if "ratio_base" in row else "",
            f"{row['ratio_minilm']:,.0f} ×",
            f"{row['ratio_drain3']:.1f} ×",
        )
        for name, row in result["domains"].items()
    ]
    told = (
        "**Line embeddings**, lines per second with an empty cache, masking included, on "
        f"{result['torch_threads']} threads; and how many times that is of the ordinary way (every line, "
        "batches of 32 in file order, longest padding) with the same weights on raw lines and on contents "
        "without header, of the same on raw lines at the paper's size (12 layers, 768 wide, random weights; "
        "long logs with at most 100 normal forms), of MiniLM-L6, and of Drain3's parsing."
    )
    peers = ("ordinary", "on contents", "paper's size", "MiniLM-L6", "Drain3")
    head = ("domain", "lines", "unique", "lines/s", *peers)
    return told + "\n\n" + _table(head, rows)


def _ranking(result: dict[str, Any]) -> str:
    parts = []
    for name, log in result["logs"].items():
        rows = [
            (rule, *(f"{row[metric]:.3f}" for metric in _METRICS.values()))
            for rule, row in log["scores"].items()
        ]
        told = (
            f"**What the unlabelled ranking finds** on {name} ({log['alerts']:,} alerts in "
            f"{log['lines']:,} lines, {log['alert_events']} of {log['events']} events), "
            "beside trivial rules on the same events:"
        )
        parts.append(told + "\n\n" + _table(("score", *_METRICS), rows))
    return "\n\n".join(parts)


def _coverage(result: dict[str, Any]) -> str:
    total, formats = result["summary"], result["formats"]
    rows = []
    for name, domain in result["domains"].items():
        files = domain["files"].values()
        lines, headed = (sum(file[key] for file in files) for key in ("lines", "with_header"))
        continued = sum(file["continuations"] for file in files)
        sample = domain["sample"]
        rows.append(
            (
                name,
                f"{len(files)}",
                f"{lines:,}",
                f"{headed:,}",
                f"{continued:,}",
                f"{lines - headed - continued:,}",
                f"{sample['equal']:,} of {sample['lines']:,}",
            )
        )
    timed = sum(row["with_timestamp"] for row in formats.values())
    headed = sum(row["records_with_header"] for row in formats.values())
    told = (
        f"**Reading** {total['lines']:,} lines of {total['files']} files: "
        f"{total['files'] - total['files_with_other_counts']} have as many rows as lines counted on the "
        f"bytes; {total['sample_lines_equal']:,} of {total['sample_lines']:,} contents of the 2k samples "
        f"equal Loghub's own. Of {len(formats)} samples of other formats {timed:,} of {headed:,} records "
        "have a timestamp. Lines without header go on with a record (stack traces, indented) or are "
        "something else:"
    )
    head = ("domain", "files", "lines", "with header", "continuations", "other", "contents equal")
    return told + "\n\n" + _table(head, rows)


def _deduplication(result: dict[str, Any]) -> str:
    one, two, near = result["exact"]["1_processes"], result["exact"]["2_processes"], result["near"]
    hundred = result["per_100_million_lines"]
    cases = "; ".join(
        f"{row['normal_forms']:,} forms if they grow as in {row['domain']} ({case}): "
        f"{row['exact_state_megabytes']:,.0f} MB exactly, {row['near_megabytes']:,.0f} MB and "
        f"{row['near_minutes']:,.0f} min for near duplicates"
        for case, row in hundred["cases"].items()
    )
    return (
        f"**Distinct normal forms** of {one['lines']:,} lines: {one['normal_forms']:,}, in "
        f"{one['seconds']:.0f} s with one process and {two['seconds']:.0f} s with two, peaks of "
        f"{one['peak_megabytes']} and {two['peak_megabytes']} MB. Near duplicates (similarity "
        f"{near['threshold']}, {near['num_perm']} permutations): {near['forms_per_second']:,} texts/s, "
        f"{near['bytes_per_form']:,} bytes each. Reckoned from that, 100 million lines take "
        f"{hundred['exact_minutes']:.0f} min of one process, and hold {cases}."
    )


def _reading(result: dict[str, Any]) -> str:
    rows = []
    for name, log in result["logs"].items():
        peer = log["readers"]["logparser3"]
        for reader, row in log["readers"].items():
            rate = row["lines_per_second"]
            ratio = row["times_logparser3"]
            rows.append(
                (
                    f"{name}, {_READERS.get(reader, reader)}",
                    f"{rate['median']:,.0f}",
                    ""
                    if row is peer
                    else f"{ratio['median']:.1f} × ({ratio['min']:.1f} to {ratio['max']:.1f})",
                    "" if row is peer else f"{row['cpu_times_logparser3']['median']:.1f} ×",
                    f"{row['peak_rss_mb']:,.0f} MB",
                )
            )
    streams = "; ".join(
        f"{log['stream']['bytes'] / 1e9:.1f} GB of {name} as a stream peak at "
        f"{log['stream']['peak_rss_mb']:.0f} MB"
        for name, log in result["logs"].items()
        if "stream" in log
    )
    told = (
        "**Headers parsed**, lines per second of one process, paired in alternation with logparser3's loader "
        f"(`log_to_dataframe`), medians of {result['rounds']} rounds; {streams}."
    )
    head = ("log, reader", "lines/s", "times logparser3", "by CPU time", "peak memory")
    return told + "\n\n" + _table(head, rows)


_READERS = {
    "frame": "everything in one frame",
    "batches": "batch by batch",
    "recognised": "layout recognised too",
    "normal forms": "normal forms too",
}

_METRICS = {
    "AUC, lines": "line_auc",
    "average precision, lines": "line_average_precision",
    "AUC, events": "event_auc",
    "average precision, events": "event_average_precision",
}

_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "reading_coverage.json": _coverage,
    "reading.json": _reading,
    "deduplication.json": _deduplication,
    "benchmark_analyze.json": _analyzing,
    "benchmark_embeddings.json": _embedding,
    "odd_lines.json": _ranking,
    "pretrain_biglog-mini.json": _pretraining,
}
