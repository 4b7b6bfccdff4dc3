"""Prefect tasks: one thin wrapper per step of rnntrade."""
