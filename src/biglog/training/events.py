"""Events whose normal forms are known to belong together: what the identity of an event is learnt from.

Only normal forms of the training lines count, so whatever was excluded, held out or left out stays so here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from biglog.data.archives.catalog import find_files
from biglog.data.tables.ground_truth import read_ground_truth
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.tasks.parsing import group_forms

Events = dict[str, list[list[str]]]
"""Normal forms of each event, by domain."""

VERSIONS = ("loghub-2.0", "logparser-corrected", "original")
"""Versions of the ground truth; the first that a domain has is taken."""

SINGLE_EVENTS = 3
"""Events of one normal form for each of several: they are there to be told apart."""


def labelled_events(train: pl.DataFrame, folder: Path, domains: Sequence[str]) -> Events:
    """Groups training lines by the ground truth of log parsing.

    Args:
        train: Columns domain and normal_form.
        folder: The data, as `biglog.data.archives.catalog.find_files` takes them.
        domains: Which domains' labels to use; ``all`` takes every domain that has training lines.

    Raises:
        InputError: A domain that is named has no ground truth there.
    """
    known = set(train["domain"].unique())
    wanted = [name for name in DOMAINS if name in known] if "all" in domains else list(domains)
    events: Events = {}
    for name in wanted:
        truth = find_files(name, folder).ground_truth
        version = next((version for version in VERSIONS if version in truth), None)
        if version is None:
            raise InputError(
                f"no ground truth of {name}", where=folder, remedy="Leave it out of event_labels"
            )
        lines = pl.concat(read_ground_truth(truth[version], version)).unique(["event_id", "normal_form"])
        own = train.filter(pl.col("domain") == name)
        kept = lines.join(own, on="normal_form", how="semi").sort("event_id", "normal_form")
        groups = kept.group_by("event_id", maintain_order=True).agg("normal_form")["normal_form"].to_list()
        if groups:
            events[name] = groups
    return events


def grouped_events(train: pl.DataFrame) -> Events:
    """Groups training lines by the rule of `biglog.tasks.parsing`: no labels, more lines, some mistakes.

    Args:
        train: Columns domain and normal_form.

    Returns:
        For each domain the events of several forms, and for each of them up to `SINGLE_EVENTS` of one.
    """
    events: Events = {}
    for (domain,), lines in train.sort("domain", "normal_form").group_by("domain", maintain_order=True):
        groups: dict[int, list[str]] = defaultdict(list)
        forms = lines["normal_form"].to_list()
        for form, event in zip(forms, group_forms(forms).event_of, strict=True):
            groups[event].append(form)
        several = [group for group in groups.values() if len(group) > 1]
        single = [group for group in groups.values() if len(group) == 1]
        step = max(1, len(single) // max(1, SINGLE_EVENTS * len(several)))
        if several:
            events[str(domain)] = several + single[::step]
    return events
