"""Figures on speed: the whole analysis, line embeddings, lines never seen, training."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, table

_PEERS: Final = {
    "ratio_mini": "ordinary",
    "ratio_mini_contents": "on contents",
    "ratio_base": "paper's size",
    "ratio_minilm": "MiniLM-L6",
    "ratio_drain3": "Drain3",
}


def analyzing(result: Result) -> str:
    """Says what `biglog analyze` takes, as whole processes."""
    rows = [
        (
            name,
            f"{log['lines']:,}",
            f"{log['normal_forms']:,}",
            f"**{log['wall_seconds']:.1f} s**",
            f"{log['peak_rss_mb']:,.0f} MB",
        )
        for name, log in result["logs"].items()
    ]
    told = (
        f"**`biglog analyze FILE --report --json`**, whole processes on {result['hardware']['cores']} cores, "
        f"start-up included{_split(result)}."
    )
    return told + "\n\n" + table(("log", "lines", "normal forms", "time", "peak memory"), rows)


def _split(result: Result) -> str:
    """Which part of the first log's time is what."""
    name, log = next(iter(result["logs"].items()))
    parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in log["seconds"].items())
    return f"; of {name}'s seconds: {parts}"


def embedding(result: Result) -> str:
    """Compares line embeddings with other ways to get them, domain by domain."""
    rows = [
        (name, f"{row['lines']:,}", f"{100 * row['unique_share']:.2f} %", *_speeds(row))
        for name, row in result["domains"].items()
    ]
    return f"{_told(result)}\n\n" + table(("domain", "lines", "unique", "lines/s", *_PEERS.values()), rows)


def embedding_in_short(result: Result) -> str:
    """The same as medians and ranges over domains."""
    domains = list(result["domains"].values())
    rows = []
    for title, over in (
        (f"median of {len(domains)} domains", statistics.median),
        ("least", min),
        ("most", max),
    ):
        kept = {
            key: over(row[key] for row in domains if key in row)
            for key in ("ours_mini", *_PEERS)
            if any(key in row for row in domains)
        }
        rows.append((title, *_speeds(kept)))
    return f"{_told(result)}\n\n" + table(("", "lines/s", *_PEERS.values()), rows)


def _told(result: Result) -> str:
    return (
        "**Line embeddings**, lines per second with an empty cache, masking included, on "
        f"{result['torch_threads']} threads; and how many times that is of the ordinary way (every line, "
        "batches of 32 in file order, longest padding) with the same weights on raw lines and on contents "
        "without header, of the same on raw lines at the paper's size (12 layers, 768 wide, random weights; "
        "long logs with at most 100 normal forms), of MiniLM-L6, and of Drain3's parsing."
    )


def _speeds(row: Any) -> Iterator[str]:
    yield f"{row['ours_mini']:,.0f}"
    for key in _PEERS:
        digits = 1 if key == "ratio_drain3" else 0
        yield f"{row[key]:,.{digits}f} ×" if key in row else ""


def cold(result: Result) -> str:
    """Compares sizes of encoders on lines that were never seen before."""
    rows = [
        (
            f"**{name}**" if _is_trained(name) else name,
            f"{row['parameters']:,}",
            f"{row['lines_per_cpu_second']:,.0f}",
            f"{row['times_minilm']:.1f} × (least {row['times_minilm_least']:.1f})",
        )
        for name, row in result["contenders"].items()
    ]
    told = (
        f"**Lines never seen before**: {result['lines']:,} contents with as many normal forms, "
        f"{result['tokens_per_line']:.1f} tokens each; {result['unit']}; medians of rounds. Sizes "
        "(layers x width [x feed-forward]) are untrained: speed does not depend on weights."
    )
    return told + "\n\n" + table(("encoder", "parameters", "lines/s", "times MiniLM-L6"), rows)


def cold_in_short(result: Result) -> str:
    """Says in a sentence what the trained encoder does on lines that were never seen before."""
    found = [(name, row) for name, row in result["contenders"].items() if _is_trained(name)]
    return " ".join(
        f"**Lines never seen before**, where no cache helps: {name} embeds "
        f"{row['lines_per_cpu_second']:,.0f} lines per CPU second, {row['times_minilm']:.0f} × MiniLM-L6 in "
        f"the same run (least of the rounds {row['times_minilm_least']:.0f} ×)."
        for name, row in found
    )


def _is_trained(name: str) -> bool:
    return not name.startswith("MiniLM") and not name[0].isdigit()


def training(result: Result) -> str:
    """Compares ways to train in real tokens a second."""
    ways = result["ways"]
    rows = [
        (
            name,
            f"{row['tokens_per_cpu_second']:,.0f}",
            _times(row, "times_padded_to_150"),
            _times(row, "times_padded_to_longest"),
        )
        for name, row in ways.items()
    ]
    told = (
        f"**Training**, {result['unit']}; lines of {result['tokens_per_line']:.1f} tokens; ratios within a "
        "round, median and least."
    )
    head = ("way", "tokens/s", "times padded to 150", "times padded to the longest")
    return told + "\n\n" + table(head, rows)


def _times(row: Any, key: str) -> str:
    return f"{row[key]:.1f} × ({row[key + '_least']:.1f})" if key in row else ""


def parsing(result: Result) -> str:
    """Writes speed and memory of parsing beside Drain3's."""
    rows = []
    for domain, told in result["domains"].items():
        ours, full = told["BigLog"], told["BigLog, with parameters"]
        rows.append(
            [
                domain,
                f"{told['Drain3']['lines_per_cpu_second']:,.0f}",
                f"**{ours['lines_per_cpu_second']:,.0f}**",
                f"{ours['times_drain3']:.1f} \u00d7",
                f"{full['lines_per_cpu_second']:,.0f}",
                f"{full['times_drain3']:.1f} \u00d7",
                f"{max(ours['peak_gb'], full['peak_gb']):.2f} GB",
            ]
        )
    head = ["lines like", "Drain3, lines/s", "BigLog", "times", "with parameters", "times", "peak"]
    text = (
        f"**Parsing**, {max(result['lines'].values()):,} lines of a kind (of Thunderbird's "
        f"{result['lines']['Thunderbird']:,}; real contents, all digits drawn anew), one core, lines per CPU "
        "second, every line with its event and template; Drain3 with its README's masks, and its own "
        "extraction where parameters are wanted."
    )
    return "\n\n".join([text, table(head, rows)])


def detection(result: Result) -> str:
    """Writes lines a second of known forms, and the latency of a line on the stream beside Drain3's."""
    rows = []
    for log, told in result["logs"].items():
        ours, drain = told["latency"]["BigLog"], told["latency"]["Drain3 and counts"]
        rows.append(
            [
                f"{log} ({told['method']})",
                f"**{told['throughput']['lines_per_cpu_second']:,.0f}**",
                *(f"{one['p50_ms']:.3f} / {one['p99_ms']:.2f}" for one in (ours, drain)),
                f"{told['latency']['new_forms']:,} of {told['latency']['lines']:,}",
            ]
        )
    learnt = result["learnt"]
    text = (
        f"**Detection**, one core: {result['lines']:,} lines like those of a log in batches of "
        f"{result['batch_lines']:,}, once their normal forms are known, lines per CPU second; and "
        "milliseconds a line of the log itself, one by one, after learning from its first "
        f"{learnt['latency']:.0%}: median / 99th percentile, "
        "beside Drain3 with counts of its events. A new form is embedded on the way."
    )
    head = ["log", "lines/s", "BigLog, ms a line", "Drain3 and counts, ms", "new forms on the stream"]
    return "\n\n".join([text, table(head, rows)])


def adaptation(result: Result) -> str:
    """Compares frozen training from forms computed once with the ordinary loop."""
    rows = [
        (
            name,
            f"{row['lines']:,}",
            f"{row['normal_forms']:,}",
            f"{row['ordinary']:,.0f}",
            f"**{row['cached']:,.0f}**",
            f"{row['ratio']:.0f} \u00d7",
            f"{row['ratio_on_the_sample']:.0f} \u00d7",
            f"{row['largest_difference_of_logits']:.0e}",
        )
        for name, row in result["settings"].items()
    ]
    text = (
        f"**A head on a frozen encoder**, {result['protocol']}: {result['unit']}. The ordinary loop computes "
        "every row of every batch, on a sample; beside it each normal form is computed once, on the same "
        "sample and on all lines. Same steps, same head: largest difference of logits."
    )
    head = ("what is learnt from", "lines", "normal forms", "ordinary, lines/s", "once", "times")
    return text + "\n\n" + table((*head, "on the same sample", "difference"), rows)
