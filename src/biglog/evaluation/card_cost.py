"""What training cost in energy and carbon: an estimate from a run's times, with its assumptions.

By the method of Green Algorithms (Lannelongue, Grealey and Inouye, Advanced Science 2021,
doi:10.1002/advs.202100707): hours times the power of what was busy, times what a data centre takes on top,
times the carbon intensity of the grid. Its defaults stand for what a record does not know.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from biglog.evaluation.figures.markdown import Result

CORE_WATTS: Final = 12.0
"""Power of a busy core of an unknown processor, W."""

MEMORY_WATTS: Final = 0.3725
"""Power of memory, W a GB, busy or not."""

OVERHEAD: Final = 1.67
"""Energy that a data centre takes for each unit that its computers take (power usage effectiveness)."""

GRAMS_PER_KWH: Final = 475.0
"""Carbon intensity of electricity, mean of the world (IEA 2019), g CO2e a kWh."""

ACCELERATOR_WATTS: Final = {"H200": 700.0, "H100": 700.0, "A100": 400.0, "V100": 300.0, "T4": 70.0}
"""Board power by what a device's name has in it, W, from their makers."""


class Cost(NamedTuple):
    """An estimate.

    Attributes:
        cpu_hours: Busy core hours.
        wall_hours: Hours by the clock.
        accelerator_watts: Power of all accelerators together, W.
        memory_gib: Memory of the machine.
    """

    cpu_hours: float
    wall_hours: float
    accelerator_watts: float
    memory_gib: float

    @property
    def kilowatt_hours(self) -> float:
        """Energy with all that comes on top, kWh."""
        busy = self.cpu_hours * CORE_WATTS
        idle = self.wall_hours * (self.memory_gib * MEMORY_WATTS + self.accelerator_watts)
        return (busy + idle) * OVERHEAD / 1000

    @property
    def grams(self) -> float:
        """Carbon, g CO2e."""
        return self.kilowatt_hours * GRAMS_PER_KWH


def cost(record: Result) -> Cost | None:
    """Returns what a run cost; None if it ran on an accelerator whose power is not known.

    Args:
        record: Of the run: its `training` has seconds, its `hardware` memory and accelerators.
    """
    training, hardware = record["training"], record["hardware"]
    known = [
        next((watts for part, watts in ACCELERATOR_WATTS.items() if part in name), None)
        for name in hardware["accelerators"]
    ]
    if None in known:
        return None
    watts = sum(one for one in known if one is not None)
    hours = training["cpu_seconds"] / 3600, training["wall_seconds"] / 3600
    return Cost(*hours, watts, float(hardware.get("memory_gib") or 0.0))


def cost_words(record: Result) -> str:
    """Returns the estimate in words, with what it assumes.

    Args:
        record: Of the run.
    """
    found = cost(record)
    if found is None:
        return "Energy was not measured, and the power of this accelerator is not known here: no estimate."
    parts = [f"{CORE_WATTS:g} W for each busy core"]
    if found.memory_gib:
        parts.append(f"{MEMORY_WATTS:g} W for each of {found.memory_gib:g} GB of memory")
    if found.accelerator_watts:
        parts.append(f"{found.accelerator_watts:g} W for the accelerators")
    return (
        f"Energy was not measured. Estimate by the method of Green Algorithms "
        f"([doi:10.1002/advs.202100707](https://doi.org/10.1002/advs.202100707)): {_watt_hours(found)}, "
        f"{_grams(found)} CO2e. It assumes {', '.join(parts)}, a data centre that takes {OVERHEAD:g} times "
        f"what its computers take, and {GRAMS_PER_KWH:g} g CO2e a kWh, the mean of the world; trials before "
        "this run are not in it."
    )


def _watt_hours(found: Cost) -> str:
    value = found.kilowatt_hours
    return f"{value:,.3g} kWh" if value >= 1 else f"{1000 * value:,.3g} Wh"


def _grams(found: Cost) -> str:
    return f"{found.grams / 1000:,.3g} kg" if found.grams >= 1000 else f"{found.grams:,.2g} g"
