"""Errors that a user can mend.  Each message names the thing, the cause and the cure.

The command line prints them as one line; anything else is a defect and keeps its traceback.
"""


class RnntradeError(Exception):
    """A mistake or a misfortune outside the code."""


class ConfigError(RnntradeError):
    """An experiment, field or value that does not exist or does not fit."""


class DataError(RnntradeError):
    """Prices that are missing, wrong or too few."""


class DownloadError(DataError):
    """A vendor that did not deliver; `transient` says whether trying again can help."""

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class TrainingError(RnntradeError):
    """A fit that could not be finished."""


class LeakError(RnntradeError):
    """A number that knew its future: the run must not be believed."""


class SealError(RnntradeError):
    """The final holdout is closed, or was opened before."""


class ServerError(RnntradeError):
    """A server of MLflow or Prefect that does not answer, however often it is asked."""
