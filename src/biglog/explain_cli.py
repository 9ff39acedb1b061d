"""`biglog explain`: why groups of a log are anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from biglog.console import AsJson, Files, check_writable, print_json, reading_bar
from biglog.detect_cli import (
    LayoutName,
    Session,
    StrideLines,
    StrideSeconds,
    WindowLines,
    WindowSeconds,
    Year,
)
from biglog.errors import InputError

EXAMPLE = "Example: biglog explain app.log.gz --model detector/ --window-lines 20 --alert 3f2a"


def explain(
    files: Files,
    model: Annotated[str, typer.Option(help="A detector that was fitted: a folder, or a Hub id.")],
    group: Annotated[str | None, typer.Option(help="Explain the group of this id, anomaly or not.")] = None,
    alert: Annotated[
        str | None, typer.Option(help="Explain the alert whose id begins like this (see biglog detect).")
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="Without either, so many alerts, the highest scores first.")
    ] = 10,
    session: Session = None,
    window_lines: WindowLines = None,
    stride_lines: StrideLines = None,
    window_seconds: WindowSeconds = None,
    stride_seconds: StrideSeconds = None,
    words: Annotated[
        str, typer.Option(help="How words are weighed: occlusion or integrated_gradients.")
    ] = "occlusion",
    picture: Annotated[
        Path | None, typer.Option(help="Draw the encoder's attention in the first line to this .svg.")
    ] = None,
    layout: LayoutName = None,
    year: Year = None,
    as_json: AsJson = False,
) -> None:
    """Tell why groups of a log are anomalies: lines, words, reasons, and normal groups beside them."""
    from biglog.inference.detection.folder import saved_grouping
    from biglog.inference.detection.groups import Grouping
    from biglog.inference.detector import AnomalyDetector
    from biglog.inference.explain_files import explain_files
    from biglog.inference.token_weights import METHODS

    check_writable(picture)
    if group is not None and alert is not None:
        raise InputError("--group and --alert are both given", remedy="Give one of them")
    if words not in METHODS:
        raise InputError(f"--words cannot be {words!r}", remedy=f"Choose of {', '.join(METHODS)}")
    given: dict[str, Any] = {"session": session, "window_lines": window_lines, "stride_lines": stride_lines}
    given |= {"window_seconds": window_seconds, "stride_seconds": stride_seconds}
    asked = {name: value for name, value in given.items() if value is not None}
    grouping = Grouping.of(**asked or saved_grouping(Path(model).expanduser()))
    detector = AnomalyDetector.from_pretrained(model)
    with reading_bar(files) as progress:
        found = explain_files(
            files,
            detector,
            grouping,
            group=group,
            alert=alert,
            most=top,
            method=words,
            layout=layout,
            year=year,
            progress=progress,
        )
    if picture is not None and found:
        from biglog.inference.attention import write_attention

        assert detector.encoder is not None  # it has judged
        write_attention(detector.encoder, found[0].explanation.lines[0].form, picture)
    if as_json:
        print_json([one.as_dict() for one in found])
        return
    from biglog.explain_terminal import print_explanations

    print_explanations(found, Console())
    if picture is not None and found:
        typer.echo(f"Attention: {picture}")
