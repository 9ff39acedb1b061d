"""A detector as files of a Hub folder: JSON, safetensors, and skops for scikit-learn's estimators; no pickle.

``detector_config.json`` says how it was made, which forms it knows and of which versions it is;
``detector.safetensors`` has all arrays; ``detector.skops`` is there for methods that are scikit-learn's.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.kept_files import write_whole
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.anomaly.calibration import Calibration
from biglog.tasks.anomaly.detector import Detector, Settings
from biglog.tasks.anomaly.known import KnownForms
from biglog.tasks.anomaly.methods import restore_method
from biglog.tasks.anomaly.view import State
from biglog.tasks.groups import Groups

SCHEMA: Final = "biglog-detector/1"
CONFIG, ARRAYS, ESTIMATORS = "detector_config.json", "detector.safetensors", "detector.skops"

_TRUSTED: Final = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Parts of scikit-learn's estimators that skops does not trust by itself, and that ours have."""
_Arrays = dict[str, NDArray[Any]]


def save_detector(detector: Detector, folder: Path, record: Mapping[str, Any], arrays: _Arrays) -> None:
    """Writes a detector's files.

    Args:
        detector: The detector.
        folder: Where to; files of other names stay.
        record: More for the config, as JSON has it.
        arrays: More arrays.

    Raises:
        OutputError: They cannot be written.
    """
    state = detector.method.state()
    config = {
        "schema": SCHEMA,
        "masking_version": MASKING_VERSION,
        "settings": asdict(detector.settings),
        "method": state.config,
        "forms": detector.known.forms.to_list(),
        "fitted": detector.known.fitted,
        "kept_forms": detector.kept.forms.to_list(),
        "accepted": sorted(detector.accepted),
        "budget": None if detector.calibration is None else detector.calibration.budget,
        **record,
    }
    every = _packed(detector) | {f"method.{name}": array for name, array in state.arrays.items()} | arrays
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the detector cannot be written ({error.strerror or error})"
        raise OutputError(problem, where=folder, remedy="Check folder and space") from error
    write_files(folder, config, every, state.estimators, (CONFIG, ARRAYS, ESTIMATORS))


def write_files(
    folder: Path,
    config: Mapping[str, Any],
    arrays: _Arrays,
    estimators: Mapping[str, Any],
    names: tuple[str, str, str],
) -> None:
    """Writes JSON, arrays and, if there are any, estimators, each whole or not at all.

    Args:
        folder: Where to; it is there.
        config: What JSON has.
        arrays: Arrays by name.
        estimators: Fitted estimators of scikit-learn by name.
        names: Of the three files.

    Raises:
        OutputError: They cannot be written.
    """
    import skops.io
    from safetensors.numpy import save

    packed = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    write_whole(folder / names[1], lambda to: to.write_bytes(packed))
    if estimators:
        dumped = skops.io.dumps(dict(estimators))
        write_whole(folder / names[2], lambda to: to.write_bytes(dumped))
    else:
        (folder / names[2]).unlink(missing_ok=True)
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / names[0], lambda to: to.write_text(text, encoding="utf-8"))


def _packed(detector: Detector) -> _Arrays:
    arrays: _Arrays = {
        "known.vectors": detector.known.vectors,
        "known.groups_with": detector.known.groups_with,
        "kept.codes": detector.kept.codes,
        "kept.offsets": detector.kept.offsets,
        "kept.times": detector.times,
        "kept.labels": detector.labels,
    }
    if detector.calibration is not None:
        arrays["calibration.normal"] = detector.calibration.normal
    return arrays


def read_files(
    folder: Path, names: tuple[str, str, str], schema: str
) -> tuple[dict[str, Any], _Arrays, dict[str, Any]]:
    """Reads JSON, arrays and, if there are any, estimators.

    Args:
        folder: Where they are.
        names: Of the three files.
        schema: That the JSON must be of.

    Raises:
        CheckpointError: They are missing, damaged, of another version, or hold what is not trusted.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for name in names[:2]:
        if not (folder / name).is_file():
            remedy = "Fit it and save it there first"
            raise CheckpointError(f"{name} is missing", where=folder, remedy=remedy)
    path = folder / names[0]
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        _check(config, path, schema)
        path = folder / names[1]
        arrays = load_file(path)
        path = folder / names[2]
        estimators = _estimators(path) if path.is_file() else {}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, BadZipFile, zlib.error) as error:
        problem, remedy = f"it cannot be loaded: {error}", "Fetch or save it again"
        raise CheckpointError(problem, where=path, remedy=remedy) from error
    return config, arrays, estimators


def load_detector(folder: Path) -> tuple[Detector, dict[str, Any], _Arrays]:
    """Reads a detector's files.

    Args:
        folder: Where they are.

    Returns:
        The detector, the whole config, and all arrays.

    Raises:
        CheckpointError: They are missing, damaged, or of another version.
    """
    config, arrays, estimators = read_files(folder, (CONFIG, ARRAYS, ESTIMATORS), SCHEMA)
    try:
        _check_sizes(config, arrays)
        return _unpacked(config, arrays, estimators), config, arrays
    except (KeyError, ValueError, TypeError, InputError) as error:
        problem, remedy = f"the detector cannot be loaded: {error!r}", "Fetch or save it again"
        raise CheckpointError(problem, where=folder, remedy=remedy) from error


def _unpacked(config: Mapping[str, Any], arrays: _Arrays, estimators: dict[str, Any]) -> Detector:
    told = dict(config["settings"])
    told["features"] = tuple(told["features"]) if told["features"] is not None else None
    settings = Settings(**told)
    forms = pl.Series("form", config["forms"], dtype=pl.String)
    known = KnownForms(
        forms, arrays["known.vectors"], arrays["known.groups_with"], config["fitted"], settings.matching
    )
    own = {name.removeprefix("method."): a for name, a in arrays.items() if name.startswith("method.")}
    method = restore_method(settings.method, State(dict(config["method"]), own, estimators))
    normal = arrays.get("calibration.normal")
    calibration = None if normal is None else Calibration(normal, float(config["budget"]))
    kept = Groups(
        pl.Series("form", config["kept_forms"], dtype=pl.String),
        arrays["kept.codes"],
        arrays["kept.offsets"],
        pl.Series("group_id", map(str, range(len(arrays["kept.times"]))), dtype=pl.String),
    )
    accepted = frozenset(config["accepted"])
    times, labels = arrays["kept.times"], arrays["kept.labels"]
    return Detector(settings, known, method, calibration, kept, times, labels, accepted)


def _check_sizes(config: Mapping[str, Any], arrays: _Arrays) -> None:
    """Files of one detector fit together.

    Raises:
        ValueError: They do not.
    """
    codes, offsets = arrays["kept.codes"], arrays["kept.offsets"]
    groups, fitted = len(offsets) - 1, config["fitted"]
    fit_together = (
        len(config["forms"]) == len(arrays["known.vectors"]) == len(arrays["known.groups_with"])
        and len(arrays["kept.times"]) == len(arrays["kept.labels"]) == groups
        and offsets[-1] == len(codes)
        and codes.max(initial=0) < len(config["kept_forms"])
        and (config["budget"] is None) == ("calibration.normal" not in arrays)
        and isinstance(fitted, int)
    )
    if not fit_together:
        raise ValueError(f"{CONFIG} and {ARRAYS} do not fit together")


def _check(config: object, path: Path, schema: str) -> None:
    known = config if isinstance(config, dict) else {}
    for name, value in {"schema": schema, "masking_version": MASKING_VERSION}.items():
        if known.get(name) != value:
            raise CheckpointError(
                f"{name} is {known.get(name)!r}, and this version of BigLog reads {value!r}",
                where=path,
                remedy="Fit it again with this version",
            )


def _estimators(path: Path) -> dict[str, Any]:
    """Estimators of a skops file that holds nothing but what ours have."""
    import skops.io

    unknown = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in unknown if name not in _TRUSTED]
    if foreign:
        raise CheckpointError(
            f"it holds objects of {', '.join(foreign)}", where=path, remedy="Take it from a source you trust"
        )
    loaded: dict[str, Any] = skops.io.load(path, trusted=unknown)
    return loaded
