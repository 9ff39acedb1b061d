"""What a model card says of a run's record, part by part: tables, and limits told from the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from biglog.evaluation.charts import Panel, Series
from biglog.evaluation.figures.learning import beaten_by, has_statements, log_domains
from biglog.evaluation.figures.markdown import Result, joined, table
from biglog.evaluation.left_out import PREFIX as LEFT_OUT
from biglog.evaluation.probes.cells import beaten, cells

BASELINES: Final = {"bigram": "bigram", "unigram": "unigram", "random_initialisation": "untrained"}
FEW_LINES: Final = 10
"""Held-out lines of a domain below which its figures say little."""

_LAST: Final = 10
_LOSSES: Final = {
    "identity": ("Identity of events", "contrast of pairs (InfoNCE), nats"),
    "severity": ("Severity of statements", "cross-entropy, nats"),
    "teacher": ("Meaning", "1 - cosine to the teacher"),
}


def domains_table(record: Result) -> str:
    """What was trained on, by domain: lines, normal forms, how long they are."""
    lengths = {row["domain"]: row for row in record["tokenizer"]["domains"]}
    rows = []
    for row in record["data"]["domains"]:
        length = lengths.get(row["domain"])
        told = ("", "") if length is None else _lengths(length)
        counts = (f"{row[key]:,}" for key in ("lines", "forms", "held_out"))
        rows.append((row["domain"], *counts, *told))
    head = (
        "domain",
        "lines",
        "normal forms trained on",
        "held out",
        "tokens a form",
        "longer than the model",
    )
    return table(head, rows)


def _lengths(row: Result) -> tuple[str, str]:
    return f"{row['tokens_per_line']:.1f}", f"{100 * row['over_limit']:.1f} %"


def left_out(record: Result) -> str:
    """Which domains were left out of training, or that none was."""
    rows = record["data"].get("left_out") or []
    if not rows:
        return f"No domain is left out: the model has seen logs of all {len(log_domains(record))}."
    names = joined([f"{row['domain']} ({row['forms']:,} normal forms)" for row in rows])
    return f"**Left out of training**, with every normal form that occurs in their lines: {names}."


def exclusions_table(record: Result) -> str:
    """What was excluded, and the proof: normal forms of it that are left in training."""
    rows = [
        (
            f"{one['name']} (`{one['file']}`, SHA-256 `{one['sha256'][:16]}`)",
            *(f"{one[key]:,}" for key in ("lines", "normal_forms", "dropped", "remaining")),
        )
        for one in record["data"]["exclusions"]
    ]
    head = ("test set", "lines", "its normal forms", "dropped from training", "left in training")
    return table(head, rows)


def sources_table(record: Result) -> str:
    """Files by domain, each with lines and checksum; of log statements the table they come from."""
    ordered = sorted(record["data"]["sources"], key=lambda source: (source["domain"], source["file"]))
    rows = [(s["domain"], f"`{s['file']}`", f"`{s['sha256']}`", f"{s['lines']:,}") for s in ordered]
    account = record.get("statements") or {}
    for name, checksum in account.get("sha256", {}).items():
        rows.append(("log statements", f"`{name}`", f"`{checksum}`", f"{account['rows']:,}"))
    return table(("domain", "file", "SHA-256", "lines"), rows, texts=3)


def statements(record: Result) -> str:
    """What log statements of source code were learnt from, by project and licence; empty without any."""
    learnt, account = record.get("objectives") or {}, record.get("statements")
    if not learnt.get("statements") or account is None:
        return ""
    files = account.get("files") or [account.get("file", "statements")]  # a record of old names one
    told = (
        f"{learnt['statements']:,} distinct templates of log calls in source code, "
        f"{learnt['statements_with_level']:,} of them with a level. Of {account['rows']:,} in "
        f"{joined([f'`{name}`' for name in files])} {account['of_training_projects']:,} are of training "
        f"projects; {account['near_left_out']:,} were dropped as equal or near to a form of a domain that is "
        "left out."
    )
    projects = account.get("projects")
    if projects is None:  # a record from before licences were kept
        return f"{told} Projects: {joined(learnt['projects'])}."
    return f"{told}\n\n{_licences(projects)}\n\n{_projects(projects)}"


def _licences(projects: list[Result]) -> str:
    """How many projects and statements are under each licence."""
    counts: Counter[str] = Counter()
    named: dict[str, set[str]] = {}
    for row in projects:
        licence = row["licence"] or "unknown"
        counts[licence] += row["statements"]
        named.setdefault(licence, set()).add(row["project"])
    rows = [(name, f"{len(named[name]):,}", f"{count:,}") for name, count in counts.most_common()]
    return table(("licence", "projects", "statements"), rows)


def _projects(projects: list[Result]) -> str:
    rows = [
        (row["project"] or "unknown", row["licence"] or "unknown", f"{row['statements']:,}")
        for row in projects
    ]
    listed = table(("project", "licence", "statements"), rows, texts=2)
    return f"<details><summary>Every project with its licence</summary>\n\n{listed}\n\n</details>"


def teacher(record: Result) -> str:
    """Whose embeddings were learnt from, as a tool of training; empty without a teacher."""
    told = (record.get("objectives") or {}).get("teacher")
    name = told["name"] if told else record["arguments"].get("teacher")
    if not name:
        return ""
    checksum = f" (checksum of its weights `{told['sha256'][:16]}`)" if told else ""
    taught = (record.get("objectives") or {}).get("taught_texts", 0)
    parts = [
        f"A general text encoder, `{name}`{checksum}, was a tool of training: none of its weights are here."
    ]
    if record["arguments"].get("teacher_start"):
        parts.append("Token embeddings began as what it says of each token, reduced to our width.")
    if taught:
        parts.append(f"Line embeddings were drawn to what it says of {taught:,} texts.")
    return " ".join(parts)


def objectives_table(record: Result) -> str:
    """The objectives with their weights, and what each learnt from."""
    given, learnt = record["arguments"], record.get("objectives") or {}
    hidden = given.get("masking", "words" if given.get("whole_words") else "pieces")
    weight = given.get("tokens_weight", 1.0) if learnt else 1.0
    rows = [
        (
            "masked tokens",
            f"{100 * given['mlm_probability']:.0f} % of the tokens of a row, {hidden} at a time",
            f"{weight:g}",
        )
    ]
    if given.get("line_order_weight"):
        kept = f"windows of {given['window_lines']} lines, {100 * given['window_share']:.0f} % of the rows"
        rows.append(("order of lines", kept, f"{given['line_order_weight']:g} a window"))
    for name, words in _learnt_from(given, learnt).items():
        if given.get(f"{name}_weight"):
            rows.append((name, words, f"{given[f'{name}_weight']:g}"))
    return table(("objective", "learnt from", "weight"), rows, texts=2)


def _learnt_from(given: Result, learnt: Result) -> dict[str, str]:
    if not learnt:
        return {}
    labelled, grouped = (learnt.get(f"{kind}_events") or {} for kind in ("labelled", "grouped"))
    kinds = []
    if labelled:
        kinds.append(f"{sum(labelled.values()):,} labelled events of {len(labelled)} domains")
    if grouped:
        kinds.append(f"{sum(grouped.values()):,} events of {len(grouped)} domains grouped by rule")
    if learnt["statements"]:
        kinds.append(f"{learnt['statements']:,} statements filled twice")
    return {
        "identity": f"{given['identity_pairs']} pairs a batch, temperature {given['identity_temperature']}: "
        + joined(kinds),
        "severity": f"whether {learnt['statements_with_level']:,} statements are warnings or worse",
        "teacher": f"a teacher's embeddings of {learnt.get('taught_texts', 0):,} texts",
    }


def language_table(record: Result) -> str:
    """Masked tokens: every domain and the averages, ours beside the baselines that the record has."""
    averages = {"average_over_domains": "known", "average_over_left_out_domains": "left-out"}
    return _language(record["evaluation"], averages)


def left_out_table(result: Result) -> str:
    """The same for domains that fold models have not seen; which models these are stands before it.

    Args:
        result: As `biglog.evaluation.left_out.gather` returns it.
    """
    models, spread = result["models"], result["seed_sd"]
    seeds = len({model["seed"] for model in models})
    word = "seed" if seeds == 1 else "seeds"
    told = (
        f"Of {len(models)} other models of this recipe ({seeds} training {word}), "
        "each on the domains that were left out of its training with every normal form of theirs"
    )
    if spread is not None:
        told += (
            f"; the mean over domains varies with the seed by {spread['accuracy']:.3f} and "
            f"{spread['bits_per_byte']:.3f} (standard deviation)"
        )
    return f"{told}:\n\n" + _language(result, {"average_over_left_out_domains": "left-out"})


def _language(evaluation: Result, averages: dict[str, str]) -> str:
    known = [name for name in BASELINES if name in evaluation[next(iter(averages))]]
    systems = ("model", *known)
    rows = [
        (name.replace(LEFT_OUT, "left out: "), f"{row['lines']:,}", *_measured(row, systems))
        for name, row in evaluation["domains"].items()
    ]
    for key, kind in averages.items():
        if key in evaluation:
            bold = (f"**{cell}**" for cell in _measured(evaluation[key], systems))
            rows.append((f"**mean of {kind} domains**", "", *bold))
    titles = [BASELINES[name] for name in known]
    head = ("domain", "lines", "accuracy", *titles, "bits per byte", *titles)
    return table(head, rows)


def _measured(row: Result, systems: tuple[str, ...]) -> list[str]:
    return [f"{row[name][key]:.3f}" for key in ("accuracy", "bits_per_byte") for name in systems]


def panels(record: Result) -> list[Panel]:
    """The curves of a run: loss of masked tokens, held-out accuracy and bits, each further objective."""
    held, curve = record["evaluations"], record["curve"]
    training = "loss_tokens" if any("loss_tokens" in point for point in curve) else "loss"
    inside = [] if training == "loss" and record.get("objectives") else [_series("training", curve, training)]
    found = [
        Panel("Masked tokens", "loss, nats a token", tuple(inside + _held(held, "loss"))),
        Panel("Held-out accuracy", "share of masked tokens", tuple(_held(held, "accuracy") + _lines(record))),
        Panel("Held-out text", "bits per byte", tuple(_held(held, "bits_per_byte"))),
    ]
    for name, (title, unit) in _LOSSES.items():
        found.append(Panel(title, unit, (_series("training", curve, f"loss_{name}"),)))
    return found


def _held(points: list[Result], key: str) -> list[Series]:
    return [_series("held out", points, key), _series("left out", points, f"left_out_{key}")]


def _lines(record: Result) -> list[Series]:
    """The better of the baselines as a level line, over the whole of the run."""
    average = record["evaluation"]["average_over_domains"]
    name = next((one for one in ("bigram", "unigram") if one in average), None)
    if name is None or not record["evaluations"]:
        return []
    return [Series(name, (0, record["training"]["steps"]), (average[name]["accuracy"],) * 2)]


def _series(name: str, points: list[Result], key: str) -> Series:
    there = [point for point in points if point.get(key) is not None]
    return Series(name, [point["step"] for point in there], [point[key] for point in there])


def limits(record: Result, probes: Result | None, left_out: Result | None = None) -> Iterator[str]:
    """Tells the limits, each from figures of the record or of the probes.

    Args:
        record: Of the run.
        probes: Their result; None leaves out what they tell.
        left_out: Masked tokens of domains left out; likewise.
    """
    if probes is not None and record["name"] in probes["systems"]:
        yield _beaten(record["name"], probes)
    yield from _weakest(record)
    if left_out is not None:
        yield from _less_abroad(record, left_out)
    yield from _overfitted(record)
    domains = log_domains(record)
    fewest = min(domains, key=lambda row: row["forms"])
    yield (
        f"It was trained on {sum(row['forms'] for row in domains):,} distinct normal forms of logs of "
        f"{len(domains)} domains{' and on log statements' if has_statements(record) else ''}, as few as "
        f"{fewest['forms']:,} of {fewest['domain']}; of a system unlike these it knows less than the figures "
        "of known domains say."
    )
    if any("loghub_2k" in source["file"] for source in record["data"]["sources"]):
        yield (
            "The text of Loghub's 2k samples was trained on: parsing scores on these samples are **not** "
            "scores on unseen text."
        )
    yield "What the masks hide (values of numbers, addresses, paths) it cannot tell apart."
    if record["data"]["cut_lines"]:
        yield (
            f"{record['data']['cut_lines']:,} training lines were longer than "
            f"{record['model']['max_position_embeddings']} tokens and were read in windows."
        )


def _beaten(name: str, probes: Result) -> str:
    asked = [cell for cell in cells(probes) if name in cell.scores]
    lost = beaten(probes, name)
    if not lost:
        return f"In none of the {len(asked):,} figures of the probes is a baseline above it."
    summary, rivals = sum(one.cell.is_summary for one in lost), Counter(r for one in lost for r in one.above)
    whole = sum(cell.is_summary for cell in asked)
    often = joined([f"{rival} ({count:,})" for rival, count in rivals.most_common(3)])
    return (
        f"**In {len(lost):,} of {len(asked):,} figures of the probes a baseline is above it**: in "
        f"{summary:,} of {whole:,} over all domains, in {len(lost) - summary:,} of {len(asked) - whole:,} of "
        f"single ones. Most often {often}. All of them are below."
    )


def beaten_table(record: Result, probes: Result | None) -> str:
    """Every figure of the probes in which a baseline is above ours; empty if there is none."""
    if probes is None or record["name"] not in probes["systems"]:
        return ""
    rows = beaten_by(probes, record["name"])
    return table(("figure", "baselines above", record["name"]), _swapped(rows), texts=2) if rows else ""


def _swapped(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(figure, above, ours) for figure, ours, above in rows]


def _weakest(record: Result) -> Iterator[str]:
    """Where masked tokens are read worst, what beats it there, and which figures rest on few lines."""
    domains = {name.replace(LEFT_OUT, ""): row for name, row in record["evaluation"]["domains"].items()}
    worst = sorted(domains, key=lambda name: domains[name]["model"]["accuracy"])[:3]
    named = joined([f"{name} ({domains[name]['model']['accuracy']:.3f})" for name in worst])
    yield f"Masked tokens are guessed worst in {named}."
    above = [words for other, title in BASELINES.items() for words in _above(domains, other, title)]
    if above:
        yield f"On masked tokens a baseline is above it: {'; '.join(above)}."
    few = [f"{name} ({row['lines']})" for name, row in domains.items() if row["lines"] < FEW_LINES]
    if few:
        yield f"Fewer than {FEW_LINES} held-out lines, so figures that say little, have {joined(few)}."


def _less_abroad(record: Result, result: Result) -> Iterator[str]:
    """What masked tokens lose on systems never seen, and which baseline is above the fold models there."""
    known = record["evaluation"]["average_over_domains"]["model"]
    away = result["average_over_left_out_domains"]["model"]
    yield (
        f"On systems never seen, masked tokens are guessed at {away['accuracy']:.3f} and cost "
        f"{away['bits_per_byte']:.3f} bits per byte (fold models), on held-out lines of known ones at "
        f"{known['accuracy']:.3f} and {known['bits_per_byte']:.3f}."
    )
    words = [words for other, title in BASELINES.items() for words in _above(result["domains"], other, title)]
    if words:
        yield f"On masked tokens of domains left out a baseline is above it: {'; '.join(words)}."


def _above(domains: dict[str, Result], other: str, title: str) -> Iterator[str]:
    """In which domains a baseline is above ours, by accuracy and by bits per byte."""
    ways = {"accuracy": ("accuracy", 1), "bits per byte": ("bits_per_byte", -1)}
    for words, (key, sign) in ways.items():
        names = [
            name
            for name, row in domains.items()
            if other in row and sign * (row[other][key] - row["model"][key]) > 0
        ]
        if names:
            yield f"the {title} by {words} in {joined(names)}"


def _overfitted(record: Result) -> Iterator[str]:
    """How far training lines are read better than held-out ones."""
    curve, evaluation = record["curve"], record["evaluation"]
    key = "loss_tokens" if curve and "loss_tokens" in curve[-1] else "loss"
    if not curve or (key == "loss" and record.get("objectives")):
        return
    last = [point[key] for point in curve[-_LAST:] if key in point]
    inside, outside = sum(last) / len(last), evaluation["average_over_domains"]["model"]["loss"]
    apart = evaluation.get("average_over_left_out_domains", {}).get("model")
    far = f", and {apart['loss']:.2f} on those of domains that were left out" if apart else ""
    fitted = ": it has fitted its training lines closely" if outside > 1.5 * inside else ""
    yield (
        f"The loss of a masked token is {inside:.2f} nats on training lines, {outside:.2f} on held-out "
        f"lines{far}{fitted}."
    )
