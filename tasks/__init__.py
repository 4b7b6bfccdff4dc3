"""Prefect tasks: one thin wrapper per step of rnntrade."""

import os

# Before Prefect or MLflow is imported: neither sends anything about its use, unless told to, and a
# busy machine may take its time to start the server that a run brings along.
for _name, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}.items():
    os.environ.setdefault(_name, _value)
