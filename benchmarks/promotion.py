"""How often noise is promoted, and how much better a challenger must be to be.

    python -m benchmarks.promotion

Rounds are simulated (tests/production/rounds.py): noise challengers, and truly better ones of
stated sizes.  Each row tells the share of rounds promoted, and the share that each rule alone would
have let through, with 95 % intervals of Clopper and Pearson.  The exit code is 1, and the reason
told, when noise is promoted more often than stated, or a clearly better one mostly not.
"""

import math
import sys
import time

import numpy as np
from scipy.stats import binomtest

from benchmarks.machine import describe_machine
from rnntrade.config import ProductionConfig
from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.production.promotion import Decision, judge
from tests.production.rounds import Kind, rounds

ROUNDS = 200
CONFIG = ProductionConfig(bootstrap_draws=1000)
ALLOWED = 1.0 - CONFIG.promotion_confidence
NOISE = {
    "noise, nothing in common": Kind(),
    "noise, half in common": Kind(overlap=0.5),
    "noise, nine tenths in common": Kind(overlap=0.9),
    "noise, half in common, 252 sessions": Kind(overlap=0.5, sessions=252),
    "noise, losses, labels 1 ahead": Kind(horizon=1),
    "noise, losses, labels 20 ahead": Kind(horizon=20),
}
BETTER = {
    "better, 60 % right": Kind(edge=0.2),
    "better, 70 % right": Kind(edge=0.4),
    "better, 70 % right, 252 sessions": Kind(edge=0.4, sessions=252),
    "better, 80 % right, half in common": Kind(overlap=0.5, edge=0.6),
    "better, 80 % right": Kind(edge=0.6),
}
CLEARLY = "better, 80 % right"
HEADER = (
    *("challenger", "earns more, a year", "information ratio", "promoted", "luck rule alone"),
    *("cost rule alone", "drawdown rule alone"),
)

Row = dict[str, list[float]]


def main() -> None:
    began = time.perf_counter()
    found = {name: run(kind) for name, kind in (NOISE | BETTER).items()}
    print(describe_machine(), end="\n\n")
    print(f"{ROUNDS} rounds a row, 126 sessions where nothing else is said, {CONFIG}\n")
    for cells in (HEADER, ("---",) * len(HEADER), *(line(*each) for each in found.items())):
        print(f"| {' | '.join(cells)} |")
    broken = [*promises(found)]
    print(f"\nIt took {time.perf_counter() - began:.0f} s.")
    if broken:
        sys.exit("\nBROKEN: " + "\nBROKEN: ".join(broken))
    print("Noise is promoted no more often than stated, a clearly better one mostly is.")


def run(kind: Kind) -> Row:
    row: Row = {name: [] for name in ("promoted", "luck", "costs", "drawdown", "gain", "ratio")}
    for challenger, champion in rounds(kind, ROUNDS, seed=2024):
        decision = judge(challenger, champion, True, CONFIG)
        row["promoted"].append(decision.promoted)
        for rule, passed in alone(decision).items():
            row[rule].append(passed)
        if challenger.traded:
            row["gain"].append(252.0 * float((challenger.scores - champion.scores).mean()))
            ratio = sharpe_ratio(challenger.scores, champion.scores)
            row["ratio"].append(ratio if math.isfinite(ratio) else 0.0)
    return row


def alone(decision: Decision) -> dict[str, bool]:
    """Return what each rule alone says; none lets through what cannot be told apart."""
    figures = decision.figures
    if "p_value" not in figures:
        return {"luck": False, "costs": False, "drawdown": False}
    told = {"luck": figures["p_value"] < ALLOWED}
    if "max_drawdown_champion" in figures:
        cases = [value for name, value in figures.items() if name.endswith("_bps")]
        told["costs"] = min(cases) >= 0.0
        own, other = figures["max_drawdown_challenger"], figures["max_drawdown_champion"]
        told["drawdown"] = own >= other
    return told


def line(name: str, row: Row) -> tuple[str, ...]:
    gain = f"{100 * np.mean(row['gain']):+.1f} %" if row["gain"] else "-"
    ratio = f"{np.mean(row['ratio']):+.2f}" if row["ratio"] else "-"
    return (name, gain, ratio, *(share(row[rule]) for rule in list(row)[:4]))


def share(passed: list[float]) -> str:
    if not passed:
        return "-"
    found = binomtest(int(sum(passed)), len(passed)).proportion_ci()
    told = f"{100 * np.mean(passed):.1f} %"
    return f"{told} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def promises(found: dict[str, Row]) -> list[str]:
    """Return every promise that was broken, in words."""
    broken = []
    noise = {name: found[name]["promoted"] for name in NOISE}
    noise["all noise together"] = [each for row in noise.values() for each in row]
    for name, promoted in noise.items():
        most = ALLOWED + 3.0 * math.sqrt(ALLOWED * (1.0 - ALLOWED) / len(promoted))
        if np.mean(promoted) > most:
            broken.append(f"{name}: {share(promoted)} promoted, {100 * most:.1f} % are allowed")
    if np.mean(found[CLEARLY]["promoted"]) <= 0.5:
        broken.append(f"{CLEARLY}: only {share(found[CLEARLY]['promoted'])} promoted")
    return broken


if __name__ == "__main__":
    main()
