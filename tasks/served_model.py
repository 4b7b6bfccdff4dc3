"""The registered model itself: bars in, today's prediction out.  Loaded from code, never a pickle.

Input, one row a bar: `date`, `ticker`, `close` (adjusted for splits and dividends); more columns
are allowed.  Output, one row a ticker: `ticker`, `as_of` (its newest session) and the prediction.
"""

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedModel(PythonModel):  # type: ignore[misc]  # mlflow is not typed here
    """The fits of one model (an ensemble of seeds), averaged."""

    def load_context(self, context: Any) -> None:
        """Read weights, scaler and thresholds from safetensors and JSON."""
        from pathlib import Path

        from rnntrade.training.fits import load_fit

        folder = Path(context.artifacts["fits"])
        self.fits = [load_fit(each) for each in sorted(folder.iterdir())]

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict from the newest window of each ticker."""
        from rnntrade.training.latest import predict_latest

        return predict_latest(self.fits, model_input)


set_model(ServedModel())
