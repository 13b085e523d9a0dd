"""Every mistake in a study file is one sentence that names it, and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.studies import studyfile
from repro.studies.study import Study
from tests.studies.conftest import GOOD, SEARCH

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
    "the test's seeds": (
        "[100, 101]",
        "[49, 100]",
        "seeds: 49 is kept for the test of pattern_generation, or was looked at",
    ),
    "the test's seeds again": (
        "[200]",
        "[3]",
        "best_seeds: 3 is kept for the test of pattern_generation, or was looked at",
    ),
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
V_TH = "{low = 0.2, high = 2.0, log = true}"
HYPERBAND = '\n[pruning]\nrule = "hyperband"\nmetric = "nmse"\nfirst = 2\nevery = 2\n'
BAD_SEARCH = {
    "a limit missing": ("low = 0.2, ", "", "ranges.v_th.low is missing: wants a number"),
    "a key too many": (
        "log = true}\nlearning",
        "logg = true}\nlearning",
        "unknown key 'logg' of [ranges]; did you mean log",
    ),
    "no table": (V_TH, "[0.2, 2.0]", "ranges.v_th = [0.2, 2.0]: wants a table such as {low = 0.2"),
    "a text as a limit": ("low = 0.2", 'low = "0.2"', "ranges.v_th.low = '0.2': wants a number"),
    "not a number": ("low = 0.2", "low = nan", "ranges.v_th.low = nan: wants a number"),
    "limits that changed places": ("low = 0.2", "low = 3", "ranges.v_th: low = 3 wants to be below high = 2.0"),
    "a log scale from zero": ("v_th = {low = 0.2", "rate_cost = {low = 0", "ranges.rate_cost: low = 0: a log scale"),
    "a limit out of range": ("low = 0.2", "low = -1", "v_th=-1.0: v_th lies between"),
    "a range of choices": ("v_th", "trace", "ranges.trace: trace is no number; [grid] takes a list of its values"),
    "a part of a whole": ("v_th = {low = 0.2", "n_rec = {low = 1.5", "n_rec = 1.5: wants a whole number"),
    "an unknown key": ("v_th", "vth", "unknown key 'vth' of PatternGenerationConfig; did you mean v_th?"),
    "grid and range": ("[ranges]", "[grid]\nv_th = [0.5]\n[ranges]", "v_th is both in [grid] and in [ranges]"),
    "a metric and a key": ('metric = "nmse"', 'metric = "v_th"', "v_th is both a metric and a key"),
    "settings and range": (
        "[ranges]",
        "[settings]\nv_th = 0.5\n[ranges]",
        "v_th is both in [ranges] and in [settings]",
    ),
    "no ranges": (SEARCH[SEARCH.index("[ranges]") : SEARCH.index("[sampler]")], "", "grid is missing: wants a list"),
    "values of a sampler": ("high = 2.0", "high = 2.0, values = 4", "ranges.v_th.values: is for a grid; tpe draws"),
    "no values of a grid": ('"tpe"\npoints = 12', '"grid"', "ranges.v_th.values is missing: a grid wants their number"),
    "points of a grid": (
        '"tpe"',
        '"grid"',
        "[sampler] grid takes every point: points and hours are for random and tpe",
    ),
    "first without the other": (
        "high = 2.0",
        "high = 2.0, first = [1]",
        "ranges.learning_rate.first is missing: v_th has",
    ),
    "first outside": (
        "high = 2.0",
        "high = 2.0, first = [3]",
        "ranges.v_th.first: 3.0 is not between low = 0.2 and high",
    ),
    "first twice": ("high = 2.0", "high = 2.0, first = [1, 1]", "ranges.v_th.first: 1.0 is given twice"),
    "first of none": ("high = 2.0", "high = 2.0, first = []", "ranges.v_th.first = []: wants a list of numbers"),
    "an unknown sampler": ('"tpe"', '"tpo"', "sampler.name = 'tpo': wants grid, random or tpe"),
    "no budget": ("points = 12", "", "sampler.points is missing: wants a whole number from 1 up"),
    "no hours": ("points = 12", "points = 12\nhours = 0", "sampler.hours = 0: wants a number above 0"),
    "a sampler's seed": ("points = 12", "points = 12\nseed = -1", "sampler.seed = -1: wants a whole number from 0 up"),
    "too many runs": ("points = 12", "points = 90000", "the search has 90000 points: more than 100000 runs in all"),
    "more points than numbers": (
        SEARCH[SEARCH.index("v_th") : SEARCH.index("[sampler]")],
        "n_rec = {low = 1, high = 9}\n",
        "sampler.points = 12: there are only 9 points to draw",
    ),
    "best of few": ("[ranges]", "best = 13\nbest_seeds = [200]\n[ranges]", "best = 13: the search has only 12 points"),
    "two metrics": ('"nmse"', '["nmse", "mse"]', "[sampler] wants one metric: what is drawn next depends on it"),
    "an objective": ("seeds", 'objective = "middle"\nseeds', "objective = 'middle': wants mean or median"),
    "hyperband without an end": ("[ranges]", HYPERBAND + "[ranges]", "pruning.last = 0: hyperband wants a run's last"),
    "an end without hyperband": ("[ranges]", PRUNING + "last = 12\n[ranges]", "pruning.last is for the rule hyperband"),
    "an unknown rule": (
        "[ranges]",
        PRUNING + 'rule = "mean"\n[ranges]',
        "pruning.rule = 'mean': wants median or hyperband",
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_sentence(
    results: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    _refused(write, capsys, GOOD, *BAD[mistake])
    assert not results.exists()


@pytest.mark.parametrize("mistake", BAD_SEARCH)
def test_a_mistake_in_a_search_is_one_sentence(
    results: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    _refused(write, capsys, SEARCH, *BAD_SEARCH[mistake])
    assert not results.exists()


def _refused(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str], good: str, before: str, after: str, said: str
) -> None:
    assert before in good
    path = write(good.replace(before, after))
    assert main(["sweep", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"repro: error: {path}") and printed.err.count("\n") == 1
    assert said in printed.err


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_search_is_refused_in_a_sentence_or_good(
    results: Path, write: Callable[..., Path], seed: int
) -> None:
    random = Random(seed)
    text = list(SEARCH)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(text))
        text[at : at + random.randint(0, 2)] = random.choice(["", "-", "9", "e", "[", "}", '"', "\n", "= ", "true"])
    try:
        assert studyfile.load(write("".join(text))).size > 0
    except UserError as error:
        assert "\n" not in str(error)


def test_ranges_of_a_grid_are_evenly_spaced(write: Callable[..., Path]) -> None:
    text = SEARCH.replace("log = true}", "log = true, values = 3}").replace('"tpe"\npoints = 12', '"grid"')
    study = studyfile.load(write(text))
    assert study.grid == {"v_th": (0.2, 0.6325, 2.0), "learning_rate": (1e-4, 1e-3, 1e-2)}
    assert (study.sampler, study.ranges, len(study.points)) == (None, {}, 9)
    without = studyfile.load(write(text[: text.index("[sampler]")]))
    assert without.grid == study.grid
    whole = SEARCH[: SEARCH.index("v_th")] + "n_rec = {low = 3, high = 6, values = 10}\n"
    assert studyfile.load(write(whole)).grid == {"n_rec": (3, 4, 5, 6)}


def test_how_a_search_is_drawn_may_change(write: Callable[..., Path]) -> None:
    """A study that is under way can be given more points; not other ranges."""
    one = studyfile.load(write(SEARCH)).fingerprint
    more = SEARCH.replace("points = 12", "points = 20").replace('"tpe"', '"random"')
    assert studyfile.load(write(more)).fingerprint == one
    assert studyfile.load(write(SEARCH.replace("0.2", "0.1"))).fingerprint != one


def test_studies_begun_before_ranges_go_on(study: Study, write: Callable[..., Path]) -> None:
    """Their queues keep a fingerprint, which has none of the newer keys."""
    keys = ["task", "variants", "profile", "settings", "grid", "seeds", "best_seeds", "direction", "pruning"]
    assert list(json.loads(study.fingerprint)) == keys
    pruned = studyfile.load(write(GOOD + PRUNING))
    assert list(json.loads(pruned.fingerprint)["pruning"]) == ["metric", "direction", "first", "every", "finished"]


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
