"""Digests of content: the same data, config or code has the same name, wherever it is."""

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]  # of the checkout or the site-packages that hold the code
NAMED = (ast.FunctionDef, ast.ClassDef)
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where the two names differ
VALUES_ONLY = frozenset({"rnntrade.config"})  # its values are in every key already
BASELINES = "rnntrade.models.baselines"  # of an objective; the chain's own step runs them
CHAIN = "rnntrade.chain"  # imports all stages; which of them a step uses, `step_digest` tells


def fingerprint(value: object) -> str:
    """16 hexadecimal digits for the content of data, configs and nestings of them; order counts."""
    digest = hashlib.sha256(type(value).__name__.encode())
    for part in _parts(value):
        digest.update(part if isinstance(part, bytes) else fingerprint(part).encode())
    return digest.hexdigest()[:16]


def folder_digest(folder: Path) -> str:
    """64 hexadecimal digits for the names and bytes of all files below `folder`."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


@cache
def source_digest(module: str, packages: tuple[str, ...] = ("rnntrade", "tasks")) -> str:
    """Digest of the code that a module runs: its source and that of all of ours that it imports.

    However deep; and the versions of the libraries that the computations among these import.  The
    source is read, not imported: a key must not cost the import of torch.  It is read once per
    process, which goes on running what it has loaded.
    """
    seen: set[str] = set()
    libraries = {"python"}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen and name not in VALUES_ONLY:
            seen.add(name)
            for found in _imports(name):
                if found.startswith(BASELINES) and name.startswith("rnntrade.objectives."):
                    continue
                if found.split(".")[0] in packages:
                    waiting += [found] if _file(found).is_file() else []
                elif name.startswith("rnntrade."):
                    libraries.add(found.split(".")[0])
    files = {path for name in seen for path in (_file(name), *_data(name))}
    sources = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in sorted(files)}
    return fingerprint((sources, {name: _version(name) for name in sorted(libraries)}))


@cache
def step_digest(step: str) -> str:
    """Digest of the code that one step of the chain runs.

    The step's own lines, those of the steps and definitions of the chain that it uses, and every
    module that these name, as in `source_digest`.
    """
    tree = ast.parse(_file(CHAIN).read_text(encoding="utf-8"))
    (table,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Chain")
    parts: dict[str, ast.AST] = {n.name: n for n in tree.body if isinstance(n, NAMED)}
    parts |= {ast.unparse(n.targets[0]): n for n in tree.body if isinstance(n, ast.Assign)}
    parts |= {f"self.{n.name}": n for n in table.body if isinstance(n, ast.FunctionDef)}
    parts |= {
        f"self.{ast.unparse(n.target)}": n.value
        for n in table.body
        if isinstance(n, ast.AnnAssign) and n.value is not None
    }
    modules = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    lines: dict[str, str] = {}
    used: set[str] = set()
    waiting = [f"self.{step}"]
    while waiting:
        if (part := waiting.pop()) in lines:
            continue
        lines[part] = ast.unparse(parts[part])
        for node in _body(parts[part]):
            name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            if name in parts:
                waiting.append(name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module)
            elif modules.get(name, "").startswith("rnntrade."):
                used.add(modules[name])
    return fingerprint((lines, [source_digest(module) for module in sorted(used)]))


@cache
def own_lines(module: str, function: str) -> str:
    """The source of a module's function, without comments."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    return next(
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
    )


def _body(part: ast.AST) -> list[ast.AST]:
    """What runs of a definition: neither its annotations, nor the types of a dataclass' fields."""
    if isinstance(part, ast.ClassDef):
        return []
    ran = part.body if isinstance(part, ast.FunctionDef) else [part]
    return [node for statement in ran for node in ast.walk(statement)]


@cache
def _imports(module: str) -> list[str]:
    """Modules, or names in them, that a module imports anywhere but for type hints alone."""
    found: list[str] = []
    waiting: list[ast.AST] = [ast.parse(_file(module).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@cache
def _version(library: str) -> str:
    """Version of an installed library; the standard library's is Python's."""
    if library == "python" or library in sys.stdlib_module_names:
        return platform.python_version()
    try:
        return version(DISTRIBUTIONS.get(library, library))
    except PackageNotFoundError:
        return "unknown"


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _data(module: str) -> list[Path]:
    """Files that the code of a package reads: those beside it that are no code."""
    beside = _file(module).parent.glob("*.*")
    return [path for path in beside if path.suffix not in {".py", ".pyc"} and path.is_file()]


def _parts(value: object) -> Iterable[object]:
    match value:
        case pd.DataFrame() | pd.Series():
            table = value.to_frame() if isinstance(value, pd.Series) else value
            rows = pd.util.hash_pandas_object(table, index=True).to_numpy()
            return [rows.tobytes(), [str(column) for column in table.columns]]
        case np.ndarray() if value.dtype != object:
            return [f"{value.dtype}{value.shape}".encode(), np.ascontiguousarray(value).tobytes()]
        case Mapping():
            return [part for item in value.items() for part in item]
        case list() | tuple():
            return value
        case _ if is_dataclass(value):
            return [getattr(value, field.name) for field in fields(value)]
        case None | bool() | int() | float() | str() | date():
            return [json.dumps(value, default=str).encode()]
        case _:
            raise TypeError(f"no fingerprint for {type(value).__name__}")
