"""Prefect flows: which steps, in which order; and the command line."""
