"""Entry point of `rnntrade` and `python -m rnntrade`: the command line, whatever surrounds it.

The packages `flows` and `tasks` beside this one have names that other people use, too.  Both are
imported from here before anything else can be, and child processes look here first.
"""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])


def main() -> None:
    """Run the command line."""
    _use_utf8()
    _prefer_own_packages()
    import_module("flows.cli").main()  # by name: this package imports neither flows nor tasks


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
