"""The ways to detect anomalies, by name."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from biglog.errors import InputError
from biglog.tasks.anomaly.classifiers import CLASSIFIERS, ClassifierMethod
from biglog.tasks.anomaly.outliers import OUTLIERS, OutlierMethod
from biglog.tasks.anomaly.rules import CountRange, EventSet, Invariants, NewEvent
from biglog.tasks.anomaly.view import Method, State

RULES: Final[dict[str, type[NewEvent | EventSet | CountRange | Invariants]]] = {
    "new_event": NewEvent,
    "event_set": EventSet,
    "count_range": CountRange,
    "invariants": Invariants,
}
SEQUENCES: Final = ("next_event", "deeplog", "masked_line")
"""Methods that learn what lines go together in order; they need torch. `deeplog` is `next_event` as its
authors have it: forms by their identity, groups by the rank of the least expected line."""

METHODS: Final = (*RULES, "novelty", *OUTLIERS, *SEQUENCES, *CLASSIFIERS, "window_classifier")
"""Names of all methods: those that need no labels, and those that do."""

NOVELTY_FEATURES: Final = ("distances", "severity")
"""What `novelty` sees of a group: how far its lines are from known ones, and how much trouble they tell."""

SUPERVISED: Final = (*CLASSIFIERS, "window_classifier")
"""Names of those that need labels."""


_AS_PUBLISHED: Final[dict[str, dict[str, Any]]] = {"deeplog": {"identities": True, "score_by": "top_k"}}


def make_method(name: str, features: Sequence[str] | None = None, seed: int = 0) -> Method:
    """Makes a method that is not fitted yet.

    Args:
        name: One of `METHODS`.
        features: Names of blocks of features, for methods that take them; None is each one's default.
        seed: Of what is drawn.

    Raises:
        InputError: There is no such method, or it takes no features.
    """
    takes_features = name in OUTLIERS or name in CLASSIFIERS
    if name in METHODS and features is not None and not takes_features:
        raise InputError(
            f"the method {name!r} takes no features", remedy=f"{', '.join((*OUTLIERS, *CLASSIFIERS))} do"
        )
    more = {} if features is None else {"features": tuple(features)}
    if name in RULES:
        return RULES[name]()
    if name == "novelty":
        return OutlierMethod("knn", NOVELTY_FEATURES, seed)
    if name in OUTLIERS:
        return OutlierMethod(name, seed=seed, **more)
    if name in CLASSIFIERS:
        return ClassifierMethod(name, seed=seed, **more)
    if name in METHODS:
        method: Method = _torch_method(name)(seed=seed, **_AS_PUBLISHED.get(name, {}))
        return method
    near = ", ".join(get_close_matches(name, METHODS, n=3))
    remedy = f"Did you mean {near}?" if near else f"Choose of {', '.join(METHODS)}"
    raise InputError(f"there is no method {name!r}", remedy=remedy)


def restore_method(name: str, state: State) -> Method:
    """Makes a fitted method of what was saved.

    Args:
        name: One of `METHODS`.
        state: What was saved of it.
    """
    if name in RULES:
        return RULES[name].from_state(state)
    if name in OUTLIERS or name == "novelty":
        return OutlierMethod.from_state(state)
    if name in CLASSIFIERS:
        return ClassifierMethod.from_state(state)
    restored: Method = _torch_method(name).from_state(state)
    return restored


def _torch_method(name: str) -> Any:
    """Imported when asked for: torch is slow to start, and the others do without."""
    if name in ("next_event", "deeplog"):
        from biglog.tasks.anomaly.next_event import NextEvent

        return NextEvent
    if name == "masked_line":
        from biglog.tasks.anomaly.masked_line import MaskedLine

        return MaskedLine
    from biglog.tasks.anomaly.window_classifier import WindowClassifier

    return WindowClassifier
