"""Prefect tasks: one thin wrapper per step of rnntrade."""

import os
from collections.abc import MutableMapping

# Before Prefect or MLflow is imported: neither sends anything about its use unless asked to, and a
# server that has gone is asked again for two minutes, in growing steps (0, 2, 4 ... 64 s).
DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where --json puts the result
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "PREFECT_CLIENT_MAX_RETRIES": "6",
}
# Left over from other projects: experiments, runs and the place of results are named explicitly.
LEFTOVERS = (
    *("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"),
    "MLFLOW_ENABLE_ASYNC_LOGGING",
    *("PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK", "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK"),
    *("PREFECT_RESULTS_DEFAULT_SERIALIZER", "PREFECT_RESULTS_PERSIST_BY_DEFAULT"),
)
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def prepare(environment: MutableMapping[str, str]) -> None:
    """Set what both libraries should find, take out what they should not.

    Servers on this machine are reached without a proxy.  A SOCKS proxy is out of reach for the
    clients of both libraries, which refuse to start with one; Yahoo's client takes it from
    RNNTRADE_SOCKS_PROXY instead.
    """
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    for name in LEFTOVERS:
        environment.pop(name, None)
    proxies = [name for name in environment if name.lower() in PROXIES and environment[name]]
    if not proxies:
        return
    exempt = [environment.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    hosts = [host.strip() for text in exempt for host in text.split(",") if host.strip()]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(dict.fromkeys([*hosts, *LOOPBACK]))
    for name in sorted(proxies, key=str.lower):  # all_proxy first, so that https_proxy prevails
        if environment[name].lower().startswith("socks"):
            environment["RNNTRADE_SOCKS_PROXY"] = environment.pop(name)


prepare(os.environ)
