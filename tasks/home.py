"""Where the files of an installation live: data/, artifacts/ and mlflow.db below one folder."""

import os
from pathlib import Path

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # MLflow writes to them without a server


def home() -> Path:
    """The folder named by RNNTRADE_HOME, else the checkout."""
    named = os.environ.get("RNNTRADE_HOME")
    return Path(named).expanduser().resolve() if named else Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Prices, one Parquet file per source and ticker, and their vintages."""
    return home() / "data"


def artifacts_folder() -> Path:
    """What the steps made; everything in it can be made again."""
    return home() / "artifacts"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db in the home folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def database_file(uri: str) -> Path | None:
    """The file behind sqlite:///PATH; None for what is no such address."""
    scheme, _, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if scheme == "sqlite" else None
