"""Explained alerts on a terminal: telling words marked, reasons, and a normal group beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from biglog.inference.explain_files import ExplainedGroup, ShownLine
from biglog.inference.token_weights import most_telling
from biglog.tasks.anomaly.examples import EventChange, NormalExample
from biglog.tasks.anomaly.leave_out import LineReason
from biglog.wording import clip, plural, visible

_SHOWN = 400
_FEW = 5


def print_explanations(groups: Sequence[ExplainedGroup], console: Console) -> None:
    """Prints why groups are anomalies.

    Args:
        groups: The groups, in the order to print them in.
        console: Where to print.
    """
    if not groups:
        console.print(Text("No group is an anomaly"))
    for group in groups:
        _print_group(group, console)


def _print_group(group: ExplainedGroup, console: Console) -> None:
    told = group.explanation
    verdict = "anomaly" if told.is_anomaly else "no anomaly"
    head = Text.assemble(
        (f"Group {visible(told.group_id)}", "bold"),
        (f"  alert {told.alert_id}", "dim"),
        f"  {verdict}: {told.anomaly_score:.4f}, threshold {told.threshold:.4f}",
        (f"  {plural(told.group_lines, 'line')}, {told.method}", "dim"),
    )
    console.print(head)
    if group.alike > 1:
        console.print(Text(f"  {group.alike:,} groups are like it", "dim"))
    for number, line in enumerate(group.shown, 1):
        _print_line(number, line, told.lines[line.place], console)
    _say("Reasons", [reason.text for reason in told.reasons], console)
    _say("Missing", [_change(change) for change in told.missing[:_FEW]], console)
    if told.examples:
        _print_example(told.examples[0], console)
    if told.considered < told.forms:
        left = f"{told.considered:,} of {told.forms:,} normal forms were left out in turn"
        console.print(Text(f"  {left}, those with the most evidence", "dim"))
    console.print()


def _print_line(number: int, line: ShownLine, reason: LineReason, console: Console) -> None:
    text = Text.assemble(
        (f"{number}. ", "bold"), (f"{visible(line.source)}:{line.line_number}  ", "dim"), _marked(line)
    )
    console.print(Padding(text, (0, 0, 0, 2), expand=False))
    why = [f"without it the score falls by {reason.weight:.4g}"] if reason.weight > 0 else []
    if reason.nearest_form is not None:
        kind = "unknown" if reason.is_new else "another wording"
        near = clip(visible(reason.nearest_form), 100)
        why.append(f"{kind}; the nearest known form is \u201c{near}\u201d (cosine {reason.cosine:.2f})")
    told = [visible(word.text) for word in most_telling(line.words)]
    why += [f"unlike it by \u201c{' '.join(told)}\u201d"] if told else []
    why += [f"says \u201c{visible(reason.trouble_word)}\u201d"] if reason.trouble_word else []
    why += [f"{reason.lines:,} lines like it"] if reason.lines > 1 else []
    if why:
        console.print(Padding(Text("; ".join(why), "italic"), (0, 0, 0, 5), expand=False))


def _marked(line: ShownLine) -> Text:
    """The line, cut where it is long, with the words marked that make it unlike its nearest known form."""
    position = max(0, line.content_start) if line.content_start < _SHOWN else 0
    text = Text(visible(line.line[:position]), "dim")
    for word in most_telling(line.words):
        if word.end > _SHOWN:
            break
        text.append(visible(line.line[position : word.start]), "not dim")
        text.append(visible(line.line[word.start : word.end]), "not dim bold red")
        position = word.end
    text.append(clip(visible(line.line[position:]), max(0, _SHOWN - position)), "not dim")
    return text


def _say(title: str, sentences: Sequence[str], console: Console) -> None:
    if not sentences:
        return
    console.print(Text(f"  {title}", "bold"))
    for sentence in sentences:
        console.print(Padding(Text(f"- {visible(sentence)}"), (0, 0, 0, 4), expand=False))


def _print_example(example: NormalExample, console: Console) -> None:
    alike = f"{example.similarity:.0%} of events in common, {plural(example.lines, 'line')}"
    came = f"came {plural(example.times, 'time')}"
    differences = [
        ("has not", example.added),
        ("has", example.missing),
        ("has more or fewer of", example.counts),
    ]
    _say(
        f"Nearest normal group ({alike}, {came})",
        [
            f"{verb} {'; '.join(_change(change) for change in changes[:_FEW])}" + _more(len(changes) - _FEW)
            for verb, changes in differences
            if changes
        ]
        or ["has the same events, equally often"],
        console,
    )


def _change(change: EventChange) -> str:
    form = clip(change.form, 100)
    if change.lines and change.normal_lines:
        return f"\u201c{form}\u201d ({change.normal_lines:,} lines, {change.lines:,} here)"
    return f"\u201c{form}\u201d ({plural(change.lines or change.normal_lines, 'line')})"


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""
