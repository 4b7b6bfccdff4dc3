"""Tasks that Prefect runs inside a flow, and that are plain calls elsewhere, without its import.

What only reads, and an evening's decision, needs no server and no history of runs.
"""

import logging
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Logger = logging.Logger | logging.LoggerAdapter[Any]

log = logging.getLogger("prefect.rnntrade")
POOL = ThreadPoolExecutor(16, "rnntrade")  # threads mostly wait for the network


class Task(Generic[P, R]):
    """A function as a task: `fn` is the function itself, `prefect` Prefect's task, never cached."""

    def __init__(
        self, fn: Callable[P, R], run_name: str, passing: Callable[[BaseException], bool]
    ) -> None:
        update_wrapper(self, fn)
        self.fn, self.run_name, self.passing = fn, run_name, passing
        self.delays = (2.0, 4.0, 8.0)  # seconds before the retries of a passing failure

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it: as a task run where a flow is under way."""
        return self.prefect(*args, **kwargs) if in_flow() else self._retried(*args, **kwargs)

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start it beside the others; `result()` waits for its end."""
        if in_flow():
            return self.prefect.submit(*args, **kwargs)  # type: ignore[no-any-return]
        return POOL.submit(self._retried, *args, **kwargs)

    @cached_property
    def prefect(self) -> Any:
        """Prefect's task."""
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(
            task_run_name=self.run_name,
            cache_policy=NO_CACHE,
            retries=len(self.delays),
            retry_delay_seconds=list(self.delays),
            retry_jitter_factor=0.5,
            retry_condition_fn=lambda task, run, state: self.passing(
                state.result(raise_on_failure=False)
            ),
        )(self.fn)

    def _retried(self, *args: P.args, **kwargs: P.kwargs) -> R:
        for delay in self.delays:
            try:
                return self.fn(*args, **kwargs)
            except Exception as error:
                if not self.passing(error):
                    raise
                log.warning("%s  Retrying in %.0f s.", error, delay)
                time.sleep(delay * random.uniform(1.0, 1.5))
        return self.fn(*args, **kwargs)


def task(
    run_name: str, passing: Callable[[BaseException], bool] = lambda error: False
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a `Task`.

    run_name  of the task run, with arguments in braces
    passing   whether trying again, three times, can cure an error
    """
    return lambda fn: Task(fn, run_name, passing)


def in_flow() -> bool:
    """Whether Prefect runs the code that asks."""
    if "prefect.context" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return bool(FlowRunContext.get() or TaskRunContext.get())


def run_logger() -> Logger:
    """The log of the flow or task run, or where there is none, of the command."""
    if not in_flow():
        return log
    from prefect import get_run_logger

    return get_run_logger()
