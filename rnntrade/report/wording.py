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
SCORES: Mapping[str, str] = {
    "auc": "AUC",
    "brier": "Brier",
    "ece": "calibration error",
    "mae": "MAE",
    "r2_zero": "R² against zero",
    "rmse": "RMSE",
}
TEST_KINDS: Mapping[str, Kind] = {"statistic": "ratio", "p_value": "p"}
TEST_HEADINGS: Mapping[str, str] = {"p_value": "one-sided p"}
MONEY_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(["final_equity", "hold_final_equity"], "count"),
    **dict.fromkeys(["annual_return", "hold_annual_return"], "gain"),
    **dict.fromkeys(["sharpe_ratio", "hold_sharpe_ratio"], "ratio"),
    **dict.fromkeys(["max_drawdown", "hold_max_drawdown"], "percent"),
}
MONEY_HEADINGS: Mapping[str, str] = {
    "bps": "costs, bp",
    "final_equity": "final equity",
    "annual_return": "a year",
    "sharpe_ratio": "Sharpe",
    "max_drawdown": "largest fall",
    "hold_final_equity": "held: final equity",
    "hold_annual_return": "held: a year",
    "hold_sharpe_ratio": "held: Sharpe",
    "hold_max_drawdown": "held: largest fall",
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
    "Transition recall": "Share of the true changes of regime that were foreseen, with the new "
    "regime named right: staying with today's regime scores 0.",
    "Reliability, calibration error": "A reliability figure compares what was said with what came: "
    "of all samples said to be 70 % sure, 70 % should be right. The calibration error is the mean "
    "gap, in ten bins, weighed by their samples (ECE); 0 is perfect.",
    "RMSE, MAE": "Root mean squared and mean absolute error of a session's return; less is better.",
    "R² against zero": "Share of squared error saved over always forecasting no move.",
    "Sign accuracy": "Share of right signs, where neither forecast nor return is 0.",
    "Interval coverage": "Share of outcomes inside the interval that promised 90 %; its width was "
    "learned on the validation part (split conformal).",
    "Filled at": "A decision is made after the close. It is filled at the next open (what one can "
    "do) or at that same close (what notebooks assume); the gap between them is information.",
    "Sharpe ratio": "Mean return over its deviation, a year. To tell two ratios that differ by 0.5 "
    "from each other takes many years.",
    "Trials": "Every fit ever begun on this data, failed and aborted ones too, whoever began it: "
    "the best of many looks good by luck.",
    "Probabilistic, deflated Sharpe ratio": "The probability that the true Sharpe ratio is above "
    "0, and that it is above what the best of all trials reaches by luck. The form of Bailey and "
    "López de Prado (2012, 2014) decides; the 2025 form stands beside it.",
    "Minimum track record": "Sessions that a Sharpe ratio as high as this needs before it is told "
    "from 0.",
    "PBO": "Probability of backtest overfitting: how often the strategy that was best on one half "
    "of the sessions is no better than the median on the other half. Below 0.2 is needed; the "
    "noise band is where it lies when no strategy is better than another.",
    "SPA": "Superior predictive ability (Hansen): whether the best of several models is better "
    "than a benchmark, allowing for its having been picked. The lower and upper variants leave out "
    "all, or none, of the models worse than the benchmark.",
    "StepM": "Which of them are better, with a 5 % chance that any is named wrongly "
    "(Romano and Wolf).",
    "McNemar": "Compares two classifiers on the samples where only one of them is right.",
    "Diebold-Mariano": "Compares the squared errors of two forecasts, session by session.",
    "Pesaran-Timmermann": "Whether calls of up and down have anything to do with what came.",
    "Ledoit-Wolf": "Whether two Sharpe ratios, measured over the same sessions, differ.",
    "Fold": "A stretch of test sessions with the networks trained on what came before it. What "
    "holds in one fold alone is luck more often than not.",
    "Member": "One of several fits of the same network that differ in the seed alone; their mean "
    "is what is judged. What differs between them is luck.",
    "Purge": "Samples are left out of training whose label was not known yet at the first decision "
    "of the part that follows.",
    "Seal": "The newest sessions, kept from every run until they are opened, once. A holdout that "
    "was seen before is spent, and says so.",
    "Leak audit": "Everything after a session is replaced, and all that is dated up to it must "
    "stay the same to the last bit: what changes knew the future.",
}
