"""Leaks hunted by the machine: causality, oracles, warm-up, replay."""
