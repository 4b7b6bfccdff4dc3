"""What every benchmark prints first: where its figures come from."""

import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import torch


def describe_machine() -> str:
    """Return processor, cores and versions, in one line."""
    versions = f"numpy {np.__version__}, pandas {pd.__version__}, torch {torch.__version__}"
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}; {python}, {versions}"


def _processor() -> str:
    """Return the processor's own name where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":  # `make bench` runs every file here
    print(describe_machine())
