"""Causality from probabilities to money: the tuned rule, positions, fills, and the served model.

The engine trades made-up positions here: it must be causal for any.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Evidence, Probe, kind_of_series
from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.perturb import replace_rows
from rnntrade.audit.sample_checks import Learner
from rnntrade.audit.setting import EVERY, Setting
from rnntrade.config import BacktestConfig
from rnntrade.errors import DataError
from rnntrade.types import Backtest, Fit, Predictions, Prices, turbulent_classes

TRADED = 100  # sessions of a backtest, the newest
QUOTES = ("open", "high", "low", "close")
ROUNDING = 1e-12
SERVED = 3  # sessions at which the served model is asked
FREE = dict.fromkeys(
    (
        *("commission_bps", "half_spread_bps", "slippage_bps", "slippage_volatility"),
        *("slippage_impact", "borrow_rate", "financing_rate", "cash_rate"),
    ),
    0.0,
)


def audit_positions(setting: Setting) -> Audited:
    """Positions decided at t follow from probabilities, and filtered ones from regimes, up to t."""
    evidence, sessions = Evidence("positions"), setting.prices.sessions[-TRADED:]
    rng = np.random.default_rng(setting.seed)
    shape = (len(sessions), len(setting.prices.tickers))
    chances = np.where(rng.random(shape) < 0.05, np.nan, rng.random(shape))
    probability = pd.DataFrame(chances, sessions, setting.prices.close.columns)
    rule = setting.experiment.trading

    def decided(chance: pd.DataFrame) -> pd.DataFrame:
        return setting.chain.allocate(setting.chain.decide(chance, rule))

    clean = decided(probability)
    for last in setting.few(0, len(sessions) - 1, 8):
        for name in EVERY:
            other = replace_rows(probability, sessions[last], name, setting.rng(last, name))
            again = decided(other.clip(0.0, 1.0))
            evidence.compare("", clean, again, Probe(sessions[last], name))
    audited = evidence.audited(kind_of_series)
    if audited.findings or rule.regime_filter == "off":
        return audited
    return merge([audited, _filtered(setting, setting.chain.decide(probability, rule))])


def _filtered(setting: Setting, decided: pd.DataFrame) -> Audited:
    """Filtered positions, when decisions and made-up regimes after t are others.

    decided  (T, K) before the filter
    """
    evidence, sessions, chain = Evidence("positions"), decided.index, setting.chain
    rng = np.random.default_rng([setting.seed, len(sessions), 1])
    rule, turbulent = setting.experiment.trading, turbulent_classes(setting.experiment.labels)
    classes = max(turbulent) + 1  # the last one is turbulent
    drawn = rng.integers(0, classes, decided.shape).astype(float)
    drawn[rng.random(decided.shape) < 0.05] = np.nan
    regimes = pd.DataFrame(drawn, sessions, decided.columns)

    def held(position: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        return chain.allocate(chain.reduce(position, rule, known, turbulent))

    clean = held(decided, regimes)
    for last in setting.few(0, len(sessions) - 1, 8):
        for name in EVERY:
            other = replace_rows(decided, sessions[last], name, setting.rng(last, name))
            known = regimes.loc[other.index].copy()
            later = known.index > sessions[last]
            known.loc[later] = (known.loc[later] + rng.integers(1, classes)) % classes
            evidence.compare("filtered", clean, held(other, known), Probe(sessions[last], name))
    return evidence.audited(
        lambda changes: f"regime filter: {kind_of_series(changes, near='reads later sessions')}"
    )


def audit_tuning(learner: Learner, fit: Fit) -> Audited:
    """The trading rule of a fold is settled before its first test decision."""
    setting, evidence = learner.setting, Evidence("tuning")
    if not learner.objective.traded:
        return Audited()
    parts = learner.thin(learner.samples, learner.parts)
    table = setting.chain.predict_fold([fit], learner.samples, parts).table
    eve, test = learner.validation_known
    clean = asdict(setting.chain.tune(table, setting.prices, setting.experiment.trading))
    known = table["decision"] <= setting.prices.sessions[eve]
    for turn, name in enumerate(EVERY):
        sure = 0.5 + (table["p_up"] - 0.5) * (1.0, 0.1, -1.0)[turn % 3]
        other = table.assign(
            p_up=table["p_up"].where(known, sure),
            truth=table["truth"].where(
                table["label_end"] <= setting.prices.sessions[test], 1.0 - table["truth"]
            ),
        )
        prices = setting.replaced(test, name)
        again = asdict(setting.chain.tune(other, prices, setting.experiment.trading))
        for field, value in clean.items():
            was, became = (
                hash(each) if isinstance(each, str) else each for each in (value, again[field])
            )
            evidence.compare_numbers(
                f"{learner.name} {field}",
                np.array([was], float),
                np.array([became], float),
                setting.prices.sessions[test],
                setting.probe(test, name),
            )
    return evidence.audited(lambda changes: "dead band or rule tuned on the test part")


def audit_engine_causality(setting: Setting) -> Audited:
    """Money up to t follows from prices and decisions that it may know, at promised prices."""
    prices = setting.prices.on(slice(-TRADED - 1, None))
    target = _made_up_target(setting, prices)
    config = setting.experiment.backtest
    parts = [_lag(setting, prices, target, config)]
    if not parts[0].findings:
        parts.append(_money(setting, prices, target, config))
    if not parts[-1].findings:  # a trade scaled in by a leak has another average price
        parts.append(_fills(setting, prices, target, config))
    return merge(parts)


def audit_beside(setting: Setting) -> Audited:
    """What stands beside a strategy: cost cases, members traded alone, and rules.

    A decision of t + 1 is in no return of t; filled at the next open, in none of t + 1 either,
    whose prices stay.  Rules are judged by their positions, from all prices.  Positions at other
    times are left out: they are rotated by the whole length, on purpose.
    """
    prices = setting.prices.on(slice(-TRADED - 1, None))
    year = setting.experiment.backtest.sessions_per_year
    wait = int(setting.experiment.backtest.execution == "next_open")
    clean = _returns_beside(setting, _made_up_predictions(setting, prices), prices)
    evidence = {name: Evidence(name) for name in (*clean, "rules")}
    rules = setting.chain.rule_positions(setting.prices, setting.prices.sessions, year)
    inner = replace(setting, prices=prices)
    for last in setting.few(1, len(prices.sessions) - 3, 3):
        later = _made_up_predictions(setting, prices, last)
        for name in ("x1000", "reversed"):
            again = _returns_beside(setting, later, inner.replaced(last + wait, name))
            probe = inner.probe(last + wait, name)
            for what, table in clean.items():
                evidence[what].compare("", table, again[what], probe)
            row = setting.position(prices.sessions[last])
            other = setting.replaced(row, name)
            positions = setting.chain.rule_positions(other, other.sessions, year)
            for rule, table in rules.items():
                evidence["rules"].compare(rule, table, positions[rule], setting.probe(row, name))
    judge = partial(kind_of_series, near="reads later sessions")
    return merge(each.audited(judge) for each in evidence.values())


def _returns_beside(
    setting: Setting, predictions: Predictions, prices: Prices
) -> dict[str, pd.DataFrame]:
    books = setting.chain.trade(
        predictions,
        prices,
        setting.experiment.trading,
        setting.experiment.backtest,
        setting.experiment.report.cost_cases[:2],
    )
    cases = books.cost_cases.set_axis([str(case) for case in books.cost_cases.columns], axis=1)
    return {"cost cases": cases, "members": books.members}


def _made_up_predictions(setting: Setting, prices: Prices, last: int | None = None) -> Predictions:
    """Probabilities of two members, drawn at random; those decided after `last` are others."""
    rng = np.random.default_rng([setting.seed, len(prices.sessions)])
    tables = []
    for member in range(2):
        chance = prices.close.notna().astype(float) * rng.random(prices.close.shape)
        long = chance.where(prices.close.notna()).rename_axis("decision").reset_index()
        table = long.melt("decision", var_name="ticker", value_name="p_up").dropna()
        tables.append(table.assign(part="test", fold=0, member=member, truth=np.nan))
    members = pd.concat(tables, ignore_index=True)
    if last is not None:
        later = members["decision"] > prices.sessions[last]
        members["p_up"] = members["p_up"].where(~later, 1.0 - members["p_up"])
    keys = ["part", "fold", "ticker", "decision"]
    together = members.groupby(keys, as_index=False)["p_up"].mean().assign(truth=np.nan)
    return Predictions(together, members)


def _money(
    setting: Setting, prices: Prices, target: pd.DataFrame, config: BacktestConfig
) -> Audited:
    """Every number of the books up to t, when prices and decisions after t are others."""
    evidence = {name: Evidence(name) for name in ("equity", "costs", "weights")}
    clean = _books(setting.chain.backtest(target, prices, config))
    inner = replace(setting, prices=prices)
    for turn, last in enumerate(setting.few(1, len(prices.sessions) - 2, 6)):
        for name in ("cut", EVERY[1 + turn % 6]):
            other, probe = inner.replaced(last, name), inner.probe(last, name)
            asked = target.iloc[: last + 1] if name == "cut" else _other_decisions(target, last + 1)
            again = _books(setting.chain.backtest(asked, other, config))
            for what, table in clean.items():
                evidence[what].compare("", table, again[what], probe)
    judge = partial(kind_of_series, near="reads later sessions")
    return merge(each.audited(judge) for each in evidence.values())


def _lag(setting: Setting, prices: Prices, target: pd.DataFrame, config: BacktestConfig) -> Audited:
    """When a decision first shows: at the next open it is in no number of its own session.

    Filled at the close it is in that session's weights and costs, but without costs not in its
    equity: a position earns what comes after it was taken.
    """
    at_open = config.execution == "next_open"
    evidence = {name: Evidence(name) for name in ("equity", "weights")}
    free = replace(config, **FREE)  # type: ignore[arg-type] # every one of them is a rate
    clean = _books(setting.chain.backtest(target, prices, free))
    for row in setting.few(1, len(target) - 2, 4):
        other = _other_decisions(target, row)
        again = _books(setting.chain.backtest(other, prices, free))
        probe = Probe(target.index[row], "decisions from here on replaced, prices as they were;")
        equal = np.isclose(again["equity"], clean["equity"], rtol=ROUNDING, atol=ROUNDING)
        moved = again["equity"].mask(equal, clean["equity"])  # a fill rounds the sum that it moves
        evidence["equity"].compare("", clean["equity"], moved, probe)
        if at_open:
            evidence["weights"].compare("", clean["weights"], again["weights"], probe)
    early = merge(
        [
            evidence["equity"].audited(
                lambda changes: "off-by-one return: a position earns the session it was decided on"
            ),
            evidence["weights"].audited(
                lambda changes: "filled at the price that was decided on, next_open was promised"
            ),
        ]
    )
    if any(finding.stage == "equity" for finding in early.findings):  # weights follow from it
        kept = tuple(finding for finding in early.findings if finding.stage == "equity")
        return Audited(early.comparisons, kept)
    return early


def _fills(
    setting: Setting, prices: Prices, target: pd.DataFrame, config: BacktestConfig
) -> Audited:
    """Every trade of a single entry was entered at the promised price of its session."""
    promised = "open" if config.execution == "next_open" else "close"
    trades = setting.chain.backtest(target, prices, config).trades
    wrong: list[tuple[str, pd.Timestamp, float, str]] = []
    for entry, ticker, price in zip(
        trades["entry_session"], trades["ticker"], trades["entry_price"], strict=True
    ):
        bar = {f: float(getattr(prices, f).loc[entry, ticker]) for f in QUOTES}
        if not np.isclose(price, bar[promised], rtol=1e-9, atol=0.0):
            like = [name for name, value in bar.items() if np.isclose(price, value, rtol=1e-9)]
            where = f"the {like[0]}" if like else "another price"
            wrong.append((str(ticker), entry, price, where))
    if not wrong:
        return Audited({"fills": len(trades)})
    ticker, entry, price, where = wrong[0]
    finding = Finding(
        "causality",
        "fills",
        ticker,
        f"{entry:%Y-%m-%d}",
        f"filled at {where}, {promised} was promised",
        f"{len(wrong)} of {len(trades)} trades; the first was entered at {price:.10g}",
    )
    return Audited({"fills": len(trades)}, (finding,))


def audit_served(learner: Learner, fit: Fit) -> Audited:
    """What the served model says on the evening of t is what was predicted for t, bit for bit."""
    setting, evidence = learner.setting, Evidence("served model")
    parts = learner.thin(learner.samples, learner.parts)
    table = setting.chain.predict_fold([fit], learner.samples, parts, ("test",)).table
    said = [name for name in table.columns if name.startswith(("p_", "r_"))]
    by_ticker = {str(t): each.set_index("decision")[said] for t, each in table.groupby("ticker")}
    days = pd.DatetimeIndex(np.sort(table["decision"].unique()))
    findings = []
    for day in days[setting.few(1, len(days) - 1, SERVED)]:
        there = [ticker for ticker, each in by_ticker.items() if day in each.index]
        bars = _served_bars(setting.prices, day, there)
        try:
            answers = setting.chain.latest([fit], bars)
        except DataError as error:
            findings.append(_served(learner, day, "served model refuses", str(error)))
            continue
        for _, answer in answers.iterrows():
            ticker = str(answer["ticker"])
            got = np.array(
                [value for value in answer.iloc[2:] if not isinstance(value, str)], float
            )
            want = by_ticker[ticker].loc[day].to_numpy(float)
            evidence.compared += len(want)
            if np.array_equal(got, want) and answer["as_of"] == f"{day:%Y-%m-%d}":
                continue
            kind = _kind_of_served(by_ticker[ticker], day, got, str(answer["as_of"]))
            detail = f"predicted {want[0]:.10g}, served {got[0]:.10g} as of {answer['as_of']}"
            findings.append(_served(learner, day, kind, detail, ticker))
    first = {finding.kind: finding for finding in reversed(findings)}
    return Audited({"served model": evidence.compared}, tuple(first.values()))


def _kind_of_served(others: pd.DataFrame, day: pd.Timestamp, got: np.ndarray, as_of: str) -> str:
    """Whose prediction it is instead: the day before's, the next one's, or nobody's."""
    before, after = others.loc[:day].iloc[:-1], others.loc[day:].iloc[1:]
    if as_of < f"{day:%Y-%m-%d}" or (len(before) and np.array_equal(got, before.iloc[-1])):
        return "served model drops the newest session"
    if as_of > f"{day:%Y-%m-%d}" or (len(after) and np.array_equal(got, after.iloc[0])):
        return "served model reads the next bar"
    return "served model computes otherwise: another scaler, weights or inputs"


def _served(
    learner: Learner, day: pd.Timestamp, kind: str, detail: str, ticker: str = ""
) -> Finding:
    series = f"{learner.name} {ticker}".strip()
    return Finding("causality", "served model", series, f"{day:%Y-%m-%d}", kind, detail)


def _served_bars(prices: Prices, day: pd.Timestamp, tickers: Sequence[str]) -> pd.DataFrame:
    """One row a bar up to a session, as a user of the served model has them."""
    tables = []
    for ticker in tickers:
        close = prices.close[ticker].loc[:day].dropna()
        tables.append(
            pd.DataFrame({"date": close.index, "ticker": ticker, "close": close.to_numpy()})
        )
    return pd.concat(tables, ignore_index=True)


def _made_up_target(setting: Setting, prices: Prices) -> pd.DataFrame:
    """(T, K) positions that change sides at random, with no decision now and then."""
    rng = np.random.default_rng([setting.seed, len(prices.sessions)])
    shape = (len(prices.sessions), len(prices.tickers))
    sides = rng.choice([-1.0, 0.0, 1.0, np.nan], shape, p=[0.3, 0.1, 0.5, 0.1])
    return pd.DataFrame(sides / shape[1], prices.sessions, prices.close.columns)


def _other_decisions(target: pd.DataFrame, row: int) -> pd.DataFrame:
    """The same up to a row; from there on every decision is another, and none is missing."""
    other = target.copy()
    weight = 1.0 / target.shape[1]
    standing = target.ffill().fillna(0.0).iloc[row:]
    other.iloc[row:] = np.where(standing > 0.0, -0.5 * weight, weight)
    return other


def _books(result: Backtest) -> dict[str, pd.DataFrame]:
    """The dated numbers of a backtest."""
    money = {"equity": result.equity, "returns": result.returns}
    return {
        "equity": pd.DataFrame(money),
        "costs": result.costs.add_prefix("cost of ").assign(turnover=result.turnover),
        "weights": result.weights.add_prefix("weight of "),
    }
