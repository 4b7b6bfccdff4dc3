"""What the report's figures are called, in which unit they are written, and how to read them."""

from collections.abc import Mapping

from rnntrade.evaluation.verdict import CORRECTED
from rnntrade.report.tables import Kind

FIGURES: Mapping[str, Kind] = {
    **dict.fromkeys(
        [
            *("total_return", "annual_return", "annual_volatility", "max_drawdown", "win_rate"),
            *("time_under_water", "downside_risk", "trade_win_rate", "exposure", "cost_drag"),
            *("alpha",),
        ],
        "percent",
    ),
    **dict.fromkeys(["expectancy", "value_at_risk", "conditional_value_at_risk"], "gain"),
    **dict.fromkeys(["trades", "longest_drawdown"], "count"),
    "final_equity": "money",
}  # a ratio where it is not said
FIGURE_UNITS: Mapping[str, str] = {
    "longest_drawdown": "longest drawdown, sessions",
    "mean_holding_time": "mean holding time, sessions",
    "turnover": "turnover, times equity a year",
    "time_under_water": "time under water, of sessions",
    "win_rate": "win rate, sessions held",
    "trade_win_rate": "win rate, trades",
    "expectancy": "expectancy, a trade",
    "value_at_risk": "value at risk, worst 5 % of sessions",
    "conditional_value_at_risk": "conditional value at risk",
    "ulcer_index": "ulcer index, %",
    "alpha": "alpha, a year",
    "alpha_t_statistic": "alpha, t statistic",
    "cost_drag": "cost drag, a year",
    "break_even_cost": "break-even cost, bp of traded value",
    "exposure": "exposure, of sessions",
}
TRADE_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(["entry_session", "exit_session"], "date"),
    **dict.fromkeys(
        ["entry_price", "exit_price", "gross_profit", "costs", "net_profit", "traded_value"],
        "money",
    ),
    **dict.fromkeys(
        [
            *("gross_return", "net_return"),
            *("maximum_adverse_excursion", "maximum_favourable_excursion"),
        ],
        "gain",
    ),
    "duration": "count",
    "confidence": "ratio",
}

READING: Mapping[str, str] = {
    "Test part": "Sessions that no network, scaler, threshold or choice of an epoch has seen.",
    "Best baseline": "The simple rule that did best on the test part itself: the hardest to beat.",
    "Interval": "Where the difference would lie if the test years were drawn again: whole decision "
    "sessions, in blocks of neighbours, all tickers together (stationary bootstrap).",
    "Verdict": "Evidence: the whole interval lies above no difference. Weak evidence: only an 80 % "
    "interval does. Loses: the whole interval lies below. No evidence: anything else.",
    "Corrected for trials": CORRECTED,
    "Accuracy": "Share of right classes. Balanced accuracy and F1 weigh rare classes the same.",
    "Cohen kappa, Matthews": "Agreement beyond what the frequencies of the classes give by "
    "themselves; 0 is none, 1 is perfect.",
    "Log loss, Brier": "Errors of the probabilities; less is better. A rule that is always certain "
    "pays dearly when it is wrong.",
    "Accuracy at changes": "Accuracy on the sessions after which the regime did change: staying "
    "with today's regime scores 0 there.",
    "RMSE, MAE": "Root mean squared and mean absolute error of a session's return; less is better.",
    "R² against zero": "Share of squared error saved over always forecasting no move.",
    "Sign accuracy": "Share of right signs, where neither forecast nor return is 0.",
    "Interval coverage": "Share of outcomes inside the interval that promised 90 %; its width was "
    "learned on the validation part (split conformal).",
    "Filled at": "A decision is made after the close. It is filled at the next open (what one can "
    "do) or at that same close (what notebooks assume); the gap between them is information.",
    "Sharpe ratio": "Mean return over its deviation, a year. To tell two ratios that differ by 0.5 "
    "from each other takes many years.",
}
