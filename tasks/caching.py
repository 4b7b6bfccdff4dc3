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

from rnntrade.fingerprint import CHAIN, fingerprint, own_lines, source_digest, step_digest
from tasks.home import artifacts_folder
from tasks.refs import refs_in

log = logging.getLogger("prefect.rnntrade")

P = ParamSpec("P")
R = TypeVar("R")
Wrapped = str | Callable[..., Any]


@dataclass
class ByContent(CachePolicy):
    """Key a result on the task's name, its inputs' content, and the source that it runs.

    The source is the step's own lines, the codec, and the library function that it wraps: with its
    module and everything of ours that this imports, however deep, or with the steps of the chain
    that it calls.  So editing the report retrains nothing, and editing an indicator does.
    """

    step: str = ""  # module:function
    of: tuple[str, ...] = ()  # modules, and methods of the chain
    not_in_key: tuple[str, ...] = ()  # arguments that change how, not what
    sources: tuple[str, ...] = field(default=(), init=False)  # as this process has loaded them

    def __post_init__(self) -> None:
        self.sources = self.digests()

    def digests(self) -> tuple[str, ...]:
        """What the source behind the step is called."""
        parts = [own_lines(*self.step.split(":")), source_digest("rnntrade.codec")]
        for name in self.of:
            module, _, method = name.partition(":")
            parts.append(step_digest(method) if method else source_digest(module))
        return tuple(parts)

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """Return the digest."""
        what = {name: value for name, value in inputs.items() if name not in self.not_in_key}
        return fingerprint((task_ctx.task.name, what, self.sources))


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


def step(
    run_name: str | None = None,
    *,
    of: Wrapped | tuple[Wrapped, ...],
    not_in_key: tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task whose result is kept, and reused while nothing behind it changes.

    run_name    of the task run, with arguments in braces
    of          what the step wraps: functions of the library, methods of the chain, or the name of
                a module that it starts as a process
    not_in_key  arguments that change how something is done, not what comes out
    """
    wrapped = of if isinstance(of, tuple) else (of,)

    def make(function: Callable[P, R]) -> Task[P, R]:
        return task(
            task_run_name=run_name,
            cache_policy=ByContent(
                step=f"{function.__module__}:{function.__name__}",
                of=tuple(_source(each) for each in wrapped),
                not_in_key=not_in_key,
            ),
            persist_result=True,
            result_storage=artifacts_folder() / "results",
            result_serializer=RefSerializer(),
        )(function)

    return make


def _source(wrapped: Wrapped) -> str:
    if isinstance(wrapped, str):
        return wrapped
    owner, _, method = wrapped.__qualname__.partition(".")
    return f"{CHAIN}:{method}" if owner == "Chain" else wrapped.__module__


def source_of(task: Task[..., Any]) -> str:
    """Digest of the code behind a step."""
    policy = task.cache_policy
    assert isinstance(policy, ByContent)
    return fingerprint(policy.sources)
