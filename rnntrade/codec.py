"""Values as folders that people can open: tables as Parquet, arrays as safetensors, the rest JSON.

Any frozen dataclass can be saved; its type hints are the schema, so a new field needs no line here.
The same value gives the same bytes, and loading runs no code.  In JSON, NaN and NaT are null, and
an infinite number is the string "inf" or "-inf".

    value.json          everything but the numbers below, which it only names
    arrays.safetensors  every array; strings as codes, their values in value.json
    FIELD/…/FIELD.parquet
"""

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rnntrade.errors import DataError

T = TypeVar("T")
VALUE, ARRAYS = "value.json", "arrays.safetensors"
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError)


def save(value: object, folder: Path) -> None:
    """Write a value into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder)
    content = writer.plain(value, "")
    if writer.arrays:
        save_file(writer.arrays, folder / ARRAYS)
    text = json.dumps(content, indent=1, allow_nan=False)
    (folder / VALUE).write_text(f"{text}\n", encoding="utf-8")


def load(kind: type[T], folder: Path) -> T:
    """Read what `save` wrote.

    errors  DataError naming the file that is missing, broken or of another type
    """
    with _blamed(folder / VALUE, kind):
        content = json.loads((folder / VALUE).read_text(encoding="utf-8"))
        return typing.cast(T, _Reader(folder, kind).typed(content, kind, ""))


def plain(value: object) -> dict[str, Any]:
    """Return a dataclass without tables as JSON has it; numbers that are not finite are null."""
    return typing.cast(dict[str, Any], _Writer(None).plain(value, ""))


@dataclass(frozen=True)
class _Writer:
    folder: Path | None  # None: tables and arrays are refused
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def plain(self, value: Any, path: str) -> Any:
        match value:
            case pd.DataFrame() | pd.Series() if self.folder is not None:
                return self._table(value, self.folder / f"{path or 'value'}.parquet")
            case np.ndarray() if self.folder is not None:
                return self._array(value, path)
            case Mapping():
                return {_key(key): self.plain(v, _join(path, key)) for key, v in value.items()}
            case list() | tuple():
                return [self.plain(v, _join(path, str(i))) for i, v in enumerate(value)]
            case _ if is_dataclass(value):
                names = [each.name for each in fields(value)]
                return {name: self.plain(getattr(value, name), _join(path, name)) for name in names}
            case float() | np.floating():
                return float(value) if math.isfinite(value) else self._non_finite(float(value))
            case np.bool_() | np.integer():
                return value.item()
            case date():  # Timestamp and NaT, too
                return None if value is pd.NaT else str(value)
            case None | bool() | int() | str():
                return value
            case _:
                raise TypeError(f"{path or 'value'}: cannot store a {type(value).__name__}")

    def _non_finite(self, value: float) -> str | None:
        return None if math.isnan(value) or self.folder is None else str(value)

    def _table(self, value: pd.DataFrame | pd.Series, file: Path) -> Any:
        """Write Parquet, whose columns have strings as names."""
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, pd.Series):
            value.to_frame("value").to_parquet(file)
            return {"series": value.name}
        names = None
        if not all(isinstance(name, str) for name in value.columns):
            names = self.plain(list(value.columns), "")
            value = value.set_axis([str(place) for place in range(value.shape[1])], axis=1)
        value.to_parquet(file)
        return {"columns": names}

    def _array(self, value: np.ndarray, path: str) -> Any:
        strings = None
        if value.dtype.kind == "U":
            unique, codes = np.unique(value, return_inverse=True)
            self.arrays[path] = codes.astype(np.int32)
            strings = unique.tolist()
        else:
            dated = value.dtype.kind == "M"
            self.arrays[path] = np.ascontiguousarray(value.view(np.int64) if dated else value)
        return {"array": value.dtype.str, "strings": strings}


@dataclass(frozen=True)
class _Reader:
    folder: Path
    whole: Any  # the type of the whole value

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        with _blamed(self.folder / ARRAYS, self.whole):
            return typing.cast(dict[str, np.ndarray], load_file(self.folder / ARRAYS))

    def typed(self, content: Any, kind: Any, path: str) -> Any:
        origin, inside = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self._union(content, inside, path)
        if kind in (pd.DataFrame, pd.Series):
            return self._table(content, kind, self.folder / f"{path or 'value'}.parquet")
        if np.ndarray in (kind, origin):
            return self._array(content, path)
        if (hints := _hints(kind)) is not None:
            return kind(**{k: self.typed(v, hints[k], _join(path, k)) for k, v in content.items()})
        if origin is not None and issubclass(origin, Mapping):
            return {k: self.typed(v, inside[1], _join(path, k)) for k, v in content.items()}
        if origin in (tuple, list):
            repeated = len(inside) == 1 or inside[-1] is ...
            kinds = inside[:1] * len(content) if repeated else inside
            parts = zip(content, kinds, strict=True)
            return origin(self.typed(v, k, _join(path, str(i))) for i, (v, k) in enumerate(parts))
        if kind is float:
            return math.nan if content is None else float(content)
        if kind is pd.Timestamp:
            return pd.Timestamp(content)
        return _adapter(kind).validate_python(content)

    def _union(self, content: Any, kinds: tuple[Any, ...], path: str) -> Any:
        if content is None and type(None) in kinds:
            return None
        for kind in kinds:
            hints = _hints(kind)
            if kind is not type(None) and (hints is None or set(hints) == set(content)):
                return self.typed(content, kind, path)
        raise ValueError(f"{path} is none of {', '.join(str(kind) for kind in kinds)}")

    def _table(self, content: Any, kind: Any, file: Path) -> Any:
        with _blamed(file, self.whole):
            table = pd.read_parquet(file)
        if kind is pd.Series:
            return table["value"].rename(content["series"])
        if (names := content["columns"]) is None:
            return table
        nested = bool(names) and isinstance(names[0], list)
        index = pd.MultiIndex.from_tuples(map(tuple, names)) if nested else pd.Index(names)
        return table.set_axis(index, axis=1)

    def _array(self, content: Any, path: str) -> np.ndarray:
        dtype, stored = np.dtype(content["array"]), self._arrays[path]
        if content["strings"] is not None:
            return np.asarray(np.array(content["strings"], dtype)[stored])
        return stored.view(dtype) if dtype.kind == "M" else stored


@contextmanager
def _blamed(file: Path, kind: Any) -> Iterator[None]:
    """Raise DataError naming the file for whatever goes wrong when it is read."""
    try:
        yield
    except BROKEN as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{file} cannot be read as {getattr(kind, '__name__', kind)} "
            f"({type(error).__name__}: {reason}).  It is damaged, or was written by another "
            "version of rnntrade: run the experiment again, or retrain."
        ) from error


@cache
def _hints(kind: Any) -> dict[str, Any] | None:
    """Types of a dataclass by field; None for what pydantic reads."""
    if not is_dataclass(kind) or hasattr(kind, "__pydantic_validator__"):
        return None
    hints = typing.get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"cannot store a mapping whose keys are no strings: {key!r}")
    return key


def _join(path: str, name: str) -> str:
    """One folder deeper, whatever characters a name has."""
    safe = quote(name, safe=" ,^=")
    safe = f"%2E{safe[1:]}" if safe.startswith(".") else safe
    return f"{path}/{safe}" if path else safe
