"""Where a build's tasks run: in this process, in several processes of this machine, or elsewhere.

A task is a top-level function and one picklable argument. What a build writes never depends on where its
tasks run, nor on how many run at a time.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol, TypeVar

from biglog.errors import InputError, OutputError

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = "POLARS_MAX_THREADS"


class Executor(Protocol):
    """Runs tasks; whatever has this method can run a build."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Applies a function to every item.

        Args:
            function: A top-level function, so that it can be pickled.
            items: Its arguments, each picklable.

        Returns:
            The results in the order of the items. An error of a task is raised when its turn comes.
        """
        ...


class LocalExecutor:
    """Runs tasks on this machine, in this process or in several.

    Worker processes are spawned when they are first needed, with the threads of Polars shared out among them,
    and wait for further tasks until the executor is closed, left (it is a context manager) or forgotten.

    Args:
        processes: How many tasks run at a time; None takes as many as this process may use cores, 1 runs
            them here.

    Raises:
        InputError: `processes` is not positive.
    """

    def __init__(self, processes: int | None = None) -> None:
        if processes is not None and processes < 1:
            raise InputError(f"{processes} processes can do nothing", remedy="Give 1 or more")
        self.processes = processes or _cores()
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Applies a function to every item, as `Executor.map` says.

        Raises:
            OutputError: A worker process died, which the system does to those that take too much memory.
        """
        if min(self.processes, len(items)) <= 1:
            return map(function, items)
        return self._in_processes(function, items)

    def _in_processes(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.processes, mp_context=context)
        futures: deque[Future[Result]] = deque()
        try:
            # Processes are started as tasks come in.
            with _threads_each(max(1, _cores() // self.processes)):
                futures.extend(self._pool.submit(function, item) for item in items)
            # A result is let go of once it is handed on.
            while futures:
                yield futures.popleft().result()
        except BrokenProcessPool as error:
            self.close()
            raise OutputError(
                "a worker process died", remedy="Give fewer processes, or a machine with more memory"
            ) from error
        finally:
            for future in futures:
                future.cancel()
            # What has begun must not go on writing once its caller has given up.
            wait(futures)

    def close(self) -> None:
        """Ends the worker processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _threads_each(threads: int) -> Iterator[None]:
    """Processes started in here have so many threads of Polars: it reads the variable when it is imported."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
