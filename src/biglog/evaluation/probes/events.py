"""Probe A, few-shot events: does the nearest of a few known lines have the same event?

Of each template at most twelve lines are drawn. One (or five) of them are known, the others are asked for;
a template of one line is known only, and distracts. The answer is the event of the known line with the
largest cosine; where several tie, it counts by the share of them that is right, so that an embedder which
tells nothing apart gets what guessing gets. *Novel keys* are the asked lines whose normal form no known line
has: those that a table of normal forms cannot answer.

In the protocol `raw` an embedder reads contents. In `centred` it reads normal forms, and vectors are taken
less the mean over all unlabelled lines of their domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from biglog.evaluation.probes.vectors import Embed, Indices, Space, Unfitted, Vectors, embedded, fitted

Protocol = Literal["raw", "centred"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("raw", "centred")
SEEDS: Final = tuple(range(5))
SHOTS: Final = (1, 5)
MOST_LINES: Final = 12
TIE: Final = 1e-6
"""Cosines this near each other are the same one: it is what float32 rounds by."""

_CHUNK = 1024


def few_shot_events(
    embed: Embed | Unfitted,
    lines: pl.DataFrame,
    *,
    protocol: Protocol = "raw",
    tested: Sequence[str] | None = None,
    seeds: Sequence[int] = SEEDS,
    shots: Sequence[int] = SHOTS,
    pooled: bool = True,
) -> dict[str, Any]:
    """Runs the probe; see :func:`count_events` for the arguments and :func:`summarise` for what comes."""
    return summarise(
        count_events(embed, lines, protocol=protocol, tested=tested, seeds=seeds, shots=shots, pooled=pooled)
    )


def count_events(
    embed: Embed | Unfitted,
    lines: pl.DataFrame,
    *,
    protocol: Protocol = "raw",
    tested: Sequence[str] | None = None,
    seeds: Sequence[int] = SEEDS,
    shots: Sequence[int] = SHOTS,
    pooled: bool = True,
) -> pl.DataFrame:
    """Counts right answers.

    Args:
        embed: Embedder. One that has to be fitted is fitted to all lines of the tested domain, and for the
            pool to those of all domains, without labels.
        lines: As `biglog.evaluation.probes.labelled.read_events` returns them: domain, content, normal_form,
            event.
        protocol: What the embedder reads, see the module.
        tested: Domains whose lines are asked for; None takes all. Known lines of the pool are of all.
        seeds: One draw of lines a seed; the draw is the same for every embedder.
        shots: Known lines of a template.
        pooled: Whether to search in one pool of all domains too.

    Returns:
        Columns scope (`domain` or `pool`), domain, shots, seed, tests, right, novel_tests, novel_right.
    """
    lines = lines.with_row_index("row")
    names = lines["domain"].unique(maintain_order=True).to_list()
    tested = names if tested is None else list(tested)
    draws = {(seed, shot): draw(lines, seed, shot) for seed in seeds for shot in shots}
    used = pl.concat(draws.values())["row"].unique()
    shared = None if isinstance(embed, Unfitted) else _Lines(embed, lines, used, protocol)
    scopes = [("domain", [name], [name]) for name in tested] + [("pool", names, tested)] * pooled
    found = []
    for scope, within, asked in scopes:
        part = pl.col("domain").is_in(within)
        space = shared or _Lines(embed, lines.filter(part), used, protocol)
        for (seed, shot), drawn in draws.items():
            keys = {"scope": scope, "shots": shot, "seed": seed}
            score = _score(space, drawn.filter(part), asked)
            found.append(score.select(*(pl.lit(value).alias(key) for key, value in keys.items()), pl.all()))
    return pl.concat(found)


def draw(lines: pl.DataFrame, seed: int, shots: int) -> pl.DataFrame:
    """Draws the lines of one run.

    Args:
        lines: Columns row, domain, normal_form, event, and others.
        seed: Decides the draw; with other `shots` the same lines are drawn, and the known ones of fewer shots
            are among those of more.
        shots: Known lines of each template; one line is left to be asked for, if there are two.

    Returns:
        The drawn rows with the column is_known.
    """
    order = np.random.default_rng(seed).permutation(len(lines))
    rank = pl.col("order").rank("ordinal").over("event")
    drawn = lines.with_columns(order=order).with_columns(rank=rank, size=pl.len().over("event"))
    drawn = drawn.filter(pl.col("rank") <= MOST_LINES)
    most = pl.max_horizontal(pl.min_horizontal(pl.lit(shots), pl.col("size") - 1), pl.lit(1))
    return drawn.with_columns(is_known=pl.col("rank") <= most).drop("order", "rank", "size")


class _Lines:
    """Vectors of lines by their row, those with one text and one domain as one."""

    def __init__(
        self, embed: Embed | Unfitted, lines: pl.DataFrame, used: pl.Series, protocol: Protocol
    ) -> None:
        text = "content" if protocol == "raw" else "normal_form"
        needed = lines if protocol == "centred" else lines.filter(pl.col("row").is_in(used.implode()))
        keys = needed.group_by("domain", text, maintain_order=True).agg(pl.len().alias("lines"))
        coded = needed.join(keys.with_row_index("code"), on=["domain", text], how="left")
        self._code = np.full(int(lines["row"].max()) + 1, -1)  # type: ignore[arg-type]
        self._code[coded["row"].to_numpy()] = coded["code"].to_numpy()
        vectors = embedded(fitted(embed, lines[text].to_list()), keys[text].to_list())
        groups = (keys["domain"].rank("dense") - 1).cast(pl.Int64).to_numpy()
        weights = keys["lines"].to_numpy().astype(np.float64)
        centres = _centres(vectors, groups, weights) if protocol == "centred" else None
        self._space = Space(vectors, groups, centres)

    def shares(self, asked: pl.DataFrame, known: pl.DataFrame) -> NDArray[np.float64]:
        """For each asked line the share of the nearest known ones that have its event, shape (asked,)."""
        codes, places = np.unique(self._code[known["row"].to_numpy()], return_inverse=True)
        rows, which = np.unique(self._code[asked["row"].to_numpy()], return_inverse=True)
        theirs, ours = known["event"].to_numpy(), asked["event"].to_numpy()
        # Known lines of each event at each distinct vector, shape (codes, events).
        shape = (len(codes), int(max(theirs.max(), ours.max(initial=0))) + 1)
        events = sparse.csr_matrix((np.ones(len(theirs)), (places, theirs)), shape=shape)
        found = np.empty(len(asked))
        for start in range(0, len(rows), _CHUNK):
            cosines = self._space.cosines(rows[start : start + _CHUNK], codes)
            nearest = sparse.csr_matrix(cosines >= cosines.max(axis=1, keepdims=True) - TIE) @ events
            here = np.flatnonzero((which >= start) & (which < start + _CHUNK))
            right = np.asarray(nearest[which[here] - start, ours[here]]).ravel()
            found[here] = right / np.asarray(nearest.sum(axis=1)).ravel()[which[here] - start]
        return found


def _centres(vectors: Vectors, groups: Indices, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of the vectors of each group, shape (groups, d)."""
    share = np.zeros((int(groups.max()) + 1, len(groups)))
    share[groups, np.arange(len(groups))] = weights
    share /= share.sum(axis=1, keepdims=True)
    found = sparse.csr_matrix(share) @ vectors
    return np.asarray(found.toarray() if sparse.issparse(found) else found, np.float64)


def _score(lines: _Lines, drawn: pl.DataFrame, domains: Sequence[str]) -> pl.DataFrame:
    """Counts of one draw in one scope, a row for each domain that lines are asked of."""
    known = drawn.filter("is_known")
    asked = drawn.filter(~pl.col("is_known") & pl.col("domain").is_in(domains))
    novel = ~pl.col("normal_form").is_in(known["normal_form"].unique().implode())
    scored = asked.with_columns(novel.alias("novel"), right=lines.shares(asked, known))
    return scored.group_by("domain", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("tests"),
        pl.sum("right"),
        pl.sum("novel").cast(pl.Int64).alias("novel_tests"),
        pl.col("right").filter("novel").sum().alias("novel_right"),
    )


def summarise(counts: pl.DataFrame) -> dict[str, Any]:
    """Turns counts into accuracies.

    Args:
        counts: As `count_events` returns them, of one embedder; or of several checkpoints, one below the
            other, with a column `run` that tells repetitions (training seeds) apart. Checkpoints that were
            each asked for other domains make one run.

    Returns:
        By shots: `domains` (accuracy, novel, tests and novel_tests of each; means over seeds and runs), and
        accuracy and novel with `per_domain_` (mean over domains) and `pooled_` before them, each as mean,
        and standard deviation over seeds (`seed_sd`) and over runs (`run_sd`, None for one). A domain in
        which no line is novel in any draw has None there, and is not in that mean.
    """
    if "run" not in counts.columns:
        counts = counts.with_columns(run=pl.lit(0))
    found = {}
    for (shots,), part in counts.sort("shots").group_by("shots", maintain_order=True):
        domain, pool = part.filter(scope="domain"), part.filter(scope="pool")
        row: dict[str, Any] = {"domains": _domains(domain)}
        row |= {f"per_domain_{name}": _spread(domain, name, ["domain"]) for name in _RATIOS}
        if len(pool):
            row |= {f"pooled_{name}": _spread(pool, name, []) for name in _RATIOS}
        found[str(shots)] = row
    return found


_RATIOS: Final = {"accuracy": ("right", "tests"), "novel": ("novel_right", "novel_tests")}


def _ratio(name: str) -> pl.Expr:
    right, tests = _RATIOS[name]
    return pl.when(pl.sum(tests) > 0).then(pl.sum(right) / pl.sum(tests)).alias(name)


def _domains(counts: pl.DataFrame) -> dict[str, dict[str, float]]:
    rows = counts.group_by("domain", maintain_order=True).agg(
        *(_ratio(name) for name in _RATIOS), pl.sum("tests", "novel_tests")
    )
    return {row.pop("domain"): row for row in rows.to_dicts()}


def _spread(counts: pl.DataFrame, name: str, within: list[str]) -> dict[str, float | None]:
    """Mean over domains (or of the pool) of ratios, and how it varies over seeds and runs."""

    def mean(by: list[str]) -> pl.DataFrame:
        ratios = counts.group_by(["all", *by, *within], maintain_order=True).agg(_ratio(name))
        return ratios.group_by(["all", *by], maintain_order=True).agg(pl.mean(name))

    counts = counts.with_columns(all=pl.lit(0))
    return {
        "mean": mean([])[name].item(),
        "seed_sd": mean(["seed"])[name].std(),
        "run_sd": mean(["run"])[name].std(),
    }
