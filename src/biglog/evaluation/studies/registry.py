"""All studies by name: what each asks, how it is measured, and how its result is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from biglog.data.kept_files import write_whole
from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.errors import InputError
from biglog.evaluation.ablation import Plan
from biglog.evaluation.anomaly.systems import Embedders
from biglog.evaluation.studies import few_shot, pictures, sizes, transfer, zero_shot

SCHEMA: Final = "biglog-study/1"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Workplace:
    """What studies are run with; each takes what it needs.

    Attributes:
        data: The folder of the data.
        results: The folder of results: read by studies of what is measured already, and written.
        seeds: Of encoders and of what is drawn.
        folds: Domains that encoders left out together.
        embedders: Gives ways to embed; asked for only where a study embeds.
        statements: Tables of log statements.
        cache: Keeps what is near to what; None keeps nothing.
        plan: Reads the plan of a study that trains.
        train: Gives what trains a plan's variants.
        say: Is told what was done.
    """

    data: Path
    results: Path
    seeds: Sequence[int]
    folds: Sequence[Sequence[str]]
    embedders: Callable[[], Embedders]
    statements: Sequence[Path] = ()
    cache: Path | None = None
    plan: Callable[[str], Plan] | None = None
    train: Callable[[Plan, str], sizes.Train] | None = None
    say: Say = lambda text: None


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        asks: What it asks, in a line.
        source: Name of the result file that its picture is drawn from.
        draw: Draws that, as SVG.
        run: Measures it; None where another command has written `source`.
        writer: That command.
    """

    asks: str
    source: str
    draw: Callable[[Mapping[str, Any]], str]
    run: Callable[[Workplace], dict[str, Any]] | None = None
    writer: str = ""


def _transfer(at: Workplace) -> dict[str, Any]:
    return transfer.transfer(at.data, at.embedders(), at.folds, at.seeds, at.say)


def _few_shot(at: Workplace) -> dict[str, Any]:
    parsing = few_shot.few_shot_parsing(at.data, at.statements, at.folds, at.seeds, at.cache, at.say)
    detection = few_shot.few_shot_detection(at.data, at.embedders(), at.seeds, at.say)
    told = {"protocol": " ".join((few_shot.__doc__ or "").split()), "seeds": list(at.seeds)}
    return told | {"counts": list(few_shot.COUNTS), "parsing": parsing, "detection": detection}


def _zero_shot(at: Workplace) -> dict[str, Any]:
    return zero_shot.zero_shot(at.results)


def _sizes(name: str) -> Callable[[Workplace], dict[str, Any]]:
    def run(at: Workplace) -> dict[str, Any]:
        if at.plan is None or at.train is None:
            raise InputError(f"{name} trains encoders, and nothing here does")
        plan = at.plan(name)
        return sizes.sizes(plan, at.train(plan, name), at.say)

    return run


def _own(name: str) -> str:
    return f"study_{name}.json"


STUDIES: Final[dict[str, Study]] = {
    "zero_shot": Study(
        "What is reached in a system of which no label was seen?",
        _own("zero_shot"),
        pictures.zero_shot,
        _zero_shot,
    ),
    "few_shot": Study("What are 1 to 100 labels worth?", _own("few_shot"), pictures.few_shot, _few_shot),
    "transfer": Study(
        "Does what is learnt in one domain hold in the other fifteen?",
        _own("transfer"),
        pictures.transfer,
        _transfer,
    ),
    "online": Study(
        "How little of the past does a detector need that learns on?",
        "anomaly.json",
        pictures.online,
        writer="python recipes/anomalies.py --parts online",
    ),
    "data_size": Study(
        "What are more training lines worth?", _own("data_size"), pictures.data_size, _sizes("data_size")
    ),
    "model_size": Study(
        "What is a larger encoder worth?", _own("model_size"), pictures.model_size, _sizes("model_size")
    ),
    "adaptation": Study(
        "Is a head on a frozen encoder enough?",
        "adaptation_modes.json",
        pictures.adaptation,
        writer="python recipes/adaptation_modes.py",
    ),
    "tokenizer": Study(
        "What does a vocabulary of logs save?",
        "tokenizers.json",
        pictures.tokenizer,
        writer="python tokenizer_training/compare.py",
    ),
}
"""In the order in which they are shown."""


def study_of(name: str) -> Study:
    """Returns a study.

    Raises:
        InputError: There is none of that name.
    """
    if name not in STUDIES:
        raise InputError(f"there is no study {name!r}", remedy=f"Choose of {', '.join(STUDIES)}")
    return STUDIES[name]


def run_study(name: str, at: Workplace, pictures_folder: Path, *, draw_only: bool = False) -> dict[str, Any]:
    """Measures a study, writes its result and draws its picture.

    Args:
        name: One of `STUDIES`.
        at: What it is run with.
        pictures_folder: Where `NAME.svg` is written.
        draw_only: Whether to draw from the result that is there.

    Returns:
        The result.

    Raises:
        InputError: There is no such study, something that it needs is missing, or there is no result to draw.
        OutputError: Result or picture cannot be written.
    """
    study = study_of(name)
    path = at.results / study.source
    if study.run is not None and not draw_only:
        made = {"schema": SCHEMA, "study": name} | study.run(at)
        run = {"hardware": hardware(), "versions": versions(), "git": git_state()}
        write_json(path, made | run)
    if not path.is_file():
        remedy = study.writer or f"Run it: python recipes/studies.py {name}"
        raise InputError(f"there is no result of {name} to draw", where=path, remedy=remedy)
    result = read_json(path)
    picture = drawn(name, result, path)
    pictures_folder.mkdir(parents=True, exist_ok=True)
    write_whole(pictures_folder / f"{name}.svg", lambda place: place.write_text(picture, encoding="utf-8"))
    return result


def drawn(name: str, result: Mapping[str, Any], where: Path) -> str:
    """Draws a study's result.

    Args:
        name: One of `STUDIES`.
        result: What `source` holds.
        where: Its path, for messages.

    Raises:
        InputError: The result lacks what is drawn.
    """
    try:
        return study_of(name).draw(result)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        problem = f"this result lacks what {name} draws: {type(error).__name__} {error}"
        raise InputError(problem, where=where, remedy="Run the study again") from error


def study_pictures(results: Path) -> dict[str, str]:
    """Draws every study whose result is there.

    Args:
        results: The folder of results.

    Returns:
        SVG by file name.

    Raises:
        InputError: A result cannot be read, or lacks what is drawn.
    """
    found = {}
    for name, study in STUDIES.items():
        path = results / study.source
        if path.is_file():
            found[f"{name}.svg"] = drawn(name, read_json(path), path)
    return found
