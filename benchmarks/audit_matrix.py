"""Plants every leak of the mutation suite, and writes which check caught it into docs/audit.md.

    python -m benchmarks.audit_matrix

Rows are planted leaks, columns the stages of the causality audit and the oracles of the engine, the
clean rows first.  Asserts that nothing is found on the clean chain and that no leak survives.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rnntrade.audit.causality import GROUPS, audit_causality
from rnntrade.audit.findings import Audited, merge
from rnntrade.audit.oracles import audit_engine
from rnntrade.chain import CHAIN
from rnntrade.config import BacktestConfig, Experiment, LabelConfig
from rnntrade.types import Prices
from tests.audit.experiments import WALK, experiment, holed_prices
from tests.audit.mutants import Mutant, audit_mutant, mutants

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
BOOKS = ("equity", "costs", "weights", "cost cases", "members")
BESIDE = ("other execution", "benchmark", "rules")
COLUMNS = {
    "prices": ("prices",),
    "features": ("features",),
    "thresholds": ("thresholds",),
    "regimes": ("regimes",),
    "targets": ("targets",),
    "samples": ("samples",),
    "split": ("split",),
    "fit": ("scaler", "fit", "epoch", "temperature"),
    "predictions": ("predictions", "baselines"),
    "rule": ("tuning", "positions"),
    "books": BOOKS + BESIDE,
    "end to end": ("end to end",),
    "served": ("served model",),
}  # causality's stages, and the served model
CLEAN: dict[str, Experiment] = {
    "holdout, direction": experiment(("direction",)),
    "walk-forward expanding, regime": experiment(("regime",), split=WALK),
    "walk-forward rolling, forecast": experiment(
        ("forecast",), split=replace(WALK, window="rolling")
    ),
    "thresholds expanding, attention": experiment(
        ("attention",), labels=LabelConfig(thresholds="expanding", min_sessions=120)
    ),
    "regimes of a hidden Markov model": experiment(labels=LabelConfig(kind="hmm")),
    "regimes of a jump model": experiment(labels=LabelConfig(kind="jump", jump_penalty=2.0)),
}


@dataclass(frozen=True)
class Row:
    """What the checks said of one chain."""

    name: str
    causality: Audited
    oracles: Audited | None  # none where the engine is the library's own

    def cells(self) -> list[str]:
        found = {finding.stage for finding in self.causality.findings}
        cells = ["**x**" if found & set(stages) else "" for stages in COLUMNS.values()]
        asked = self.oracles is not None
        return [*cells, ("**x**" if self.oracles.findings else "no") if asked else ""]

    def named(self) -> str:
        findings = merge([self.causality, *([self.oracles] if self.oracles else [])]).findings
        return findings[0].kind if findings else "nothing found"


def main() -> None:
    prices = holed_prices()
    begun = time.process_time()
    clean = [
        Row(name, audit_causality(prices, each), audit_engine(prices, each.backtest))
        for name, each in CLEAN.items()
    ]
    for row in clean:
        print(f"{row.name:40s} {row.named()}  {sum(row.causality.comparisons.values()):,}")
        assert row.named() == "nothing found", row.causality.findings
    planted = mutants(prices)
    rows, costs = [], time.process_time() - begun
    begun = time.process_time()
    for mutant in planted:
        rows.append(
            Row(mutant.name, audit_mutant(mutant, prices, GROUPS), _oracles(mutant, prices))
        )
        print(f"{mutant.name:40s} {rows[-1].named()}")
    seconds = time.process_time() - begun
    caught = [row for row in rows if row.named() != "nothing found"]
    named = [
        row
        for row, mutant in zip(rows, planted, strict=True)
        if row.causality.findings
        and row.causality.findings[0].stage == mutant.stage
        and mutant.kind in row.causality.findings[0].kind
    ]
    score = f"{len(caught)} of {len(rows)} planted leaks caught, {len(named)} of them named right"
    print(f"{score}; clean {costs:.0f} s, mutants {seconds:.0f} s of CPU")
    _write(clean, rows, score)
    assert len(caught) == len(rows), "a planted leak survives"


def _oracles(mutant: Mutant, prices: Prices) -> Audited | None:
    """The engine's oracles, where the engine is what was spoilt."""
    if mutant.chain.backtest is CHAIN.backtest:
        return None
    return audit_engine(prices, BacktestConfig(), backtest=mutant.chain.backtest)


def _write(clean: Sequence[Row], rows: Sequence[Row], score: str) -> None:
    head = ["chain", *COLUMNS, "oracles", "named as"]
    lines = [
        f"{score}; nothing found on {len(clean)} clean chains.",
        "",
        f"| {' | '.join(head)} |",
        f"| --- |{' :-: |' * (len(head) - 2)} --- |",
    ]
    for row, name in [
        *((row, f"*clean: {row.name}*") for row in clean),
        *((row, row.name) for row in rows),
    ]:
        lines.append(f"| {' | '.join([name, *row.cells(), row.named()])} |")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after, encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
