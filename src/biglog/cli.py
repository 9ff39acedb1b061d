"""The command line: one command a verb, no logic. An error is one line on stderr, and exit code 2."""

from __future__ import annotations

import inspect
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from biglog._version import __version__
from biglog.adapt_cli import SETTINGS as ADAPT_SETTINGS
from biglog.adapt_cli import adapt
from biglog.console import AsJson, Files, check_writable, print_json, reading_bar, tasks_bar
from biglog.datasets_cli import app as datasets_app
from biglog.detect_cli import EXAMPLE as DETECT_EXAMPLE
from biglog.detect_cli import detect
from biglog.errors import BigLogError, InputError
from biglog.evaluate_cli import EXAMPLE as EVALUATE_EXAMPLE
from biglog.evaluate_cli import SETTINGS as EVALUATE_SETTINGS
from biglog.evaluate_cli import evaluate
from biglog.explain_cli import EXAMPLE as EXPLAIN_EXAMPLE
from biglog.explain_cli import explain
from biglog.leaderboard_cli import EXAMPLE as LEADERBOARD_EXAMPLE
from biglog.leaderboard_cli import leaderboard
from biglog.parse_cli import EXAMPLE as PARSE_EXAMPLE
from biglog.parse_cli import parse
from biglog.predict_cli import app as predict_app
from biglog.publish_cli import EXAMPLE as PUBLISH_EXAMPLE
from biglog.publish_cli import publish
from biglog.study_cli import EXAMPLE as STUDY_EXAMPLE
from biglog.study_cli import SETTINGS as STUDY_SETTINGS
from biglog.study_cli import study

if TYPE_CHECKING:
    from biglog.logs.redaction import Redactor

_STARTED = time.perf_counter()

app = typer.Typer(
    name="biglog",
    help="One pretrained encoder for system logs: what is in a log, and what is odd in it, on a plain CPU.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(datasets_app, name="datasets")

Model = Annotated[
    str | None,
    typer.Option("--model", help="Checkpoint: a folder or a Hub id. Default: the embedded biglog-mini."),
]
Checkpoint = Annotated[str, typer.Option("--checkpoint", help="Checkpoint: a folder or an embedded name.")]
AsBert = Annotated[
    bool, typer.Option("--bert", help="The sibling typed `bert`, which loads without BigLog installed.")
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        "--layout",
        "--format",
        help="Format of all files: a name (json, rfc3164, HDFS, ...), '<Date> <Time> <Level> <Component>: "
        "<Content>', or a regex with named groups. Default: recognised file by file.",
    ),
]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"biglog {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: biglog analyze app.log.gz --baseline last-week.log --report report.html")
def analyze(
    files: Files,
    report: Annotated[Path | None, typer.Option(help="Write a self-contained HTML report.")] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="A log of normal operation; what it lacks is new. Repeatable.")
    ] = None,
    model: Model = None,
    layout: LayoutOption = None,
    year: Annotated[
        int | None, typer.Option(help="Year of the first line where timestamps have none.")
    ] = None,
    odd: Annotated[int, typer.Option(help="The most odd lines to report.", min=0)] = 20,
    as_json: AsJson = False,
) -> None:
    """Tell what is in a log (events, counts, times) and what is odd in it (ranked lines, with reasons)."""
    from biglog.inference.analyze import analyze as run

    check_writable(report)
    with reading_bar(files) as progress:
        imported = time.perf_counter() - _STARTED
        analysis = run(
            files,
            encoder=model,
            baseline=baseline or None,
            layout=layout,
            year=year,
            max_odd=odd,
            progress=progress,
        )
    start = imported + analysis.seconds["start"]
    analysis = replace(analysis, seconds=analysis.seconds | {"start": start})
    if report is not None:
        from biglog.report import write_report

        began = time.perf_counter()
        write_report(analysis, report)
        analysis = replace(analysis, seconds=analysis.seconds | {"report": time.perf_counter() - began})
    if as_json:
        from biglog.report import analysis_to_dict

        print_json(analysis_to_dict(analysis))
        return
    from biglog.terminal import print_summary

    print_summary(analysis, Console())
    if report is not None:
        typer.echo(f"\nReport: {report}")


app.command(epilog=PARSE_EXAMPLE)(parse)
app.command(epilog=DETECT_EXAMPLE)(detect)
app.command(epilog=EXPLAIN_EXAMPLE)(explain)
app.command(epilog=STUDY_EXAMPLE, context_settings=STUDY_SETTINGS)(study)
app.command(context_settings=ADAPT_SETTINGS)(adapt)
app.command(epilog=EVALUATE_EXAMPLE, context_settings=EVALUATE_SETTINGS)(evaluate)
app.add_typer(predict_app, name="predict")
app.command(epilog=LEADERBOARD_EXAMPLE)(leaderboard)
app.command(epilog=PUBLISH_EXAMPLE)(publish)


@app.command(epilog="Example: biglog read 'logs/*.gz' --merge --join --out lines.parquet")
def read(
    files: Files,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .parquet, .csv or .jsonl; - for JSON lines to standard output."),
    ] = None,
    layout: LayoutOption = None,
    join: Annotated[
        bool, typer.Option("--join", help="Join stack traces and the like to the record before them.")
    ] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Put the records of several logs into one order of time.")
    ] = False,
    zone: Annotated[
        str | None, typer.Option(help="Time zone of timestamps that name none, such as Europe/Berlin.")
    ] = None,
    year: Annotated[
        int | None, typer.Option(help="Year of the first line where timestamps have none.")
    ] = None,
    redact: Annotated[
        str | None,
        typer.Option(help="Hide personal data: `all`, or kinds such as email,ip,user (key: see --key-file)."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key of the pseudonyms. Default: $BIGLOG_REDACTION_KEY.")
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Show control characters as pictures, drop terminal colours.")
    ] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="Also write which pseudonym stands for what (JSON, mode 600).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn any log into a table, or, without --out, tell what its format is and what is wrong with it."""
    from biglog.data.row_files import STANDARD_OUTPUT
    from biglog.data.tabulate import tabulate

    if out != STANDARD_OUTPUT:
        check_writable(out)
    redactor = _redactor(redact, key_file, mapping)
    with reading_bar(files) as progress:
        done = tabulate(
            files,
            out,
            layout=layout,
            join=join,
            merge=merge,
            zone=zone,
            year=year,
            redactor=redactor,
            cleaned=clean,
            progress=progress,
        )
    if redactor is not None and mapping is not None:
        from biglog.logs.redaction import save_mapping

        save_mapping(redactor.mapping, mapping)
    if as_json and out != STANDARD_OUTPUT:
        from dataclasses import asdict

        print_json(asdict(done))
    elif out != STANDARD_OUTPUT:
        from biglog.read_terminal import print_read

        print_read(done, out, Console())


@app.command(epilog="Example: biglog encode app.log.gz --out vectors.parquet")
def encode(
    files: Files,
    out: Annotated[Path, typer.Option(help="Parquet file: line numbers, normal forms, embeddings.")],
    model: Model = None,
    layout: LayoutOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the embedding of every line: one row a line, one vector a normal form."""
    from biglog.inference.batch import encode_files

    check_writable(out)
    with reading_bar(files) as progress:
        summary = encode_files(files, out, model=model, layout=layout, progress=progress)
    if as_json:
        print_json(summary)
    else:
        typer.echo("{lines:,} lines, {normal_forms:,} normal forms -> {out}".format(**summary))


@app.command(epilog="Example: biglog save biglog; then AutoModel.from_pretrained('biglog')")
def save(
    target: Annotated[
        str, typer.Argument(help="Folder to write, or with --cache the id to load it by.")
    ] = "biglog",
    cache: Annotated[bool, typer.Option("--cache", help="Write to the Hugging Face cache instead.")] = False,
    checkpoint: Checkpoint = "biglog-mini",
    bert: AsBert = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is in use.")] = False,
) -> None:
    """Save a checkpoint so that `from_pretrained("biglog")` finds it: a folder, or the cache."""
    from biglog import hub

    if cache:
        written = hub.save_to_cache(target, checkpoint=checkpoint, bert=bert)
    else:
        written = hub.save(target, checkpoint=checkpoint, bert=bert, force=force)
    typer.echo(str(written))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def pretrain(context: typer.Context) -> None:
    """Pretrain an encoder from raw logs: a YAML file and flags of the same names (--help lists them)."""
    from biglog.training.arguments import PretrainArguments

    if not context.args or "--help" in context.args:
        typer.echo("Usage: biglog pretrain --config FILE [--NAME VALUE]...")
        typer.echo("       biglog pretrain --config FILE [--NAME VALUE]... --plan [--json]")
        typer.echo("       biglog pretrain --config FILE [--NAME VALUE]... --write-shards FOLDER\n")
        typer.echo(inspect.getdoc(PretrainArguments))
        typer.echo("\nExample: biglog pretrain --config recipes/configs/pretrain/smoke.yaml --max_steps 50")
        return
    given, words = _taken_out(context.args, ("plan", "dry-run", "json"), "write-shards")
    arguments = PretrainArguments.from_command_line(words)
    if "write-shards" in given:
        from biglog.training.corpora import write_corpus

        with tasks_bar() as progress:
            written = write_corpus(arguments, given["write-shards"], progress)
        typer.echo(f"{written['train_normal_forms']:,} normal forms -> {given['write-shards']}")
    elif "plan" in given or "dry-run" in given:
        from biglog.plan_terminal import print_plan
        from biglog.training.plan import plan_run

        plan = plan_run(arguments)
        if "json" in given:
            print_json(plan)
        else:
            print_plan(plan, Console())
    else:
        from biglog.training.pretrain import pretrain as run

        run(arguments)


def _taken_out(words: list[str], flags: tuple[str, ...], option: str) -> tuple[dict[str, str], list[str]]:
    """Takes what the arguments of a run do not know out of a command line: flags, and one with a value."""
    given: dict[str, str] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, _ = word.removeprefix("--").replace("_", "-").partition("=")
        if word.startswith("--") and name in flags and not equals:
            given[name] = ""
        elif word.startswith("--") and name == option:
            if not equals and not left:
                raise InputError(f"--{option} needs a folder")
            given[name] = word.partition("=")[2] if equals else left.pop(0)
        else:
            rest.append(word)
    if "json" in given and not {"plan", "dry-run"} & given.keys():
        raise InputError("--json is for --plan alone")
    return given, rest


def _redactor(kinds: str | None, key_file: Path | None, mapping: Path | None) -> Redactor | None:
    if kinds is None:
        if key_file is not None or mapping is not None:
            raise InputError("a key or a mapping is for --redact alone", remedy="Add --redact all")
        return None
    from biglog.logs.redaction import Redactor, read_key
    from biglog.logs.sensitive import KINDS

    check_writable(mapping)
    names = KINDS if kinds == "all" else [name.strip() for name in kinds.split(",") if name.strip()]
    return Redactor(read_key(key_file), names)


def main() -> None:
    """Runs the command line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        app()
    except BigLogError as error:
        sys.stderr.write(f"biglog: {error}\n")
        raise SystemExit(2) from None
    except (BrokenPipeError, SystemExit) as stop:
        # Typer makes an exit of a broken pipe.
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, BrokenPipeError):
            raise
        # The reader of our output has gone, as `head` does: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        sys.stderr.write("biglog: interrupted\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
