"""The registered model itself: bars in, today's prediction out.  Loaded from code, never a pickle.

Input, one row a bar: `date`, `ticker`, `close` (adjusted for splits and dividends); more columns
are allowed.  Output: `rnntrade.production.decisions.answer`.
"""

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedModel(PythonModel):  # type: ignore[misc]  # mlflow is not typed here
    """One model's desk: its fits (an ensemble of seeds) and its rules."""

    def load_context(self, context: Any) -> None:
        """Read weights, scaler, thresholds and rules from safetensors, JSON and Parquet."""
        from pathlib import Path

        from rnntrade.codec import load
        from rnntrade.production.desk import Desk

        self.desk = load(Desk, Path(context.artifacts["desk"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Decide from the newest window of each ticker."""
        from rnntrade.production.decisions import answer

        return answer(self.desk, model_input)


set_model(ServedModel())
