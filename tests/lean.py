"""`rnntrade` in a process of its own, without what takes long: `python -m tests.lean run debug`."""

import os
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "tests.lean")
ROOT = str(Path(__file__).parents[1])  # in PYTHONPATH, where the command is started elsewhere


if __name__ == "__main__":
    from rnntrade.__main__ import main
    from tasks.setup.prefect_settings import LINES

    os.environ |= LINES  # as the command does, but before Prefect is imported
    from tests.homes import lean

    with lean():
        main()
