"""Every mistake in a study file is one sentence that names it, and nothing is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.studies import studyfile
from repro.studies.study import Study
from tests.studies.conftest import GOOD

PRUNING = '\n[pruning]\nmetric = "nmse"\nfirst = 4\nevery = 2\n'
BAD = {
    "not TOML": ("task = ", "task == ", "is not a TOML file"),
    "a key too many": ("best = 1", "bets = 1", "unknown key 'bets' of a study; did you mean best?"),
    "a key missing": ("seeds = [100, 101]\n", "", "seeds is missing: wants a list of seeds"),
    "no grid": (GOOD[GOOD.index("[grid]") :], "", "grid is missing: wants a list of values"),
    "an empty grid": (GOOD[GOOD.index("learning_rate") :], "", "grid = {}: wants a list of values"),
    "an empty axis": ("[0.001, 0.003]", "[]", "grid.learning_rate = []: wants a list of values"),
    "one value": ("[0.001, 0.003]", "0.003", "grid.learning_rate = 0.003: wants a list of values"),
    "a value twice": ("[0.001, 0.003]", "[0.003, 0.003]", "grid.learning_rate: 0.003 is given twice"),
    "a value out of range": ("0.61", "-1", "v_th=-1.0: v_th lies between"),
    "not a number": ("0.61", "nan", "grid.v_th = [0.4, nan, 0.9]: wants a list of values (no nan"),
    "a text for a number": ("0.61", '"0.61"', "v_th = '0.61': wants a number"),
    "true for a number": ("0.61", "true", "v_th = True: wants a number"),
    "an unknown setting": ("v_th", "vth", "unknown key 'vth' of PatternGenerationConfig; did you mean v_th?"),
    "grid and settings": ("[grid]", "[settings]\nv_th = 0.5\n[grid]", "v_th is both in [grid] and in [settings]"),
    "a part for a whole": ("[grid]", "[settings]\nn_rec = 4.5\n[grid]", "n_rec = 4.5: wants a whole number"),
    "a bad choice": ("[grid]", '[settings]\ntrace = "ful"\n[grid]', "trace=ful: trace is one of full, truncated"),
    "an unknown task": ("pattern_generation", "pattern_generatoin", "unknown task 'pattern_generatoin'; did you mean"),
    "an unknown variant": ("e_prop_1", "e_prop_11", "unknown variant 'e_prop_11'"),
    "an unknown profile": ("smoke", "smok", "unknown profile 'smok'"),
    "no variant": ('"e_prop_1"', "[]", "variants = []: wants a name, or a list of names"),
    "the test's seeds": ("[100, 101]", "[9, 100]", "seeds: 9 is also a seed of pattern_generation's profiles"),
    "the test's seeds again": ("[200]", "[3]", "best_seeds: 3 is also a seed of pattern_generation's profiles"),
    "no fresh seeds": ("[200]", "[101]", "best_seeds: 101 is also a seed of `seeds`"),
    "fresh seeds missing": ("best_seeds = [200]\n", "", "best_seeds is missing"),
    "fresh seeds for nothing": ("best = 1\n", "", "best_seeds without best"),
    "a seed twice": ("[100, 101]", "[100, 100]", "seeds: 100 is given twice"),
    "a seed below 0": ("[100, 101]", "[-1]", "seeds = [-1]: wants a list of seeds"),
    "more best than points": ("best = 1", "best = 7", "best = 7: the grid has only 6 points"),
    "best is no number": ("best = 1", "best = true", "best = True: wants a whole number from 0 up"),
    "a metric's name": ('"nmse"', '"the nmse"', "metric = 'the nmse': wants a metric's name: small letters"),
    "a direction": ("best = 1", 'direction = "down"\nbest = 1', "direction = 'down': wants minimize or maximize"),
    "a printed name": ("[grid]", "[printed]\nbptt = 0.01\n[grid]", "[printed] and variants name different variants"),
    "a printed zero": ("[grid]", "[printed]\ne_prop_1 = 0\n[grid]", "printed.e_prop_1 = 0: wants a number above 0"),
    "pruning too late": ("[grid]", PRUNING.replace("4", "13") + "[grid]", "a run has only 12 iterations"),
    "pruning, unknown": ("[grid]", PRUNING.replace("every", "evry") + "[grid]", "unknown key 'evry' of [pruning]"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_sentence(
    results: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    before, after, said = BAD[mistake]
    assert before in GOOD
    path = write(GOOD.replace(before, after))
    assert main(["sweep", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"repro: error: {path}") and printed.err.count("\n") == 1
    assert said in printed.err
    assert not results.exists()


@pytest.mark.parametrize(
    ("extra", "variants"), [("", '["e_prop_1", "bptt"]'), ("[printed]\ne_prop_1 = 0.01\n", '"e_prop_1"')]
)
def test_pruning_holds_like_against_like(write: Callable[..., Path], extra: str, variants: str) -> None:
    path = write(GOOD.replace('"e_prop_1"', variants) + PRUNING + extra)
    with pytest.raises(UserError, match=r"\[pruning\] holds runs against each other"):
        studyfile.load(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_study"], "unknown study 'no_such_study'"),
        (["no/such.toml"], "no study file no/such.toml"),
        (["store_recall_treshold"], "did you mean store_recall_threshold?"),
        (["stauts", "store_recall_threshold"], "wants one STUDY, or status STUDY"),
    ],
)
def test_a_study_that_is_not_there(
    results: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["sweep", *words]) == 2
    assert said in capsys.readouterr().err
    assert not results.exists()


def test_a_good_file(study: Study) -> None:
    assert study.name == "a_try"
    assert len(study.points) == 6
    assert study.points[1] == (("learning_rate", 0.001), ("v_th", 0.61))
    assert [job.seed for job in study.search] == [100] * 6 + [101] * 6
    assert (study.size, study.direction, study.metrics) == (13, "minimize", ("nmse",))
    assert study.overrides(study.search[0]) == {"learning_rate": "0.001", "v_th": "0.4"}


def test_the_fingerprint_is_of_the_runs(study: Study, write: Callable[..., Path]) -> None:
    same = studyfile.load(write(GOOD.replace("a try", "another").replace('"nmse"', '["nmse", "mse"]')))
    assert same.fingerprint == study.fingerprint
    other = studyfile.load(write(GOOD.replace("0.61", "0.6")))
    assert other.fingerprint != study.fingerprint


@pytest.mark.parametrize("path", sorted(studyfile.STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_our_own_studies_are_good(path: Path) -> None:
    assert studyfile.load(path).size > 1
