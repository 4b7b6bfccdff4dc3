"""The notebook's models by what they are asked, for tests."""

from rnntrade.config import find_experiment

MODELS = find_experiment("notebook").models
REGIME, _, DIRECTION, FORECAST, ATTENTION = MODELS
