"""Entry point of `rnntrade` and `python -m rnntrade`: the command line, whatever surrounds it.

The packages `flows` and `tasks` beside this one have names that other people use, too.  Both are
imported from here before anything else can be, and child processes look here first.
"""

import atexit
import gc
import logging
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

ROOT = str(Path(__file__).resolve().parents[1])


def main() -> None:
    """Run the command line."""
    gc.set_threshold(200_000, 50, 50)  # imports make many objects and no garbage
    _use_utf8()
    _prefer_own_packages()
    code: object = 0
    try:
        import_module("flows.cli").app()  # by name: this package imports neither flows nor tasks
    except SystemExit as end:
        code = end.code
    _leave(code if isinstance(code, int) else int(code is not None))


def _leave(code: int) -> NoReturn:
    """End as the interpreter would, but without taking every module and object apart: 1 to 3 s."""
    threading._shutdown()  # type: ignore[attr-defined] # Prefect sends what waits in its queues
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def _use_utf8() -> None:
    """Start again in UTF-8 mode under an ASCII or Latin locale: libraries read UTF-8 files.

    The output keeps the terminal's encoding; a character that it lacks becomes a question mark.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ.setdefault("PYTHONIOENCODING", getattr(sys.stdout, "encoding", "utf-8"))
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _prefer_own_packages() -> None:
    """Import flows and tasks from beside this package, here and in every child process."""
    sys.path.insert(0, ROOT)
    for name in ("flows", "tasks"):
        import_module(name)
    sys.path.remove(ROOT)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([ROOT, *others]))
    os.environ["PYTHONSAFEPATH"] = "1"  # `python -m` would look into the current folder first


if __name__ == "__main__":
    main()
