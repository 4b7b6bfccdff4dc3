"""A recorded run, made again from its prices with no cached result, and compared by digest.

Where results are kept is fixed when tasks are imported; so the second run is a process of its own,
`python -m flows.reproduce --child FOLDER`, in a home folder that is gone afterwards.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from rnntrade.errors import RnntradeError
from rnntrade.storage import temporary_folder, write_json
from tasks.home import artifacts_folder, home
from tasks.reproduction import FILE, Provenance, Reproduction, compare, copy_inputs, read_provenance
from tasks.tracking.runs import alive, find_run, read_text_artifact

REQUEST, ANSWER = "request.json", "answer.json"  # in the second run's home folder


def reproduce(run_id: str, keep: bool = False) -> Reproduction:
    """Run everything of that run again, and compare prices, features, fits, predictions, equity.

    run_id  of the run, or of one of its models, or its first characters
    keep    the second run's home folder, below artifacts/reproductions
    errors  RnntradeError when the run is not there, kept no digests, or fails now; DataError when
            its prices are gone
    """
    found = find_run(run_id)
    recorded = read_provenance(found)
    with alive(), _second_home(keep) as folder:
        copy_inputs(recorded, folder)
        (folder / REQUEST).write_text(recorded.model_dump_json(indent=1), encoding="utf-8")
        answer = _run_child(folder)
    if "error" in answer:
        raise RnntradeError(f"run {found.run_id} cannot be made again: {answer['error']}")
    result = compare(found.run_id, recorded, Provenance(**answer["provenance"]))
    failed = [f"Failed now: {name}: {why}" for name, why in answer["failures"].items()]
    return result.model_copy(update={"explanation": [*failed, *result.explanation]})


@contextmanager
def _second_home(keep: bool) -> Iterator[Path]:
    """Give an empty folder; without `keep` it is gone afterwards, even after a kill."""
    parent = artifacts_folder() / "reproductions"
    if keep:
        folder = parent / uuid4().hex[:16]
        folder.mkdir(parents=True)
        yield folder
        return
    with temporary_folder(parent) as folder:  # swept by the next run if this process is killed
        yield folder


def _run_child(folder: Path) -> dict[str, Any]:
    """Make the second run, its progress on standard error; return what it says."""
    environment = {**os.environ, "RNNTRADE_HOME": str(folder)}
    for server in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        environment.pop(server, None)  # it records into its own folder
    command = [sys.executable, "-m", "flows.reproduce", "--child", str(folder)]
    done = subprocess.run(command, env=environment, stdout=2, check=False)  # 2: standard error
    try:
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RnntradeError(
            f"the second run ended with code {done.returncode} and no answer: its last words are "
            "above.  Out of memory, or stopped from outside?  Try again."
        ) from None
    return answer


def child(folder: Path) -> None:
    """Run as asked in this process's own home, and leave the provenance there."""
    from flows.run import run

    recorded = Provenance.model_validate_json((folder / REQUEST).read_text(encoding="utf-8"))
    opened = recorded.holdout in {"opened", "spent"}
    try:
        summary = run(recorded.rebuilt(), opened, opened, recorded.fetched)
    except RnntradeError as error:
        write_json(folder / ANSWER, {"error": str(error)})
        return
    made = json.loads(read_text_artifact(summary.mlflow_run, FILE))
    write_json(folder / ANSWER, {"provenance": made, "failures": summary.failures})


if __name__ == "__main__":
    from flows.cli.start import prepare_logging

    prepare_logging()
    if sys.argv[1:2] != ["--child"] or home() != Path(sys.argv[2]).resolve():
        sys.exit("This is the second half of `rnntrade reproduce RUN_ID`: use that.")
    child(home())
