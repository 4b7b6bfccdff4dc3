import io

import numpy as np
import pandas as pd
import pytest

from rnntrade.fingerprint import fingerprint, folder_digest
from tests.configs import MODELS


def test_equal_content_has_one_fingerprint(prices):
    stored = io.BytesIO()
    prices.close.to_parquet(stored)
    assert fingerprint(pd.read_parquet(stored)) == fingerprint(prices.close)


def test_order_values_and_kinds_count(prices):
    close = prices.close
    assert fingerprint(close) != fingerprint(close[close.columns[::-1]])
    assert fingerprint(close) != fingerprint(close * 2)
    assert fingerprint(("ab", "c")) != fingerprint(("a", "bc"))
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
    assert fingerprint(np.zeros(2)) != fingerprint(np.zeros((2, 1)))
    assert len({fingerprint(model) for model in MODELS}) == len(MODELS)


def test_what_has_no_content_has_no_fingerprint():
    with pytest.raises(TypeError, match="no fingerprint for object"):
        fingerprint(object())


def test_a_folder_is_its_names_and_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    (tmp_path / "one" / "x").rename(tmp_path / "one" / "y")
    assert folder_digest(tmp_path / "one") != folder_digest(tmp_path / "two")
