"""Prefect flows: which steps, in which order; and the command line."""

import tasks  # noqa: F401 # its settings must stand before Prefect is imported
