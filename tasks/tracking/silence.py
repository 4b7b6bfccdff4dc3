"""A server that does not answer is reported in one sentence; what it answers stays as it is.

MLflow's client asks again for about two minutes (`tasks/__init__.py`) before it gives up.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnntrade.errors import ServerError


def without_password(uri: str) -> str:
    """The address as it may be shown: postgresql://me:***@host/mlflow."""
    return re.sub(r"(?<=://)([^/@:]*):[^@]*@", r"\1:***@", uri)


def silent(uri: str, error: Exception) -> ServerError:
    """What to say when MLflow did not answer, and why it did not."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    cause = re.search(r"\(Caused by \w+\(['\"](.*)['\"]\)\)", first)
    reason = without_password(cause[1] if cause else first)[:300]
    cure = "Start it, or mend MLFLOW_TRACKING_URI"
    if uri.startswith("sqlite:"):
        cure = "See to it that the file can be written and the disk has room"
    return ServerError(
        f"MLflow at {without_password(uri)} does not answer ({reason}).  {cure}, and run the same "
        "again: what is finished is not done twice."
    )


@contextmanager
def answered(uri: str, always: bool = False) -> Iterator[None]:
    """Turn MLflow's silence into a ServerError.

    Silence is also what comes from a proxy or a stranger at that address instead of MLflow, and a
    database that has gone.  An error that MLflow itself answers with passes through, unless
    `always`, where only success is an answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        raise silent(uri, error) from error
    except MlflowException as error:
        if (
            always
            or error.error_code == "TEMPORARILY_UNAVAILABLE"
            or str(error).startswith("API request to")
            or isinstance(error.__cause__, OperationalError)
        ):
            raise silent(uri, error) from error
        raise


class Answering:
    """MLflow's client, every question of which is `answered`."""

    def __init__(self, uri: str, client: Any) -> None:
        self._uri, self._client = uri, client

    def __getattr__(self, name: str) -> Any:
        """Whatever MlflowClient has of that name."""
        return answered(self._uri)(getattr(self._client, name))
