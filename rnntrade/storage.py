"""Files that are either whole or absent, however the process ends."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from rnntrade.errors import RnntradeError

UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
UNWRITABLE |= {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary name; when the block succeeds, the file appears whole under `path`."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
        try:
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder in `parent`; it is gone after the block unless it was moved."""
    folder = parent / f".{uuid4().hex}.tmp"
    with explained(folder):
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def move_folder(new: Path, path: Path) -> None:
    """Flush `new` to disk and let it take the place of `path`; what stood there gives way."""
    for file in new.rglob("*"):
        if file.is_file():
            _flush(file)
    for _ in range(100):
        try:
            os.rename(new, path)
            return
        except OSError:
            if not path.exists():
                raise
        old = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
        try:
            os.rename(path, old)
        except FileNotFoundError:  # another process was faster
            continue
        shutil.rmtree(old, ignore_errors=True)
    raise OSError(f"{path} is being rewritten by too many processes")


def remove_leftovers(parent: Path) -> None:
    """Remove temporary names that a killed process left in the folders of `parent`."""
    for path in parent.glob("*/.*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, keys in the order given, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=True) + "\n", encoding="utf-8")


def _flush(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def explained(path: Path, setting: str = "RNNTRADE_HOME") -> Iterator[None]:
    """Tell a place that cannot be written to with its cure; other errors stay what they are.

    setting  the environment variable that names the place
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise RnntradeError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}.  "
            f"Make room for it there, or set {setting} to a folder that takes it."
        ) from error
