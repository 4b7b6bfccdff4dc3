"""When may a task reuse an earlier result?  When its inputs, its config and its code are unchanged.

Prefect's own policies are not safe here: INPUTS gives equal frames different keys and reordered
columns the same one, TASK_SOURCE does not see an edit in a library function, and DEFAULT never hits
across runs.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.serializers import JSONSerializer
from pydantic import Field

from rnntrade.fingerprint import fingerprint, source_digest, step_digest
from tasks.artifacts import refs_in
from tasks.home import artifacts_folder

log = logging.getLogger("prefect.rnntrade")

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class ByContent(CachePolicy):
    """Key a result on the task's name, its inputs' content, and the source that it runs.

    The source is the task's module and everything of ours that it imports, however deep, and of
    the chain the steps that it calls: so editing the report retrains nothing, and editing an
    indicator does.
    """

    modules: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()  # of the chain
    sources: tuple[str, ...] = field(default=(), init=False)  # as this process has loaded them
    not_in_key: tuple[str, ...] = ()  # arguments that change how, not what

    def __post_init__(self) -> None:
        self.sources = self.digests()

    def digests(self) -> tuple[str, ...]:
        """What the source of the modules and steps is called."""
        modules = tuple(source_digest(module) for module in self.modules)
        return modules + tuple(step_digest(step) for step in self.steps)

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """Return the digest."""
        what = {name: value for name, value in inputs.items() if name not in self.not_in_key}
        return fingerprint((task_ctx.task.name, _plain(what), self.sources))


class RefSerializer(JSONSerializer[Any]):
    """JSON; a reference whose files are gone or changed counts as no result at all."""

    type: str = Field(default="rnntrade/ref", frozen=True)

    def loads(self, blob: bytes) -> Any:
        """Return the result, or raise FileNotFoundError, which Prefect takes for a miss."""
        result = super().loads(blob)
        for ref in refs_in(result):
            if not ref.is_intact():
                log.warning("%s/%s is missing or changed: made anew", ref.step, ref.digest[:16])
                raise FileNotFoundError(ref.folder)
        return result


def cached_task(
    run_name: str | None = None,
    steps: tuple[str, ...] = (),
    not_in_key: tuple[str, ...] = (),
    runs: tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a step a task whose result is kept, and reused while nothing behind it changes.

    steps  methods of `rnntrade.chain.Chain` that the task calls
    runs   modules that the step starts as a process, rather than importing them
    """

    def make(step: Callable[P, R]) -> Task[P, R]:
        return task(
            task_run_name=run_name,
            cache_policy=ByContent(
                modules=(step.__module__, *runs), steps=steps, not_in_key=not_in_key
            ),
            persist_result=True,
            result_storage=artifacts_folder() / "results",
            result_serializer=RefSerializer(),
        )(step)

    return make


def _plain(value: Any) -> Any:
    """Pydantic models as dicts, for the fingerprint."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
