"""The same work on many machines: an executor that runs tasks on Ray Data.

Tasks read their sources and write their parts by path, so the folders in question must be the same on every
machine (a network file system), and BigLog must be installed there.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from biglog.errors import BigLogError, InputError

if TYPE_CHECKING:
    import ray.data

Item = TypeVar("Item")
Result = TypeVar("Result")


class RayExecutor:
    """Runs tasks on a Ray cluster, in the manner of `biglog.data.executors.Executor`.

    A context manager: leaving it disconnects from the cluster, if it was this object that connected.

    Args:
        address: Address of a cluster (``host:6379``, ``ray://host:10001``, ``auto``); ``local`` starts one on
            this machine.

    Raises:
        InputError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(self, address: str = "auto") -> None:
        # A library does not phone home unasked.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise InputError(
                "building on many machines needs Ray", remedy="pip install 'biglog[ray]'"
            ) from error
        self._connected = False
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(
                    f"no Ray cluster answers at {address!r} ({error})",
                    remedy="Start one (ray start --head), or give the address of its head",
                ) from error
            self._connected = True
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnects from the cluster that this object connected to."""
        import ray

        if self._connected:
            ray.shutdown()
            self._connected = False

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Runs a function on every item, one task each, and yields the results in the items' order.

        Args:
            function: A function that pickle can name (no lambda, no closure).
            items: What it is run on.

        Raises:
            BigLogError: One that a task raised, as it was raised.
        """
        import ray.data

        if not items:
            return
        rows = [{"position": at, "item": pickle.dumps(item)} for at, item in enumerate(items)]
        tasks: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        done = tasks.map(_Task(function))
        waiting: dict[int, Any] = {}
        position = 0
        for row in done.iter_rows():
            waiting[int(row["position"])] = row["result"]
            while position in waiting:
                result = pickle.loads(waiting.pop(position))
                position += 1
                if isinstance(result, _Failure):
                    raise result.error
                yield result


class _Failure:
    """An error of ours on its way home: Ray would wrap it in one of its own, with a traceback of its own."""

    def __init__(self, error: BigLogError) -> None:
        self.error = error


class _Task:
    """One call of the function, from bytes to bytes: Arrow tables cannot hold every Python value."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = pickle.dumps(function)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        function = pickle.loads(self._function)
        try:
            result = function(pickle.loads(row["item"]))
        except BigLogError as error:
            result = _Failure(error)
        return {"position": row["position"], "result": pickle.dumps(result)}
