"""Which column of a price file is which: the spellings of vendors, libraries and trading programs.

A name may carry a ticker before or after the field (SPY.Adjusted, Close_AAA).  Then the open,
high, low and close of one ticker belong together, and no column of another is mixed in.
"""

import re
from functools import lru_cache

from rnntrade.errors import DataError

SPELLINGS: dict[str, tuple[str, ...]] = {  # for each field, lines of equal rank, the best first
    "date": (
        "date dates datetime timestamp session tradedate tradingdate tradingday "
        "exchangedate dateutc datum caldt day",
        "gmttime localtime opentime",
        "time t",
        "unix unixtime unixtimestamp epoch",
        "index",
    ),
    "open": (
        "open openprice openingprice pxopen priceopen",
        "first eröffnung eröffn eroeffnung erster o",
    ),
    "high": ("high highprice pxhigh pricehigh highest", "max hoch tageshoch h"),
    "low": ("low lowprice pxlow pricelow lowest", "min tief tagestief l"),
    "close": (
        "close closeprice closingprice priceclose closeclosepriceadjustedforsplits",
        "closelast last lastprice price pxlast settle settlement settlementprice settleprice ltp "
        "schluss schlusskurs zuletzt c",
    ),
    "raw_close": (
        "rawclose closeraw closeunadj closeunadjusted unadjclose unadjustedclose uclose",
    ),
    "volume": (
        "volume vol pxvolume totalvolume sharevolume sharestraded",
        "realvolume tickvol tickvolume noofshares totaltradedquantity qty stuecke stücke",
        "volumen v",
    ),
    "split": (
        "stocksplits stocksplit splits split splitratio splitfactor splitcoefficient splitcoeff",
    ),
    "symbol": ("symbol ticker tickers symbols tic actsymbol name stock instrument",),
    "": ("closetime openinterest openint opi changevolume prevclose previousclose",),  # no field
}
RANKS = {
    word: (field, rank)
    for field, lines in SPELLINGS.items()
    for rank, line in enumerate(lines)
    for word in line.split()
}
_PART = "(?:split|dividends?|div|and|fully|full|totalreturn)*"
_CLOSE = "(?:close|closing|closed|cls|last|price|pxlast|settle)"
ADJUSTED = re.compile(
    rf"{_PART}adj(?:usted|usting)?{_CLOSE}*(?:adjustedclosepriceadjustedfor.*)?"
    rf"|{_CLOSE}+{_PART}adj(?:usted)?(?:price)?"
)
ADJUSTED_OTHER = re.compile(
    r"adj(?:usted)?(open|high|low|volume|vol)(?:price)?|(open|high|low|volume|vol)(?:price)?adj(?:usted)?"
)
PRICES = ("open", "high", "low")
ADJUSTED_PRICES = ("adj_open", "adj_high", "adj_low")
WANTED = "Date, Open, High, Low, Close, Volume, and Adj Close if there is one"


def key(name: str) -> str:
    """Return the letters and digits of a name, lower case, without a number before it."""
    return re.sub(r"[\W_]+", "", re.sub(r"^\s*\d+[a-z]?\.\s", "", name.lower()))


def candidates(
    names: list[tuple[str, ...]], ticker: str
) -> tuple[dict[str, list[tuple[int, int]]], str]:
    """Return the (rank, column) that can be each field, best first, and the ticker in the names."""
    found: dict[str, list[tuple[int, int]]] = {}
    fields = [field_of(parts, ticker) for parts in _level_first(names)]
    owner = _owner([(field, owner) for field, _, owner in fields], ticker)
    for column, (field, rank, own) in enumerate(fields):
        base = field == "volume" and own and key(ticker).startswith(own)  # Volume BTC of BTC-USD
        if field and (own in {"", owner, key(ticker)} or base):
            found.setdefault(field, []).append((rank + 10 * (own != owner), column))
    if "date" not in found and "".join(names[0]) in {"", "Unnamed: 0"}:
        found["date"] = [(0, 0)]  # an index without a name
    return {field: sorted(columns) for field, columns in found.items()}, owner


def _level_first(names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Put the header row with the fields first; the date's name may stand in any."""

    def fields(level: int) -> int:
        return len({field_of((parts[level],))[0] for parts in names[1:]} - {None})

    level = max(range(len(names[0])), key=fields)
    ordered = []
    for parts in names:
        dates = [part for part in parts if field_of((part,))[0] == "date"]
        rest = (*parts[:level], *parts[level + 1 :])
        ordered.append((dates[0],) if len(parts) > 1 and dates else (parts[level], *rest))
    return ordered


def _owner(fields: list[tuple[str | None, str]], ticker: str) -> str:
    """Return whose prices to use: "" where names carry no ticker."""
    complete = [
        owner
        for owner in dict.fromkeys(owner for _, owner in fields)
        if all((name, owner) in fields for name in PRICES)
        and (("close", owner) in fields or ("adj_close", owner) in fields)
    ]
    if "" in complete or not complete:
        return ""
    mine = [owner for owner in complete if owner == key(ticker)]
    if len(complete) > 1 and not mine:
        raise DataError(
            f"{ticker}: its file has prices of {', '.join(complete[:5])}, but none of {ticker}.  "
            "Keep one file per ticker, or name the columns after the ticker."
        )
    return (mine or complete)[0]


@lru_cache(maxsize=4096)
def field_of(parts: tuple[str, ...], ticker: str = "") -> tuple[str | None, int, str]:
    """Return field, rank (0 is best) and owner ("" if none) of a column with these header cells."""
    plain = _plain_field(parts[0])
    if plain is not None and not (plain[0] in ADJUSTED_PRICES and key(ticker) in plain[0]):
        return (*plain, "".join(map(key, parts[1:])))  # LOW.Adjusted of LOW is no adjusted low
    tokens = [token for token in re.split(r"[\W_]+", " ".join(parts)) if token]
    readings = []
    for at in range(1, len(tokens)):
        left, right = "".join(tokens[:at]), "".join(tokens[at:])
        for name, owner in ((right, key(left)), (left, key(right))):
            if (found := _plain_field(name)) is not None:
                readings.append((owner != key(ticker), found[1], (*found, owner)))
    if not readings:
        return (*(plain or (None, 0)), "")
    return min(readings, key=lambda reading: reading[:2])[2]


def _plain_field(name: str) -> tuple[str | None, int] | None:
    word = key(name)
    if word in RANKS:
        field, rank = RANKS[word]
        return field or None, rank
    if ADJUSTED.fullmatch(word):
        return "adj_close", int("split" in word and "div" not in word)
    if match := ADJUSTED_OTHER.fullmatch(word):
        return f"adj_{(match[1] or match[2]).replace('volume', 'vol').replace('vol', 'volume')}", 0
    return None
