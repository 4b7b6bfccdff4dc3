"""Evaluations as plain values, for JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd


def plain_fields(evaluation: Any) -> dict[str, object]:
    """Fields as JSON knows them: tables as {"index", "columns", "data"}, NaN as null."""
    return {field.name: _json(getattr(evaluation, field.name)) for field in fields(evaluation)}


def _json(value: object) -> object:
    if isinstance(value, pd.DataFrame):
        return json.loads(value.to_json(orient="split", double_precision=15, date_format="iso"))
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
