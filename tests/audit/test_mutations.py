"""Leaks planted one at a time: each is caught, told in the right stage, and named."""

import pytest

from tests.audit.experiments import holed_prices
from tests.audit.mutants import Mutant, audit_mutant, mutants

PRICES = holed_prices()
MUTANTS = mutants(PRICES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_leak_is_caught_and_named(mutant: Mutant) -> None:
    audited = audit_mutant(mutant, PRICES)
    told = "\n".join(finding.sentence() for finding in audited.findings)
    assert not audited.clean
    assert audited.findings[0].stage == mutant.stage, told
    assert mutant.kind in audited.findings[0].kind, told
    assert mutant.series in audited.findings[0].series, told
    assert audited.findings[0].series, told
    assert str(PRICES.sessions[0].date()) <= audited.findings[0].session, told
    assert {finding.stage for finding in audited.findings} <= allowed(mutant), told


def allowed(mutant: Mutant) -> set[str]:
    """The mutated stage alone; a book that is wrong is wrong in all its tables."""
    books = {"equity", "weights", "costs", "fills"}
    return books if mutant.stage in books else {mutant.stage}


def test_at_least_28_leaks_are_planted() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 28
