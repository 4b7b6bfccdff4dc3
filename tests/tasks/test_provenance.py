"""What a run was made of; and what is said when it does not come out the same."""

import platform
import re
from dataclasses import replace
from importlib.metadata import version

import pytest

from rnntrade.config import find_experiment
from rnntrade.errors import RnntradeError
from tasks.ledger.seal import Holdout
from tasks.refs import ModelRefs, Ref
from tasks.reproduction import Provenance, Reproduction, compare, provenance, read_provenance
from tasks.steps import sources
from tasks.tracking.runs import client, find_run, tracked_run

DEBUG = find_experiment("debug")
ONE = replace(DEBUG, models=DEBUG.models[2:3])


def ref(step: str) -> Ref:
    return Ref(step, f"digest of {step}")


@pytest.fixture
def made() -> Provenance:
    model = ONE.models[0]
    refs = ModelRefs(
        model=model,
        windows=ref("windows"),
        fits=[[ref("fit 00"), ref("fit 01")], [ref("fit 10"), ref("fit 11")]],
        predictions=ref("predictions"),
        baselines=ref("baselines"),
        books=ref("backtest"),
    )
    fetched = {"AAA": ref("AAA"), "BBB": ref("BBB")}
    return provenance(
        *(ONE, fetched, Holdout(prices=fetched)),
        *({"AAA": ref("a"), "BBB": ref("b")}, [ref("regimes")], {model.name: refs}, "cpu"),
    )


def edited(made: Provenance, **fields: object) -> Provenance:
    return made.model_copy(update=fields)


def against(made: Provenance, **fields: object) -> Reproduction:
    """Compare a run that was recorded with these fields to what was made now."""
    return compare("r", edited(made, **fields), made)


def test_every_step_has_its_digest_in_the_order_of_the_line(made):
    steps = [name.split()[0].rstrip(",") for name in made.digests]
    assert steps == (
        ["prices"] * 2 + ["features"] * 2 + ["regimes", "windows", "baselines"]
        + ["fit"] * 4 + ["predictions", "backtest"]
    )  # fmt: skip
    assert made.digests["fit many_to_one_lstm, fold 1, member 0"] == "digest of fit 10"
    assert made.sources == sources()
    assert made.versions["python"] == platform.python_version()
    assert made.versions["torch"] == version("torch")


def test_it_survives_being_written_down(made):
    again = Provenance.model_validate_json(made.model_dump_json())
    assert again == made
    assert list(again.digests) == list(made.digests)
    assert again.rebuilt() == ONE


def test_the_same_is_the_same_and_needs_no_explanation(made):
    result = compare("r", made, made.model_copy())
    assert (result.same, result.compared, result.first_difference) == (True, 13, "")
    assert result.explanation == []
    assert all(row.same for row in result.rows)


def test_a_difference_that_nothing_recorded_explains_is_called_a_defect(made):
    model = "many_to_one_lstm"
    digests = made.digests | {f"predictions {model}": "x", f"fit {model}, fold 0, member 1": "y"}
    result = against(made, digests=digests)
    assert not result.same
    assert [row.step for row in result.rows if not row.same] == [
        f"fit {model}, fold 0, member 1",
        f"predictions {model}",
    ]
    assert result.first_difference == f"fit {model}, fold 0, member 1"
    assert len(result.explanation) == 1
    assert "defect" in result.explanation[0]


def test_a_step_that_is_missing_now_or_was_missing_then_is_a_difference(made):
    digests = dict(made.digests)
    del digests["regimes, fold 0"]
    then = against(made, digests=digests)
    assert [(row.step, row.recorded) for row in then.rows if not row.same] == [
        ("regimes, fold 0", "missing")
    ]
    now = compare("r", made, edited(made, digests=digests))
    assert [(row.step, row.now) for row in now.rows if not row.same] == [
        ("regimes, fold 0", "missing")
    ]
    assert now.first_difference == "regimes, fold 0"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"digests": {"prices BBB": "x"}}, ["Data: the prices of BBB differ."]),
        (
            {"digests": {"prices BBB": "x"}, "holdout": "sealed"},
            ["Data: the sessions of BBB that the sealed holdout leaves", "Holdout: sealed then"],
        ),
        (
            {"sources": {"features": "x", "fit": "y"}, "commit": "c0ffee"},
            [r"Code: that of features, fit differs.*commit c0ffee.*git checkout c0ffee\.$"],
        ),
        (
            {"sources": {"fit": "y"}, "commit": "c0ffee and edits"},
            [r"Code: that of fit .*git checkout c0ffee; its edits are in no commit\.$"],
        ),
        ({"sources": {"fit": "y"}, "commit": ""}, ["Code: .*Which code it was cannot be told"]),
        (
            {"versions": {"torch": "1.0", "gone": "2"}},
            [r"Version: torch 1\.0 then, \d", "Version: gone 2 then, not there now"],
        ),
        ({"device": "cuda"}, ["Device: cuda then, cpu now"]),
        ({"machine": "abacus"}, ["Machine: abacus then.*kernels differ between processors"]),
    ],
    ids=["data", "seal", "code", "edits", "no commit", "versions", "device", "machine"],
)
def test_each_cause_is_told_and_only_that(made, fields, told):
    changed = {
        name: {**getattr(made, name), **value} if isinstance(value, dict) else value
        for name, value in fields.items()
    }
    digests = made.digests | {"regimes, fold 0": "x"} | fields.get("digests", {})
    result = against(made, **changed | {"digests": digests})
    assert not result.same
    assert len(result.explanation) == len(told)
    for sentence, pattern in zip(result.explanation, told, strict=True):
        assert re.match(pattern, sentence), sentence


def test_what_differs_without_effect_is_told_without_a_cure(made):
    result = against(made, sources=made.sources | {"fit": "x"}, commit="c0ffee")
    assert result.same
    assert result.explanation[0].startswith("Code: that of fit differs; recorded at commit c0ffee")
    assert "checkout" not in result.explanation[0]


# finding it again


def test_a_run_is_found_by_its_id_its_beginning_or_one_of_its_models(tracked):
    with tracked_run(ONE) as ids:
        assert find_run(ids.parent).status == "RUNNING"
    found = find_run(ids.parent)
    assert (found.run_id, found.status) == (ids.parent, "FINISHED")
    assert find_run(ids.parent[:6].upper()).run_id == ids.parent
    assert find_run(ids.children["many_to_one_lstm"]).run_id == ids.parent
    client().delete_run(ids.parent)
    assert find_run(ids.parent).run_id == ids.parent
    with pytest.raises(RnntradeError, match=r"no run 'ffffffff'.* in sqlite"):
        find_run("ffffffff")
    for name in (ids.parent[:5], "last", "", "ffffff%", "'ffffff"):
        with pytest.raises(RnntradeError, match="is no run id"):
            find_run(name)


def test_a_beginning_of_several_ids_is_refused_with_them(tracked, monkeypatch):
    with tracked_run(DEBUG) as ids:
        pass
    known = client()
    everything = known.search_runs([ids.experiment_id])
    monkeypatch.setattr(known, "search_runs", lambda *_, **__: everything)
    with pytest.raises(RnntradeError, match=f"several runs: .*{ids.parent}"):
        find_run("ffffff")


def test_a_run_without_digests_says_why_and_what_to_do(tracked, made):
    with tracked_run(ONE) as ids:
        running = find_run(ids.parent)
    with pytest.raises(RnntradeError, match=r"still going on.*Wait for its end"):
        read_provenance(running)
    with pytest.raises(RnntradeError, match=r"kept no digests.*Run the experiment again"):
        read_provenance(find_run(ids.parent))
    with pytest.raises(ValueError, match="broken"), tracked_run(ONE) as ids:
        raise ValueError("broken")
    with pytest.raises(RnntradeError, match=r"ended as FAILED.*Start it again"):
        read_provenance(find_run(ids.parent))
    client().log_text(ids.parent, made.model_dump_json(), "provenance.json")
    assert read_provenance(find_run(ids.parent)) == made


def test_settings_of_another_version_are_told(tracked, made):
    with tracked_run(ONE) as ids:
        pass
    later = edited(made, experiment=made.experiment | {"horoscope": "Leo"})
    client().log_text(ids.parent, later.model_dump_json(), "provenance.json")
    with pytest.raises(RnntradeError, match=r"other settings \(horoscope: .*version that recorded"):
        read_provenance(find_run(ids.parent))
