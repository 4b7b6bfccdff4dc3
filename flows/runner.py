"""The task runner of every flow."""

from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner

THREADS: Any = ThreadPoolTaskRunner(max_workers=16)  # threads mostly wait for worker processes
