"""Where the files of an installation live: data/, artifacts/ and mlflow.db below one folder."""

import os
from pathlib import Path


def home() -> Path:
    """The folder named by RNNTRADE_HOME, else the checkout."""
    return Path(os.environ.get("RNNTRADE_HOME") or Path(__file__).parents[1]).resolve()


def data_folder() -> Path:
    """Prices, one Parquet file per source and ticker, and their vintages."""
    return home() / "data"


def artifacts_folder() -> Path:
    """What the steps made; everything in it can be made again."""
    return home() / "artifacts"
