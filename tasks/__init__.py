"""Prefect tasks: one thin wrapper per step of rnntrade."""

import os

# Before Prefect or MLflow is imported: neither sends anything about its use, unless told to; a busy
# machine may take its time to start the server that a run brings along; and a server that has gone
# is asked again for two minutes, in growing steps (0, 2, 4 ... 64 s; 2, 4, 8 ... 64 s).
for _name, _value in {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where --json puts the result
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "PREFECT_CLIENT_MAX_RETRIES": "6",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}.items():
    os.environ.setdefault(_name, _value)
