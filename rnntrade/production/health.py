"""Whether a champion may still be followed: every check in a row, and a sentence on all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rnntrade.codec import plain
from rnntrade.config import ProductionConfig
from rnntrade.production.decay import (
    Decay,
    Outcomes,
    calibration_decay,
    error_decay,
    hit_rate_decay,
)
from rnntrade.production.drift import Reference, feature_drift

Status = Literal["ok", "drifted", "expired", "warning", "unknown"]
DECAYS = {  # checks with a p-value, and the unit of what it is about
    "hit rate": "of calls right",
    "calibration": "Brier score",
    "forecast error": "of no move's",
}
WORST = ("drifted", "expired", "warning")  # first
PSI, SESSIONS = "stability index", "sessions"  # units


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str  # "input volatility_20", one of DECAYS, "freshness", "revisions", "age"
    value: float  # what was measured, in `unit`
    limit: float  # the least p-value of one of DECAYS, the largest value of anything else
    status: Status
    sentence: str
    unit: str = ""
    p_value: float = math.nan  # of one of DECAYS: that it is this much worse by luck

    @property
    def of_drift(self) -> bool:
        """Whether it looks for drift, which age, freshness and revisions do not."""
        return self.name in DECAYS or self.name.startswith("input ")

    @property
    def wanted(self) -> str:
        """What must hold, in words: of a decay's p-value, of the value otherwise."""
        if math.isnan(self.limit):
            return "not known"
        limit = number(self.limit, self.unit)
        return f"p ≥ {self.limit:g}" if self.name in DECAYS else f"≤ {limit}"

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
        """Whether any check says so; what is unknown does not."""
        return any(check.status == "drifted" for check in self.checks)

    @property
    def expired(self) -> bool:
        """Whether the champion is too old, if its age was looked at."""
        return any(check.status == "expired" for check in self.checks)

    @property
    def status(self) -> Status:
        """The worst that was found; "unknown" where nothing could be told."""
        found = {check.status for check in self.checks}
        worst = [each for each in WORST if each in found]
        return worst[0] if worst else "ok" if "ok" in found else "unknown"

    @property
    def sentence(self) -> str:
        """The worst first; then what else is wrong, and what could not be told."""
        by_status = {
            status: [check for check in self.checks if check.status == status]
            for status in (*WORST, "unknown")
        }
        looked = [each for each in self.checks if each.of_drift and each.status != "unknown"]
        parts = [
            f"{status}: {check.sentence}"
            for status in ("expired", "warning")
            for check in by_status[status]
        ]
        if drifted := by_status["drifted"]:
            sentences = "; ".join(check.sentence for check in drifted)
            parts.insert(0, f"drift in {len(drifted)} of {len(looked)} checks: {sentences}")
        else:
            parts.append(f"no drift in {len(looked)} check" + "s" * (len(looked) != 1))
        unknown = [check.name for check in by_status["unknown"]]
        parts += [f"not known: {', '.join(unknown)}"] * bool(unknown)
        return "; ".join(parts)

    def to_json(self) -> dict[str, object]:
        """Everything as plain values, NaN as null."""
        checks = [check.to_json() for check in self.checks]
        told = {"status": self.status, "drifted": self.drifted, "sentence": self.sentence}
        return {**told, "checks": checks}


def monitor(
    reference: Reference,
    recent_rows: ArrayLike,
    validation: Outcomes | None,
    recent: Outcomes | None,
    config: ProductionConfig,
    others: Sequence[Check] = (),
) -> Health:
    """Look at inputs, hits and calibration (of probabilities) or at errors (of forecasts).

    recent_rows  (n, F) inputs of the newest config.drift_sessions sessions, all tickers; none: not
                 known
    validation   what the model said and what came there; None: it has none to compare with
    recent       the same over the newest sessions whose truth is known
    others       checks made elsewhere, as of the freshness of data
    """
    checks = _inputs(reference, recent_rows, config)
    if validation is not None and recent is not None:
        if validation.forecasts:
            decays = {"forecast error": error_decay(validation, recent)}
        else:
            decays = {
                "hit rate": hit_rate_decay(validation, recent),
                "calibration": calibration_decay(validation, recent),
            }
        checks += [_decayed(name, each, config.drift_p_value) for name, each in decays.items()]
    return Health((*checks, *others))


def _inputs(reference: Reference, recent_rows: ArrayLike, config: ProductionConfig) -> list[Check]:
    if len(np.asarray(recent_rows)) == 0:
        names = [f"input {name}" for name in reference.names]
        told = "there are no recent values"
        return [
            Check(each, math.nan, math.nan, "unknown", f"{each}: {told}", PSI) for each in names
        ]
    checks = []
    for row in feature_drift(reference, recent_rows, config).to_dict("records"):
        psi, limit = float(row["psi"]), float(row["limit"])
        name = f"input {row['feature']}"
        told = f"{name}: stability index {psi:.2f}"
        if math.isnan(limit):
            told += ", what is usual is not known"
            checks.append(Check(name, psi, limit, "unknown", told, PSI))
            continue
        told += f", usual up to {limit:.2f}; {100 * row['out_of_range']:.0f} % of values outside "
        told += "of the training part's"
        checks.append(Check(name, psi, limit, "drifted" if row["drifted"] else "ok", told, PSI))
    return checks


def _decayed(name: str, decay: Decay, limit: float) -> Check:
    scale, form, unit = {
        "hit rate": (100.0, ".1f", " %"),
        "calibration": (1.0, ".4f", " (Brier score)"),
        "forecast error": (1.0, ".3f", " of that of no move"),
    }[name]
    now, before = (f"{scale * each:{form}}{unit}" for each in (decay.now, decay.before))
    told = f"{name}: {now} over {decay.sessions} sessions, {before} on the validation part"
    status: Status = "drifted" if decay.p_value < limit else "ok"
    if math.isnan(decay.p_value):
        status, told = "unknown", f"{told}; too few to tell"
    else:
        p = number(decay.p_value)
        told += f", p {p}" if p.startswith("<") else f", p = {p}"
    return Check(name, decay.now, limit, status, told, DECAYS[name], decay.p_value)
