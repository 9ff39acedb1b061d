"""What is shown where: five figures in the README, all of them in docs/figures.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from biglog.errors import InputError
from biglog.evaluation.figures import anomaly, failure, learning, parsing, reading, speed, studies
from biglog.evaluation.figures.markdown import Result, origin

Write = Callable[[Result], str]


@dataclass(frozen=True)
class Section:
    """One result and how it is shown.

    Attributes:
        file: Name of the result file.
        title: Its heading.
        whole: Writes it with all details.
        brief: Writes it for the README; None keeps it out of there.
        is_needed: Whether it is an error if the file is missing; else the section is left out.
    """

    file: str
    title: str
    whole: Write
    brief: Write | None = None
    is_needed: bool = False


SECTIONS: Final = (
    Section("benchmark_analyze.json", "The whole analysis", speed.analyzing, speed.analyzing, True),
    Section("benchmark_embeddings.json", "Line embeddings", speed.embedding, speed.embedding_in_short, True),
    Section("cold_embeddings.json", "Lines never seen before", speed.cold, speed.cold_in_short),
    Section("probes_biglog-mini.json", "Probes", learning.probes, learning.probes_in_short),
    Section("parsing.json", "Log parsing", parsing.parsing, parsing.parsing_in_short),
    Section("benchmark_parsing.json", "Speed of parsing", speed.parsing, speed.parsing),
    Section("anomaly.json", "Anomaly detection", anomaly.anomaly, anomaly.anomaly_in_short),
    Section("benchmark_detection.json", "Speed of detection", speed.detection, speed.detection),
    Section("failure.json", "Failure prediction", failure.failure, failure.failure_in_short),
    Section("reading.json", "Reading headers", reading.headers, reading.headers_in_short, True),
    Section("reading_coverage.json", "Reading any log", reading.coverage, reading.formats, True),
    Section("deduplication.json", "Distinct normal forms", reading.deduplication, None, True),
    Section("odd_lines.json", "The unlabelled ranking", learning.ranking, None, True),
    Section("pretrain_biglog-mini.json", "Pretraining", learning.pretraining, None, True),
    Section("left_out_biglog-mini.json", "Masked tokens of domains left out", learning.left_out),
    Section("pretraining_ablation.json", "Ablation of the recipe", learning.ablation),
    Section("tokenizers.json", "Tokenizers", learning.tokenizers),
    Section("adaptation_modes.json", "Ways to adapt", studies.adaptation),
    Section("adaptation_speed.json", "Speed of adaptation", speed.adaptation, speed.adaptation),
    Section("training_efficiency.json", "Training efficiency", speed.training),
    Section("statements.json", "Log statements", reading.statements),
    Section("reproduction.json", "Reproduction", studies.reproduction, studies.reproduction),
    Section("study_zero_shot.json", "Zero-shot", studies.zero_shot),
    Section("study_few_shot.json", "Few labels", studies.few_shot),
    Section("study_transfer.json", "Domain transfer", studies.transfer),
    Section("anomaly.json", "Online learning", studies.online),
    Section("study_data_size.json", "More training data", studies.data_size),
    Section("study_model_size.json", "Size of the encoder", studies.model_size),
    Section("tokenizers.json", "Bytes a token", studies.tokenizer),
)
"""In the order of the README; docs/figures.md has the same."""

_HEAD: Final = """# Figures

Written by `make docs` from the files in [results/](../results/), which `make bench` and the recipes write.
Hardware, versions, data checksums and seeds are in those files."""


def figures(results: Path) -> str:
    """Returns the README's figures as Markdown.

    Args:
        results: The folder of result files.

    Raises:
        InputError: A result that the README needs is missing, or one cannot be read.
    """
    written = [
        _written(section, section.brief, result)
        for section, result in _present(results)
        if section.brief is not None
    ]
    return "\n\n".join(part for part in written if part)


def figures_page(results: Path) -> str:
    """Returns docs/figures.md: every figure in full, each with where it comes from.

    Args:
        results: The folder of result files.

    Raises:
        InputError: As for :func:`figures`.
    """
    present = _present(results)
    links = " · ".join(f"[{section.title}](#{_anchor(section.title)})" for section, _ in present)
    parts = [_HEAD, links]
    for section, result in present:
        text = _written(section, section.whole, result)
        parts += [f"## {section.title}", text, origin(section.file, result)]
    return "\n\n".join(parts) + "\n"


def between(text: str, name: str, written: str) -> str:
    """Returns a text with what stands between ``<!-- name -->`` and ``<!-- /name -->`` written anew.

    Raises:
        InputError: The marks are not there.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise InputError(
            f"the marks of {name!r} are not in the text", remedy=f"Put {begin.strip()} and {end}"
        )
    return f"{before}{begin}{written}\n{end}{rest.partition(end)[2]}"


def missing(results: Path) -> list[str]:
    """Returns the result files that are not there and are left out for that.

    Args:
        results: The folder of result files.
    """
    optional = dict.fromkeys(one.file for one in SECTIONS if not one.is_needed)
    return [file for file in optional if not (results / file).is_file()]


def read_result(path: Path) -> Result | None:
    """Reads a result; None if there is none.

    Raises:
        InputError: It cannot be read.
    """
    return _read(path) if path.exists() else None


def _present(results: Path) -> list[tuple[Section, Result]]:
    there = [one for one in SECTIONS if one.is_needed or (results / one.file).is_file()]
    return [(section, _read(results / section.file)) for section in there]


def _written(section: Section, write: Write, result: Result) -> str:
    try:
        return write(result)
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"this result lacks what is shown of it: {type(error).__name__} {error}",
            where=f"results/{section.file}",
            remedy="Run its command again: `make bench`",
        ) from error


def _read(path: Path) -> Result:
    try:
        read: Result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"this result cannot be read: {error}", where=path, remedy="Run `make bench`"
        ) from error
    return read


def _anchor(title: str) -> str:
    """The anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
