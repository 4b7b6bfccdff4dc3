"""What the engine must say where the right answer is known without it.

Each oracle trades positions whose outcome follows from the definition alone, for both executions,
on the stretch of the prices that has the most holes.  Where a book of several tickers fails, each
ticker is traded alone, to name the one behind it.

Tolerances, as fractions of the account at that moment (see `account_scale`): 1e-12 for always long
against buy and hold, 1e-9 for the rest, where money is added up in another order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.reference import (
    FREE,
    TOLERANCE,
    account_scale,
    charging,
    first_gap,
    likely_mistake,
    reference,
)
from rnntrade.config import BacktestConfig
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.types import FIELDS, Backtest, Prices

SESSIONS, SLOW_SESSIONS = 800, 250  # of an oracle; of the slow reference
TICKERS = 6  # those with the most holes
MIRRORED = 12  # random positions, each beside its mirror image
EXACT = 1e-12
SQUEEZE = 0.5  # rise within a session, in which foresight does not stay short
LARGEST_LOG = 300.0  # of what an account grows by: floats end at e^709
CHARGED = BacktestConfig(
    slippage_bps=1.0,
    slippage_volatility=0.02,
    slippage_impact=0.01,
    borrow_rate=0.02,
    financing_rate=0.05,
    cash_rate=0.03,
)  # everything that can be charged is

Run = Callable[[pd.DataFrame, Prices, BacktestConfig], Backtest]
Hold = Callable[[Prices, pd.DatetimeIndex, BacktestConfig], Backtest]


@dataclass(frozen=True, eq=False)
class Engine:
    """What is examined, and by whose costs and moment of filling."""

    run: Run
    hold: Hold
    config: BacktestConfig
    seed: int


def audit_engine(
    prices: Prices,
    config: BacktestConfig,
    backtest: Run = backtest,
    buy_and_hold: Hold = buy_and_hold,
    seed: int = 0,
    sessions: int = SESSIONS,
) -> Audited:
    """Ask every oracle, filled at the next open and at the close.

    config                  whose costs are used beside none and beside all kinds at once
    backtest, buy_and_hold  the engine
    seed                    of random positions
    sessions                in the stretch of prices that is traded
    """
    holes = prices.close.isna().sum().sort_values(ascending=False, kind="stable").index[:TICKERS]
    some = prices.of([ticker for ticker in prices.tickers if ticker in holes])
    stretch, short = _stretch(some, sessions), _stretch(some, min(sessions, SLOW_SESSIONS))
    engines = [
        Engine(backtest, buy_and_hold, replace(config, execution=execution), seed)
        for execution in ("next_open", "close")
    ]
    quick = {foresight: "fills", late: "returns", always_long: "equity", flat: "costs"}
    asked: list[tuple[Oracle, str, Prices]]
    asked = [(fill_prices, "fills", short), (accounting, "equity", short)]
    asked += [(oracle, stage, stretch) for oracle, stage in quick.items()]
    asked.append((mirrored, "costs", stretch))
    return merge(_asked(*question, engine) for engine in engines for question in asked)


class Violation(NamedTuple):
    """Where the engine first said something else than an oracle."""

    session: pd.Timestamp | None
    kind: str
    detail: str
    stage: str = ""  # if not that of the oracle
    ticker: str = ""  # the one behind it; "": any of them


Answer = tuple[int, Violation | None]  # comparisons
Oracle = Callable[[Prices, Engine], Answer]


def foresight(prices: Prices, engine: Engine) -> Answer:
    """Knowing what each decision will earn never loses a gross day."""
    gains = _gains(_foreseen(prices, engine), prices, engine, engine)
    worst = gains[gains < -TOLERANCE]
    if worst.empty:
        return len(gains), None
    detail = f"perfect foresight lost {-worst.iloc[0]:.6g} of the account"
    kind = "positions earn another time than their own"
    return len(gains), Violation(worst.index[0], kind, detail)


def late(prices: Prices, engine: Engine) -> Answer:
    """The same foresight a session late loses, and so does following the session just ended."""
    moved = prices.close.apply(lambda c: c.dropna().pct_change(fill_method=None))
    book = 1.0 / len(prices.tickers)
    compared = 0
    for target, by_close in (
        (_foreseen(prices, engine).apply(lambda t: t.dropna().shift(1)), False),
        (((moved > 0.0).astype(float) - (moved < 0.0)) * book, True),
    ):
        asked = target.reindex(prices.sessions).where(prices.close.notna())
        moment = replace(engine, config=replace(engine.config, execution="close"))
        earned = _earned(prices, moment if by_close else engine)
        if not (asked * earned < -TOLERANCE).to_numpy().any():
            continue  # a market that never turned: nothing is late there
        gains = _gains(asked, prices, engine, moment if by_close else engine)
        compared += len(gains)
        if not (gains < -TOLERANCE).any():
            first = next(iter(gains.index[gains > 0.0]), None)
            detail = f"a signal that is a session late never lost in {len(gains)} sessions"
            return compared, Violation(first, "off-by-one return", detail)
    return compared, None


def always_long(prices: Prices, engine: Engine) -> Answer:
    """A decision to be long on every session is buy and hold, at equal costs."""
    compared = 0
    for config in (engine.config, charging(CHARGED, engine.config)):
        weight = 1.0 / len(prices.tickers)
        target = pd.DataFrame(weight, prices.sessions, prices.close.columns)
        own = engine.run(target, prices, config).equity
        held = engine.hold(prices, prices.sessions, config).equity
        compared += len(own)
        scale = account_scale(config.initial_capital, own, held)
        if wrong := first_gap(own, held, EXACT * scale):
            detail = f"always long has {wrong[1]:.9g}, buy and hold {wrong[2]:.9g}"
            kind = "costs or fills differ from buy and hold's"
            return compared, Violation(wrong[0], kind, detail)
    return compared, None


def flat(prices: Prices, engine: Engine) -> Answer:
    """No position is cash, with the interest of every night."""
    config = replace(engine.config, cash_rate=CHARGED.cash_rate)
    nothing = pd.DataFrame(0.0, prices.sessions, prices.close.columns)
    own = engine.run(nothing, prices, config).equity
    nights, growth = np.arange(len(own)), 1 + config.cash_rate / config.sessions_per_year
    cash = pd.Series(config.initial_capital * growth**nights, own.index)
    if wrong := first_gap(own, cash, TOLERANCE * account_scale(config.initial_capital, own, cash)):
        still = np.allclose(own, config.initial_capital, rtol=TOLERANCE)
        kind = "interest on cash missing" if still else "flat is not cash"
        detail = f"without a position equity is {wrong[1]:.9g}, cash {wrong[2]:.9g}"
        return len(own), Violation(wrong[0], kind, detail)
    return len(own), None


def mirrored(prices: Prices, engine: Engine) -> Answer:
    """Random positions lose the costs on average; beside their mirror images, to the cent.

    What one earns the other loses, so that luck cancels and only costs are left.
    """
    ticker = prices.tickers[0]
    names = [f"{ticker} {number}" for number in range(2 * MIRRORED)]
    copies = prices.map(lambda frame: pd.concat([frame[ticker]] * len(names), axis=1, keys=names))
    draws = np.random.default_rng(engine.seed)
    half = draws.choice([-1.0, 0.0, 1.0], (len(prices.sessions), MIRRORED)) / (2 * MIRRORED)
    target = pd.DataFrame(np.hstack([half, -half]), prices.sessions, names)
    config = charging(replace(FREE, commission_bps=5.0, half_spread_bps=5.0), engine.config)
    result = engine.run(target, copies, config)
    left = config.initial_capital * (1.0 - result.turnover * 10.0 / 1e4).cumprod()
    scale = account_scale(config.initial_capital, result.equity, left, exposure=_exposure(result))
    if wrong := first_gap(result.equity, left, TOLERANCE * scale):
        lost, due = (config.initial_capital - each for each in wrong[1:])
        kind = "costs in part" if lost < due else "random positions lose more than costs"
        kind = "costs forgotten" if abs(lost) < 1e-3 * due else kind
        detail = f"{2 * MIRRORED} random positions lost {lost:.6g}, their costs are {due:.6g}"
        return len(left), Violation(wrong[0], kind, detail, ticker=ticker)
    return len(left), None


def fill_prices(prices: Prices, engine: Engine) -> Answer:
    """Every fill in the ledger is at the price, and in the session, that its decision allows.

    Until the account is ruined, if it is: `accounting` knows when that has to be.
    """
    target = _random(prices, engine.seed, whole=True)
    result = engine.run(target, prices, charging(FREE, engine.config))
    trades = result.trades
    legs = [trades[["ticker", "entry_session", "entry_price"]]]
    legs += [trades.loc[~trades["open"], ["ticker", "exit_session", "exit_price"]]]
    columns = ["ticker", "session", "price"]
    told = pd.concat([leg.set_axis(columns, axis=1) for leg in legs])
    told = told.drop_duplicates(columns[:2]).set_index(columns[:2])
    due = pd.Series(dict(_fills_due(target, prices, engine)), dtype=float)
    if len(ruined := trades.loc[trades["exit_reason"] == "bankrupt", "exit_session"]):
        told, due = (each[each.index.get_level_values(1) < ruined.min()] for each in (told, due))
    both = pd.DataFrame({"due": due, "told": told["price"]}).rename_axis(columns[:2]).reset_index()
    wrong = both[~np.isclose(both["due"], both["told"], rtol=TOLERANCE, atol=0.0)]
    if wrong.empty:
        return len(both), None
    row = wrong.sort_values("session", kind="stable").iloc[0]
    ticker, session = str(row["ticker"]), pd.Timestamp(row["session"])
    kind = _fill_kind(prices, ticker, session, row["told"], engine)
    detail = f"the ledger says {row['told']:.9g}, the decision allows {row['due']:.9g}"
    return len(both), Violation(session, kind, detail, ticker=ticker)


def accounting(prices: Prices, engine: Engine) -> Answer:
    """Random targets end with the money that plain loops over the definition count."""
    compared = 0
    target = _random(prices, engine.seed + 1, whole=False)
    for config in (engine.config, charging(CHARGED, engine.config)):
        result = engine.run(target, prices, config)
        told = {"equity": result.equity, "costs": result.costs.sum(axis=1)}
        due = reference(target, prices, config)
        compared += 2 * len(target)
        scale = account_scale(
            config.initial_capital, result.equity, due["equity"], exposure=_exposure(result)
        )
        for stage in ("costs", "equity"):
            if gap := first_gap(told[stage], due[stage], TOLERANCE * scale):
                unnamed = "costs" if stage == "costs" else "accounting"
                kind, where = likely_mistake(result.equity, target, prices, config) or (
                    f"{unnamed} not as defined",
                    stage,
                )
                detail = f"{stage} {gap[1]:.9g}, by plain loops {gap[2]:.9g}"
                return compared, Violation(gap[0], kind, detail, where)
    return compared, None


def _fills_due(
    target: pd.DataFrame, prices: Prices, engine: Engine
) -> Iterator[tuple[tuple[str, pd.Timestamp], float]]:
    """Ticker and session of each fill that the decisions ask for, and its price."""
    opens = engine.config.execution == "next_open"
    for ticker in target.columns:
        stands, answered = 0.0, 0.0
        column = (prices.open if opens else prices.close)[ticker]
        for session, wanted, price in zip(target.index, target[ticker], column, strict=True):
            newest = wanted if wanted == wanted else stands
            due = stands if opens else newest
            if price == price and due != answered:
                answered = due
                yield (ticker, session), price
            stands = newest


def _fill_kind(
    prices: Prices, ticker: str, session: pd.Timestamp, price: float, engine: Engine
) -> str:
    """What the ledger's price is, if not the decision's."""
    row = prices.sessions.get_loc(session)
    bar = {name: getattr(prices, name)[ticker].iloc[row] for name in FIELDS[:4]}
    closing = "fill at the same close" if engine.config.execution == "next_open" else ""
    for name in ("low", "high", "close", "open"):
        if np.isclose(price, bar[name], rtol=TOLERANCE, atol=0.0):
            return (name == "close" and closing) or f"fill at the {name}"
    if price != price:
        return "fill missing"
    halted = bar["open"] != bar["open"]
    return "fill while not trading" if halted else "fill at a price of another session"


def _random(prices: Prices, seed: int, whole: bool) -> pd.DataFrame:
    """Random targets, a fifth of the sessions without a decision; whole ones never borrow."""
    draws = np.random.default_rng(seed)
    shape = prices.close.shape
    sizes = draws.choice([-1.0, 0.0, 1.0], shape) if whole else draws.uniform(-1.0, 2.0, shape)
    sizes[draws.random(shape) < 0.2] = np.nan
    return pd.DataFrame(sizes / shape[1], prices.sessions, prices.close.columns)


def _earned(prices: Prices, engine: Engine) -> pd.DataFrame:
    """(T, K) return that a decision of each session traded earns until the next one is filled."""
    opens = engine.config.execution == "next_open"

    def of(price: pd.Series) -> pd.Series:
        traded = price.dropna()
        filled = traded.shift(-1) if opens else traded
        return filled.shift(-1) / filled - 1.0

    table = prices.open if opens else prices.close
    return pd.DataFrame({ticker: of(table[ticker]) for ticker in table}, prices.sessions)


def _foreseen(prices: Prices, engine: Engine) -> pd.DataFrame:
    """(T, K) the side that will earn; no decision where a ticker does not trade.

    Flat where a squeeze between two opens could ruin a short that earns from one to the other.
    """
    earned = _earned(prices, engine).fillna(0.0)
    if engine.config.execution == "next_open":
        rise = prices.close / prices.open - 1.0  # of the session that begins with the fill
        held = rise.apply(lambda r: r.dropna().shift(-1)).reindex(earned.index)
        earned = earned.mask((earned < 0.0) & (held > SQUEEZE), 0.0)
    side = (earned > 0.0).astype(float) - (earned < 0.0).astype(float)
    return (side / len(prices.tickers)).where(prices.close.notna())


def _exposure(result: Backtest) -> pd.Series:
    """(T,) value of all positions at the close, longs and shorts added up."""
    return result.weights.abs().sum(axis=1) * result.equity.abs()


def _gains(target: pd.DataFrame, prices: Prices, engine: Engine, moment: Engine) -> pd.Series:
    """(T,) what a book without costs earned, as a share of the account: `account_scale`.

    It begins anew where foresight could have made so much that floats end.
    moment  from which to which
    """
    most = np.log1p(_earned(prices, engine).abs().max(axis=1).fillna(0.0)).cumsum()
    gains = []
    for _, part in target.groupby((most // LARGEST_LOG).to_numpy()):
        result = engine.run(part, prices, charging(FREE, engine.config))
        worth = _gross_worth(result, prices, moment)
        scale = account_scale(result.initial_capital, worth)
        gains.append((worth.diff() / scale.where(scale > 0.0)).iloc[1:].fillna(0.0))
    return pd.concat(gains)


def _gross_worth(result: Backtest, prices: Prices, engine: Engine) -> pd.Series:
    """(T,) worth of the account at each moment of filling.

    At an open, what does not trade counts at its own last open: it earns when it trades again.
    """
    if engine.config.execution == "close":
        return result.equity
    days = result.equity.index
    opens, mark = prices.open.ffill().loc[days], prices.close.ffill().loc[days]
    held = (result.weights.mul(result.equity, axis=0) / mark).shift(1).fillna(0.0)  # overnight
    night = (held * (opens - mark.shift(1)).fillna(0.0)).sum(axis=1)
    return result.equity.shift(1, fill_value=result.initial_capital) + night


def _asked(oracle: Oracle, stage: str, prices: Prices, engine: Engine) -> Audited:
    """One oracle's answer; a failure is asked again ticker by ticker."""
    compared, found = oracle(prices, engine)
    if not found:
        return Audited({stage: compared})
    if not found.ticker:
        for ticker in prices.tickers:
            _, alone = oracle(prices.of([ticker]), engine)
            if alone:
                found = alone._replace(ticker=ticker)
                break
    who = found.ticker or ", ".join(prices.tickers)
    when = f"{found.session:%Y-%m-%d}" if found.session is not None else ""
    detail = f"filled at the {engine.config.execution.replace('_', ' ')}, {found.detail}"
    finding = Finding("oracle", found.stage or stage, who, when, found.kind, detail)
    return Audited({stage: compared}, (finding,))


def _stretch(prices: Prices, length: int) -> Prices:
    """The sessions with the most listings and halts inside; the newest if there are none."""
    edges = prices.close.isna().astype(int).diff().abs().sum(axis=1).to_numpy()  # (T,)
    length = min(length, len(edges))
    inside = np.convolve(edges, np.ones(length, int), mode="valid")  # (T-L+1,)
    (best,) = np.nonzero(inside == inside.max())
    start = best[len(best) // 2] if inside.max() > 0 else best[-1]
    return prices.on(slice(start, start + length))
