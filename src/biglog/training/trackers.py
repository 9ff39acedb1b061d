"""Where else a run reports its curves: the trackers that the library's Trainer knows."""

from __future__ import annotations

from importlib.util import find_spec

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from biglog.errors import InputError

_PACKAGES = {
    "azure_ml": ("azureml", "azureml-core"),
    "comet_ml": ("comet_ml", "comet-ml"),
    "flyte": ("flytekit", "flytekit"),
    "mlflow": ("mlflow", "mlflow"),
}
"""Module and package of a tracker, where they are not called as it is."""


def trackers(report_to: str) -> tuple[str, ...]:
    """Returns the trackers of a run.

    Args:
        report_to: Names with commas between, such as ``tensorboard`` or ``tensorboard,trackio``; ``none`` for
            none.

    Raises:
        InputError: A name is unknown, or its package is not installed.
    """
    names = tuple(name.strip() for name in report_to.split(",") if name.strip() not in ("", "none"))
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise InputError(f"report_to knows no tracker {name!r}", remedy=f"Known are {known}, and none")
        module, package = _PACKAGES.get(name, (name, name))
        if find_spec(module) is None:
            raise InputError(
                f"report_to names {name}, which is not installed", remedy=f"pip install {package}"
            )
    return names
