"""What all commands share: their options, declared once, and what becomes of an answer.

A command is a function that returns an `Answer`.  Where it takes an experiment, the command has the
options that change one; the function gets the experiment, validated, with its files read.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from flows.cli.failures import plain_errors
from rnntrade.config import EXPERIMENTS, Experiment, find_experiment, override
from rnntrade.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
NAMES = ", ".join(EXPERIMENTS)
OPTIONS: Mapping[str, Any] = {  # that change an experiment, by parameter
    "source": Annotated[
        str | None, typer.Option(help="yahoo, sample, synthetic, or files (with --folder).")
    ],
    "tickers": Annotated[str | None, typer.Option(help="Comma-separated, such as SPY,QQQ.")],
    "start": Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.")],
    "end": Annotated[str | None, typer.Option(help="End date (exclusive), YYYY-MM-DD.")],
    "folder": Annotated[
        str | None, typer.Option(help="Folder of CSV or Parquet files, one per ticker.")
    ],
    "device": Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")],
    "changes": Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.FIELD=VALUE", help="Any field, e.g. seed=1; repeatable."
        ),
    ],
}
PANELS = {"research": "Research", "production": "Production", "servers": "Servers and schedules"}
JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
AsOf = Annotated[str | None, typer.Option(help="Evaluate as of this session (default: newest).")]
Task = Annotated[str, typer.Argument(help="direction, regime or forecast.")]


class Answer(NamedTuple):
    """What a command has come to."""

    value: Any  # Pydantic models and plain values: printed with --json
    show: Callable[[], None]  # prints it for people
    failed: bool = False  # exit with 1
    missing: Mapping[str, str] = {}  # by ticker, why its newest prices could not be had: 1, too


def command(
    name: str,
    *examples: str,
    experiment: str | None = None,
    envvar: str | None = None,
    without: Sequence[str] = (),
) -> Callable[[Callable[..., Answer | None]], Callable[..., None]]:
    """Make a function a command, with --json where it returns an answer.

    examples    shown by --help, each a command line
    experiment  the default of a command whose function takes one
    envvar      that names an experiment, too
    without     options of an experiment that the command has not
    """

    def register(function: Callable[..., Answer | None]) -> Callable[..., None]:
        own = dict(inspect.signature(function).parameters)
        chooses = own.pop("experiment", None)
        options = _options(experiment, envvar, without) if chooses else []
        if "Answer" in str(function.__annotations__["return"]):
            own["as_json"] = _parameter("as_json", JSON, False)
        parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in (*options, *own.values())]

        def run(**given: Any) -> None:
            as_json = given.pop("as_json", False)
            with plain_errors():
                if chooses:
                    chosen = {option.name: given.pop(option.name, None) for option in options}
                    given["experiment"] = choose(**chosen)
                answer = function(**given)
                if answer is not None:
                    _finish(answer, as_json)

        run.__doc__ = function.__doc__
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        head = "Example" if len(examples) == 1 else "Examples"
        app.command(
            name,
            epilog="\n\n".join([f"{head}:", *examples]),
            rich_help_panel=PANELS[function.__module__.rpartition(".")[2]],
        )(run)
        return run

    return register


def _options(
    experiment: str | None, envvar: str | None, without: Sequence[str]
) -> list[inspect.Parameter]:
    """The argument that names an experiment, then what changes it."""
    named = f"One of: {NAMES}, or the path of your own."
    argument = Annotated[
        str | None, typer.Argument(metavar="EXPERIMENT", help=named, envvar=envvar)
    ]
    parts = [_parameter("name", argument, experiment)]
    return parts + [
        _parameter(name, kind, None) for name, kind in OPTIONS.items() if name not in without
    ]


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _finish(answer: Answer, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(_plain(answer.value), indent=1) + "\n")
    else:
        answer.show()
    for reason in answer.missing.values():
        typer.echo(f"warning: {reason}", err=True)
    if answer.failed or answer.missing:
        raise typer.Exit(1)


def _plain(value: Any) -> Any:
    """Models as dicts, in whatever holds them."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if hasattr(value, "as_json"):
        return value.as_json()
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def choose(
    name: str | None = None,
    source: str | None = None,
    tickers: str | None = None,
    start: str | None = None,
    end: str | None = None,
    folder: str | None = None,
    device: str | None = None,
    changes: list[str] | None = None,
) -> Experiment | None:
    """The experiment of that name with the options applied; None where nothing is asked for."""
    fields: dict[str, object] = {
        "data.source": source or ("files" if folder else None),
        "data.tickers": tickers,
        "data.start": start,
        "data.end": end,
        "data.folder": os.path.abspath(os.path.expanduser(folder)) if folder else None,
        "compute.device": device,
    }
    for change in changes or []:
        path, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change!r} has no value.  Write --set {path}=VALUE.")
        fields[path.strip()] = value.strip()
    given = {path: value for path, value in fields.items() if value is not None}
    if name is None and not given:
        return None
    return override(find_experiment(name or "quick"), given)
