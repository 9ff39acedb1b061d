"""The sixteen domains on a terminal: what there is, what one of them is like, what was checked.

Fits from 80 columns up; without colours nothing is lost. Names of files reach Rich as `Text`, never as
markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from biglog.wording import percent, plural, visible

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LOGS_SHOWN = 12
_WIDE = 96  # columns from which the list has room for sizes


def size_words(size: int) -> str:
    """Returns a size in the unit that gives it one to four digits: `3.3 MiB`."""
    number, unit = float(size), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{size:,} bytes" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


def print_list(rows: Sequence[Mapping[str, Any]], folder: str, console: Console) -> None:
    """Prints one line a domain.

    Args:
        rows: As `biglog datasets list --json` gives them.
        folder: Where logs were looked for.
        console: Where to print.
    """
    table = _table()
    table.add_column("Domain", no_wrap=True)
    for name in ("Lines", "Size", "Span"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Labels", no_wrap=True)
    table.add_column("Session", no_wrap=True)
    table.add_column("Here", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(
            Text(row["domain"], "bold"),
            f"{row['lines']:,}",
            row["raw_size"],
            Text(row["span"] or ""),
            Text(row["labelled"] or ""),
            Text(row["session_key"] or "", "" if row["session_key"] else "dim"),
            _here(row["local"], sizes=console.width >= _WIDE),
        )
    console.print(table)
    lines = sum(row["lines"] for row in rows)
    found = sum(row["local"] is not None for row in rows)
    console.print()
    say = f"{len(rows)} domains, {lines:,} lines as published; {found} here, in "
    console.print(Text.assemble(say, visible(folder)), soft_wrap=True)


def print_domain(row: Mapping[str, Any], console: Console) -> None:
    """Prints all that is known of one domain.

    Args:
        row: As `biglog datasets show --json` gives it.
        console: Where to print.
    """
    console.print(Text.assemble((row["domain"], "bold"), "  ", row["description"]))
    console.print()
    grid = _grid()
    for name, text in _facts(row):
        grid.add_row(Text(name, "dim"), text)
    console.print(grid)
    _print_list("Known traps", row["quirks"], console)
    _print_local(row["local"], console)
    _title("Licence", console)
    console.print(
        Padding(Text(row["notice"].partition("\n\n")[2].strip(), "dim"), (0, 0, 0, 2), expand=False)
    )


def print_verified(reports: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints what was checked, a line a file.

    Args:
        reports: As `biglog datasets verify --json` gives them.
        console: Where to print.
    """
    table = _table()
    for name in ("Domain", "File"):
        table.add_column(name, overflow="fold")
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("SHA-256", no_wrap=True)
    table.add_column("Checksum", no_wrap=True)
    for report in reports:
        for at, file in enumerate(report["files"]):
            table.add_row(
                Text("" if at else report["domain"], "bold"),
                Text(visible(file["name"])),
                size_words(file["size"]),
                Text(file["sha256"][:12], "dim"),
                _state(file),
            )
    console.print(table)
    counted = [report for report in reports if report["lines"] is not None]
    if counted:
        console.print()
    for report in counted:
        console.print(_counted(report))


def print_built(reports: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints what was built: a line a table, with the share of test rows that training has seen.

    Args:
        reports: As `biglog datasets build --json` gives them.
        console: Where to print.
    """
    table = _table()
    for name in ("Domain", "Table"):
        table.add_column(name, no_wrap=True)
    for name in ("Train", "Validation", "Test", "Anomalies"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Test seen in train", overflow="fold")
    for report in reports:
        for at, (name, rows) in enumerate(report["rows"].items()):
            made = report["record"]["tables"][name]
            table.add_row(
                Text("" if at else report["domain"], "bold"),
                name,
                *(f"{rows[split]:,}" if split in rows else "" for split in ("train", "validation", "test")),
                _anomalies(made["splits"]),
                Text(_seen(made), "dim"),
            )
    console.print(table)
    console.print()
    for report in reports:
        folder, lines = visible(report["folder"]), plural(report["lines"], "line")
        console.print(Text.assemble(f"{lines} -> ", folder), soft_wrap=True)


def print_files(files: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Prints files of a repository with their sizes, as they are or would be published."""
    for file in files:
        console.print(Text(f"{file['size']:>14,}  {file['path']}"), soft_wrap=True)


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def print_statements(report: Mapping[str, Any], console: Console) -> None:
    """Prints how many statements were found, of what, and what was left out.

    Args:
        report: As `biglog datasets statements --json` gives it.
        console: Where to print.
    """
    console.print(
        Text(
            f"{report['rows']:,} statements ({report['templates']:,} templates) of"
            f" {plural(len(report['counts']['project']), 'project')} -> {report['path']}"
        ),
        soft_wrap=True,
    )
    grid = _grid()
    for name in ("language", "level", "licence"):
        told = ", ".join(f"{key} {rows:,}" for key, rows in report["counts"][name].items())
        grid.add_row(f"  {name}", Text(visible(told)))
    grid.add_row("  split", Text(", ".join(f"{k} {v['rows']:,}" for k, v in report["splits"].items())))
    if report["excluded"]:
        grid.add_row("  left out", Text(visible(", ".join(report["excluded"]))))
    if near := report["near"]:
        grid.add_row("  too near", Text(f"{near['equal']:,} equal, {near['near']:,} nearly equal to a form"))
    for name in ("unparsable", "damaged", "undecodable"):
        if count := sum(source[name] for source in report["sources"]):
            grid.add_row(f"  {name}", Text(plural(count, "file")))
    console.print(grid)


def _title(name: str, console: Console) -> None:
    console.print()
    console.print(Text(name, "bold"))


def _print_list(name: str, items: Sequence[str], console: Console) -> None:
    if not items:
        return
    _title(name, console)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right")
    grid.add_column(overflow="fold")
    for item in items:
        grid.add_row(Text("-", "dim"), Text(item))
    console.print(grid)


def _here(local: Mapping[str, Any] | None, *, sizes: bool) -> Text:
    if local is None:
        return Text("-", "dim")
    size = f", {size_words(local['bytes'])}" if sizes else ""
    if local["archive"]:
        return Text(f"archive{size}", "green")
    if local["logs"]:
        kind, style = ("log", "green") if local["from_loghub"] else ("other log", "yellow")
        return Text(f"{plural(len(local['logs']), kind)}{size}", style)
    return Text("sample" if local["samples"] else "labels", "cyan")


def _facts(row: Mapping[str, Any]) -> list[tuple[str, Text]]:
    size = ", ".join(filter(None, (row["raw_size"], row["span"])))
    facts = [
        ("Lines", f"{row['lines']:,} ({size})"),
        ("Archive", f"{row['archive']}, {row['url']}"),
        ("Header", row["notation"]),
        ("Timestamps", _time_words(row)),
        ("Session", _session_words(row)),
        ("Labels", row["label_rule"] or "none"),
        ("Cite", "; ".join(filter(None, ("Zhu et al., ISSRE 2023 (Loghub)", row["paper"])))),
    ]
    return [(name, Text(text)) for name, text in facts]


def _time_words(row: Mapping[str, Any]) -> str:
    words = f"{row['timestamp_format']}, {row['zone']}"
    if row["year"]:
        words += f"; no year, the first line is of {row['year']} ({row['year_origin']})"
    return words


def _session_words(row: Mapping[str, Any]) -> str:
    if not row["session_key"]:
        return "none"
    if row["session_path"]:
        return f"{row['session_key']}: {row['session_path']} in the path of the log"
    where = f"{row['session_pattern']} in the content" if row["session_pattern"] else ""
    return f"{row['session_key']}: {where or 'column ' + row['session_column']}"


def _print_local(local: Mapping[str, Any] | None, console: Console) -> None:
    _title("Here", console)
    if local is None:
        console.print(Text("  nothing", "dim"))
        return
    grid = _grid()
    logs = [log for log in local["logs"] if "::" not in log["name"]]
    inside = Counter(log["name"].partition("::")[0] for log in local["logs"] if "::" in log["name"])
    for name, count in inside.items():
        grid.add_row("  logs", Text.assemble(visible(name), (f"  {count:,} inside, Loghub", "dim")))
    for log in logs[:_LOGS_SHOWN]:
        origin = log["origin"] + (f", {log['year']}" if log["year"] else "")
        shares = (
            f", shares lines with {', '.join(log['shares_lines_with'])}" if log["shares_lines_with"] else ""
        )
        grid.add_row("  log", Text.assemble(visible(log["name"]), (f"  {origin}{shares}", "dim")))
    if len(logs) > _LOGS_SHOWN:
        grid.add_row("", Text(f"and {len(logs) - _LOGS_SHOWN:,} more", "dim"))
    for kind in ("samples", "labels", "failures", "unused"):
        for name in local[kind]:
            grid.add_row(f"  {kind.removesuffix('s')}", Text(visible(name)))
    for version, name in local["ground_truth"].items():
        grid.add_row("  truth", Text.assemble(visible(name), (f"  {version}", "dim")))
    console.print(grid)
    console.print(Text(f"  in {visible(local['folder'])}", "dim"), soft_wrap=True)


def _state(file: Mapping[str, Any]) -> Text:
    if file["recorded"] is None:
        return Text("not recorded", "dim")
    return Text("CHANGED", "bold red") if file["changed"] else Text("as downloaded", "green")


def _anomalies(splits: Mapping[str, Any]) -> str:
    labelled = [split for split in splits.values() if split.get("labelled")]
    return f"{sum(split['anomalies'] for split in labelled):,}" if labelled else ""


def _seen(made: Mapping[str, Any]) -> str:
    """Shares of test rows that also are in training, by kind of sameness."""
    found = made.get("leakage", {}).get("overlaps", ())
    pairs = [one for one in found if (one["first"], one["second"]) == ("train", "test")]
    shares = {one["kind"].replace("_", " "): one["share_of_second_rows"] for one in pairs}
    return ", ".join(f"{kind} {percent(share)}" for kind, share in shares.items())


def _counted(report: Mapping[str, Any]) -> Text:
    lines, published = report["lines"], report["published_lines"]
    words = f"{lines:,} of {published:,} published lines"
    if report["complete"]:
        return Text.assemble((report["domain"], "bold"), f"  {words}: ", ("complete", "green"))
    share = f"{100 * lines / published:.1f} %"
    return Text.assemble((report["domain"], "bold"), f"  {words}: ", (share, "yellow"))
