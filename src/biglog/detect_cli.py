"""`biglog detect`: anomalous sessions and windows of a log, and the lines that say why."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from biglog.console import AsJson, check_writable, print_json, reading_bar
from biglog.errors import InputError

if TYPE_CHECKING:
    from biglog.inference.detection.alerts import Alert
    from biglog.inference.detection.files import Detection
    from biglog.inference.detection.groups import Grouping
    from biglog.inference.detection.stream import DetectStream
    from biglog.inference.detector import AnomalyDetector
    from biglog.inference.follow import Place
    from biglog.tasks.groups import Groups

EXAMPLE = "Example: biglog detect app.log.gz --session 'request=([0-9a-f]+)' --report report.html"

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE...",
        help="Logs: paths, folders, archives, glob patterns, archive::pattern, or - for standard input.",
    ),
]
Train = Annotated[
    list[str] | None,
    typer.Option(help="A log of normal operation to learn from. Repeatable. Default: the first half."),
]
Model = Annotated[str | None, typer.Option(help="A detector that was fitted: a folder, or a Hub id.")]
Fit = Annotated[
    Path | None,
    typer.Option("--fit", help="Learn from the files, save the detector in this folder, judge none."),
]
LabelFile = Annotated[
    Path | None, typer.Option(help="With --fit: CSV of group_id,label (0 normal, 1 anomalous), one a group.")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(help="An alert_id that was no anomaly: the --model learns it, and is saved. Repeatable."),
]
Session = Annotated[
    str | None,
    typer.Option(
        help="Judge sessions: a column (host, pid, ...), a regex with one group on the content, or a system "
        "whose sessions are known (HDFS, OpenStack, ...)."
    ),
]
WindowLines = Annotated[int | None, typer.Option(help="Judge windows of so many lines. Default: 20.")]
StrideLines = Annotated[int | None, typer.Option(help="A window begins every so many lines.")]
WindowSeconds = Annotated[float | None, typer.Option(help="Judge windows of so many seconds.")]
StrideSeconds = Annotated[float | None, typer.Option(help="A window begins every so many seconds.")]
IdleLines = Annotated[
    int | None, typer.Option(help="With --follow, a session is over after so many lines of others (100,000).")
]
IdleSeconds = Annotated[
    float | None, typer.Option(help="With --follow, or after so many seconds without a line of it (3,600).")
]
Method = Annotated[
    str | None,
    typer.Option(
        help="How to detect: knn, lof, invariants, ... Default: novelty for windows, for sessions by the log."
    ),
]
Budget = Annotated[float | None, typer.Option(help="Share of normal groups that may alarm. Default: 0.01.")]
EncoderName = Annotated[
    str | None,
    typer.Option("--encoder", help="Checkpoint of lines: a folder or a Hub id. Default: biglog-mini."),
]
LayoutName = Annotated[
    str | None, typer.Option("--layout", "--format", help="Format of all files (see `biglog read`).")
]
Year = Annotated[int | None, typer.Option(help="Year of the first line where timestamps have none.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Alerts to write, a row a group: .parquet, .csv or .jsonl; - for JSON lines to stdout."
    ),
]
ReportFile = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report.")]
Top = Annotated[int, typer.Option(min=0, help="The most alerts to show.")]
Follow = Annotated[
    bool,
    typer.Option("--follow", help="Go on with what is appended to the file, and tell alerts as they come."),
]
State = Annotated[
    Path | None, typer.Option(help="With --follow: JSON file that remembers open groups between runs.")
]
FailOnAlert = Annotated[
    bool, typer.Option("--fail-on-alert", help="Exit with 1 if there is an alert, for CI.")
]


@dataclass(frozen=True)
class _Wanted:
    """What is to be done with alerts."""

    out: Path | None
    report: Path | None
    top: int
    as_json: bool
    fail_on_alert: bool
    folder: Path | None


def detect(
    files: Files = None,
    train: Train = None,
    model: Model = None,
    session: Session = None,
    window_lines: WindowLines = None,
    stride_lines: StrideLines = None,
    window_seconds: WindowSeconds = None,
    stride_seconds: StrideSeconds = None,
    method: Method = None,
    budget: Budget = None,
    out: Out = None,
    report: ReportFile = None,
    top: Top = 10,
    follow: Follow = False,
    state: State = None,
    idle_lines: IdleLines = None,
    idle_seconds: IdleSeconds = None,
    fit: Fit = None,
    labels: LabelFile = None,
    accept: Accept = None,
    encoder: EncoderName = None,
    layout: LayoutName = None,
    year: Year = None,
    fail_on_alert: FailOnAlert = False,
    as_json: AsJson = False,
) -> None:
    """Tell which sessions or windows of a log are anomalous, and the lines that say why.

    Without --model and --train the first half of the log is taken for normal, and the rest is judged.
    """
    from biglog.data.row_files import STANDARD_OUTPUT, check_suffix

    check_suffix(out)
    for path in (out if out != STANDARD_OUTPUT else None, report, state):
        check_writable(path)
    if model is not None and (fit, train, method, budget) != (None, None, None, None):
        raise InputError(
            "--model was fitted before", remedy="Leave out --fit, --train, --method and --budget"
        )
    if labels is not None and fit is None:
        raise InputError("--labels is for --fit alone", remedy="Add --fit FOLDER")
    # Where a window is cut is chance: its set of events says little, the lines in it say all.
    detector = _detector(model, method or ("novelty" if session is None else None), budget, encoder)
    if accept:
        _accept(detector, model, accept, as_json)
        return
    if not files:
        raise InputError("there is no log to judge", remedy="Name a file, or - for standard input")
    given: dict[str, Any] = {"session": session, "window_lines": window_lines, "stride_lines": stride_lines}
    given |= {"window_seconds": window_seconds, "stride_seconds": stride_seconds}
    grouping = _grouping(model, given, {"idle_lines": idle_lines, "idle_seconds": idle_seconds})
    wanted = _Wanted(out, report, top, as_json, fail_on_alert, _folder(model))
    if fit is not None:
        _fit(files, detector, grouping, fit, labels, layout, year, as_json)
    elif follow:
        _follow(files, train, detector, grouping, state, layout, wanted)
    else:
        _judge(files, train, detector, grouping, layout, year, wanted)


def _detector(
    model: str | None, method: str | None, budget: float | None, encoder: str | None
) -> AnomalyDetector:
    from biglog.inference.detector import AnomalyDetector
    from biglog.inference.encoder import LogEncoder

    own = None if encoder is None else LogEncoder.from_pretrained(encoder)
    if model is not None:
        return AnomalyDetector.from_pretrained(model, own)
    return AnomalyDetector(own, method or "auto", false_alarm_budget=budget)


def _folder(model: str | None) -> Path | None:
    """The folder of a detector that can remember alerts; a Hub's cannot."""
    return Path(model).expanduser() if model is not None and Path(model).expanduser().is_dir() else None


def _grouping(model: str | None, given: Mapping[str, Any], idle: Mapping[str, Any]) -> Grouping:
    from biglog.inference.detection.folder import saved_grouping
    from biglog.inference.detection.groups import Grouping

    folder = _folder(model)
    asked = any(value is not None for value in given.values())
    told = {} if folder is None or asked else saved_grouping(folder)
    return Grouping.of(**told | {k: v for k, v in {**given, **idle}.items() if v is not None})


def _accept(detector: AnomalyDetector, model: str | None, ids: list[str], as_json: bool) -> None:
    from biglog.inference.detection.folder import accept

    folder = _folder(model)
    if folder is None:
        raise InputError("--accept needs a detector in a folder", remedy="Name it by --model FOLDER")
    accepted = accept(detector, folder, ids)
    if as_json:
        print_json([{"group_id": a.group_id, "lines": len(a.forms), "seen": a.seen} for a in accepted])
        return
    for alert in accepted:
        typer.echo(f"{alert.group_id}: {len(alert.forms):,} lines like these are normal from now on")


def _fit(
    files: list[str],
    detector: AnomalyDetector,
    grouping: Grouping,
    folder: Path,
    labels: Path | None,
    layout: str | None,
    year: int | None,
    as_json: bool,
) -> None:
    from biglog.inference.detection.files import fit_files
    from biglog.inference.detection.folder import save_grouping

    with reading_bar(files) as progress:
        groups = fit_files(
            files, detector, grouping, labels=labels, layout=layout, year=year, progress=progress
        )
    detector.save_pretrained(folder)
    save_grouping(folder, grouping)
    told: dict[str, Any] = {
        "groups": len(groups),
        "lines": len(groups.codes),
        "normal_forms": len(groups.forms),
    }
    told |= {"method": detector.chosen_method, "threshold": detector.threshold, "folder": str(folder)}
    if as_json:
        print_json(told | {"grouping": grouping.to_dict()})
    else:
        line = (
            "{groups:,} groups, {lines:,} lines, {normal_forms:,} normal forms; method {method} -> {folder}"
        )
        typer.echo(line.format(**told))


def _judge(
    files: list[str],
    train: list[str] | None,
    detector: AnomalyDetector,
    grouping: Grouping,
    layout: str | None,
    year: int | None,
    wanted: _Wanted,
) -> None:
    from biglog.data.row_files import STANDARD_OUTPUT, writing_rows
    from biglog.inference.detection.files import detect_files

    with reading_bar([*(train or ()), *files]) as progress:
        done = detect_files(
            files, detector, grouping, train=train or None, layout=layout, year=year, progress=progress
        )
    if wanted.folder is not None and done.alerts:
        from biglog.inference.detection.folder import remember

        remember(wanted.folder, done.alerts[::-1])
    with writing_rows(wanted.out) as write:
        if len(done.rows) or wanted.out != STANDARD_OUTPUT:
            write(done.rows)
    if wanted.report is not None:
        from biglog.detect_report import write_report

        write_report(done, wanted.report)
    if wanted.out != STANDARD_OUTPUT:
        _tell(done, wanted)
    if wanted.fail_on_alert and len(done.rows):
        raise typer.Exit(1)


def _tell(done: Detection, wanted: _Wanted) -> None:
    if wanted.as_json:
        print_json(done.to_dict())
        return
    from biglog.detect_terminal import print_detection

    print_detection(done, wanted.top, Console())
    for name, path in (("Alerts", wanted.out), ("Report", wanted.report)):
        if path is not None:
            typer.echo(f"\n{name}: {path}")


def _follow(
    files: list[str],
    train: list[str] | None,
    detector: AnomalyDetector,
    grouping: Grouping,
    state: Path | None,
    layout: str | None,
    wanted: _Wanted,
) -> None:
    from biglog.data.row_files import STANDARD_OUTPUT
    from biglog.inference.detection.files import fit_files
    from biglog.inference.detection.follow import follow_alerts, last_alerts
    from biglog.inference.follow import Interrupts

    if len(files) != 1 or files[0] == "-":
        raise InputError("--follow is for one file", remedy="For a pipe leave --follow out, and use --out -")
    if wanted.out not in (None, STANDARD_OUTPUT) or wanted.report is not None:
        raise InputError(
            "--follow writes to standard output", remedy="Leave --out and --report out, and use >"
        )
    if state is not None and not train and not hasattr(detector, "detector_"):
        # What is learnt from the first lines is not in the state: the next run would learn from later ones.
        raise InputError(
            "--state goes on with a detector that is the same in every run, and there is none",
            remedy="Save one by --fit FOLDER, and give --model FOLDER; or --train a log of normal operation",
        )
    if train:
        with reading_bar(train) as progress:
            fit_files(train, detector, grouping, layout=layout, progress=progress)
    stream, place = _stream(detector, grouping, state)
    alerted = False

    try:
        with Interrupts(lambda: _save(stream, state, place)) as interrupts:
            for alerts in follow_alerts(
                Path(files[0]),
                stream,
                layout=layout,
                place=place,
                learnt=_say_learnt,
                between=interrupts.check,
            ):
                alerted |= bool(alerts)
                _tell_alerts(alerts, wanted)
    except KeyboardInterrupt:
        pass
    finally:
        _save(stream, state, place)
    if state is None:
        # Nothing goes on from here: what is open is judged as it is.
        last = last_alerts(stream)
        alerted |= bool(last)
        _tell_alerts(last, wanted)
    _say_counts(stream)
    if wanted.fail_on_alert and alerted:
        raise typer.Exit(1)


def _stream(detector: AnomalyDetector, grouping: Grouping, state: Path | None) -> tuple[DetectStream, Place]:
    from biglog.inference.detection.stream import DetectStream
    from biglog.inference.follow import Place

    if state is None or not state.exists():
        return DetectStream(detector, grouping), Place()
    stream, more = DetectStream.resume(state, detector, grouping)
    return stream, Place(**more)


def _save(stream: DetectStream, state: Path | None, place: Place) -> None:
    if state is not None:
        stream.save(state, vars(place))


def _tell_alerts(alerts: list[Alert], wanted: _Wanted) -> None:
    if not alerts:
        return
    from biglog.data.row_files import STANDARD_OUTPUT, writing_rows

    if wanted.folder is not None:
        from biglog.inference.detection.folder import remember

        remember(wanted.folder, alerts)
    if wanted.as_json or wanted.out is not None:
        from biglog.inference.detection.alerts import rows_of

        with writing_rows(STANDARD_OUTPUT) as write:
            write(rows_of(alerts))
        return
    from biglog.detect_terminal import print_alert

    console = Console()
    for alert in alerts:
        print_alert(alert, console)
    sys.stdout.flush()


def _say_learnt(groups: Groups, suspect: int) -> None:
    lines = f"{len(groups):,} groups, {len(groups.codes):,} lines"
    sys.stderr.write(f"biglog: learnt from what the file has ({lines}); what comes now is judged\n")
    if suspect:
        sys.stderr.write(
            f"biglog: {suspect:,} more groups speak of trouble in lines that most groups do without: they "
            "were neither learnt from nor judged (without --follow they are)\n"
        )
    sys.stderr.flush()


def _say_counts(stream: DetectStream) -> None:
    """Says on standard error what became of the lines; none is dropped in silence."""
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in stream.counts.items())
    sys.stderr.write(f"biglog: {told}\n")
