"""Whether a champion may still be followed: every check in a row, and a sentence on all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnntrade.codec import plain
from rnntrade.config import ProductionConfig
from rnntrade.production.decay import SCORES, Outcomes, decay
from rnntrade.production.drift import Reference, feature_drift

Status = Literal["ok", "drifted", "expired", "warning", "unknown"]
WORST = ("drifted", "expired", "warning")  # first
PSI, SESSIONS = "stability index", "sessions"  # units


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str  # "input volatility_20", one of SCORES, "freshness", "revisions", "age"
    value: float  # what was measured, in `unit`
    limit: float  # the least p-value of one of SCORES, the largest value of anything else
    status: Status
    sentence: str
    unit: str = ""
    p_value: float = math.nan  # of one of SCORES: that it is this much worse by luck

    @property
    def wanted(self) -> str:
        """What must hold, in words: of a decay's p-value, of the value otherwise."""
        if math.isnan(self.limit):
            return "not known"
        if self.name in SCORES:
            return f"p ≥ {self.limit:g}"
        return f"≤ {number(self.limit, self.unit)}"

    def to_json(self) -> dict[str, object]:
        """Everything as plain values, NaN as null."""
        return {**plain(self), "wanted": self.wanted}


def number(value: float | None, unit: str = "") -> str:
    """Return a figure with three digits after the point, sessions with none; never an exponent."""
    if value is None or not math.isfinite(value):
        return "-"
    if 0.0 < value < 0.0005:
        return "< 0.001"
    return f"{value:,.{0 if unit == SESSIONS else 3}f}"


@dataclass(frozen=True)
class Health:
    """All that was looked at."""

    checks: tuple[Check, ...]

    @property
    def drifted(self) -> bool:
        """Whether any check found drift; an unknown one did not."""
        return any(check.status == "drifted" for check in self.checks)

    @property
    def status(self) -> Status:
        """The worst status; "unknown" where nothing could be checked."""
        statuses = {check.status for check in self.checks}
        return next((status for status in (*WORST, "ok") if status in statuses), "unknown")

    @property
    def sentence(self) -> str:
        """The worst first; then what else is wrong, and what could not be checked."""
        sentences: dict[str, list[str]] = {}
        for check in self.checks:
            sentences.setdefault(check.status, []).append(check.sentence)
        looked = sum(  # for drift, which age, freshness and revisions are not
            check.name in SCORES or check.name.startswith("input ")
            for check in self.checks
            if check.status != "unknown"
        )
        parts = [
            f"{status}: {sentence}"
            for status in ("expired", "warning")
            for sentence in sentences.get(status, [])
        ]
        if drifted := sentences.get("drifted"):
            parts.insert(0, f"drift in {len(drifted)} of {looked} checks: {'; '.join(drifted)}")
        else:
            parts.append(f"no drift in {looked} check" + "s" * (looked != 1))
        unknown = [check.name for check in self.checks if check.status == "unknown"]
        parts += [f"not known: {', '.join(unknown)}"] * bool(unknown)
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values, NaN as null."""
        about = {"status": self.status, "drifted": self.drifted, "sentence": self.sentence}
        return {**about, "checks": [check.to_json() for check in self.checks]}


@dataclass(frozen=True, eq=False)
class Observed:
    """What a desk's health is judged by."""

    recent_rows: NDArray[np.float64]  # (n, F) inputs of the newest sessions, all tickers
    validation: Outcomes | None  # None: the desk kept none whose truth is known
    recent: Outcomes | None  # the newest sessions, as far as it has not learned from them

    def figures(self) -> dict[str, float]:
        """Hit rate and Brier score, or the error as a share of that of no move, then and now."""
        figures: dict[str, float] = {}
        for when, outcomes in (("", self.recent), (".validation", self.validation)):
            if outcomes is None or not len(outcomes.session):
                continue
            error = float(outcomes.squared_errors().mean())
            if outcomes.forecasts:
                move = float(outcomes.squared_moves().mean())
                figures |= {f"forecast_error{when}": error / move} if move > 0.0 else {}
            else:
                figures[f"hit_rate{when}"] = float(outcomes.hits().mean())
                figures[f"brier{when}"] = error
        return figures


def monitor(
    reference: Reference,
    observed: Observed,
    config: ProductionConfig,
    others: Sequence[Check] = (),
) -> Health:
    """Look at inputs, hits and calibration (of probabilities) or at errors (of forecasts).

    others  checks made elsewhere, as of the freshness of data
    """
    checks = _inputs(reference, observed.recent_rows, config)
    validation, recent = observed.validation, observed.recent
    if validation is not None and recent is not None:
        names = ("forecast error",) if validation.forecasts else ("hit rate", "calibration")
        checks += [_decayed(name, validation, recent, config.drift_p_value) for name in names]
    return Health((*checks, *others))


def _inputs(
    reference: Reference, recent_rows: NDArray[np.float64], config: ProductionConfig
) -> list[Check]:
    checks = []
    if not len(recent_rows):
        nothing = "there are no recent values"
        return [
            Check(f"input {name}", math.nan, math.nan, "unknown", f"input {name}: {nothing}", PSI)
            for name in reference.names
        ]
    for row in feature_drift(reference, recent_rows, config).to_dict("records"):
        name, psi, limit = f"input {row['feature']}", float(row["psi"]), float(row["limit"])
        status: Status = "drifted" if row["drifted"] else "ok"
        sentence = f"{name}: stability index {psi:.2f}"
        if math.isnan(limit):
            status, sentence = "unknown", f"{sentence}, what is usual is not known"
        else:
            sentence += f", usual up to {limit:.2f}; {100 * row['out_of_range']:.0f} % of values "
            sentence += "outside of the training part's"
        checks.append(Check(name, psi, limit, status, sentence, PSI))
    return checks


def _decayed(name: str, validation: Outcomes, recent: Outcomes, limit: float) -> Check:
    score, test = SCORES[name], decay(name, validation, recent)
    status: Status = "drifted" if test.p_value < limit else "ok"
    sentence = f"{name}: {score.text(test.now)} over {test.sessions} sessions, "
    sentence += f"{score.text(test.before)} on the validation part"
    p = number(test.p_value)
    if math.isnan(test.p_value):
        status, sentence = "unknown", f"{sentence}; too few to tell"
    else:
        sentence += f", p {p}" if p.startswith("<") else f", p = {p}"
    return Check(name, test.now, limit, status, sentence, score.unit, test.p_value)
