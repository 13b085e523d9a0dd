import subprocess
import sys
from pathlib import Path

import pytest

from repro.claims.claim import Tolerance, load_claims
from repro.claims.relation import parse_relations
from repro.errors import UserError
from repro.runs.registry import get_task, task_names
from tests.claims.synthetic import claims

VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'


def test_every_claim_of_figure_1_is_there_with_the_paper_s_numbers():
    fig1 = {claim.id: claim for claim in load_claims() if claim.figure == "fig1"}
    numbers = {name: claim.claimed for name, claim in fig1.items() if claim.claimed is not None}
    assert numbers == {
        "1c-nmse": 0.01, "1d-eprop1": 0.011, "1d-binary": 0.026, "1d-norec": 0.259, "1d-global": 0.485, "1-rate": 10,
    }  # fmt: skip
    assert {name: [str(r) for r in claim.relations] for name, claim in fig1.items() if claim.relations} == {
        "1d-binary": ["e_prop_1 < binary"],
        "1d-clopath": ["e_prop_1 ~ clopath"],
        "1d-norec": ["e_prop_1 < no_recurrence"],
        "1d-global": ["no_recurrence < global_signal"],
        "1e-resample": ["e_prop_1 < resampled_20ms", "e_prop_1 < resampled_1ms"],
        "1e-rare": ["resampled_20ms < resampled_1ms"],
        "1e-bptt": ["bptt < e_prop_1"],
    }


def test_claims_name_variants_that_their_task_has():
    for claim in load_claims():
        if claim.task in task_names():
            terms = [term for relation in claim.relations for term in (relation.left, relation.right)]
            named = {claim.variant, *(term.variant for term in terms)} - {""}
            assert named <= set(get_task(claim.task).variants), claim.id


def test_every_tolerance_has_a_reason():
    assert all(claim.tolerance.why for claim in load_claims() if claim.tolerance)


@pytest.mark.parametrize(
    ("tolerance", "value", "inside", "outside", "text"),
    [
        (Tolerance("factor", 1.5, (), ""), 0.02, (0.0134, 0.0299), (0.0133, 0.0301), "factor 1.5"),
        (Tolerance("relative", 0.5, (), ""), 50, (25, 75), (24, 76), "50 %"),
        (Tolerance("absolute", 2.0, (), ""), 113, (111, 115), (110.9, 115.1), "+-2"),
        (Tolerance("ladder", 1, (12, 15, 19, 23), ""), 15, (12, 19), (9, 23), "one rung"),
        (Tolerance("ladder", 1, (33, 39, 45, 52), ""), 41, (39, 45), (33, 52), "one rung"),
    ],
)
def test_tolerances(tolerance, value, inside, outside, text):
    low, high = tolerance.bounds(value)
    assert low <= min(inside) and max(inside) <= high
    assert low > min(outside) and max(outside) > high
    assert str(tolerance) == text


def test_chains_and_terms():
    first, second = parse_relations("a < 10 * b:rate < 0.5", "mse")
    assert (first.left.variant, first.left.metric, first.left.factor) == ("a", "mse", 1.0)
    assert (first.right.variant, first.right.metric, first.right.factor) == ("b", "rate", 10.0)
    assert first.right == second.left
    assert (second.right.variant, second.right.factor) == ("", 0.5)
    assert parse_relations("a < 1e-9", "mse")[0].right.factor == 1e-9
    assert parse_relations("a ~ b", "mse")[0].alike and not first.alike


@pytest.mark.parametrize("text", ["a", "a > b", "a <b", "1 < 2", "a < b c", "a < * b", "- * a < b", ""])
def test_bad_relations(text):
    with pytest.raises(UserError, match=r"write|compares"):
        parse_relations(text, "mse")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (VALUE.replace("claimed = 0.01", 'cause = "x"'), "c0: a claim of kind 'value' needs claimed"),
        (VALUE + "; colour = 3", "c0: unknown key 'colour'"),
        (VALUE.replace('"value"', '"number"'), "c0: kind = 'number': wants one of value, order"),
        (
            VALUE.replace('"mse"; claimed', '"mse"; statistic = "mode"; claimed'),
            "statistic = 'mode': wants mean or median",
        ),
        (VALUE.replace("0.01", '"0.01"'), "c0: claimed = '0.01': wants a number"),
        (VALUE.replace("0.01", "true"), "c0: claimed = True: wants a number"),
        (VALUE.replace('tolerance = "mse"', 'tolerance = "ms"'), "c0: unknown tolerance 'ms'; known: mse"),
        (VALUE + '; relations = ["a > b"]', "c0: 'a > b' is not a"),
        ('kind = "order"; metric = "mse"', "needs relations"),
        ('kind = "order"; metric = "mse"; share = { most = 5 }', "c0: share wants `most` and one of below, above"),
        ('kind = "order"; metric = "mse"; share = { below = 0.1 }', "c0: share.most is missing: wants a number"),
        (VALUE + '; relations = ["a ~ b"]; statistic = "median"', "a likeness ('~') compares means"),
        ('kind = "order"; metric = "mse"; relations = ["a ~ b"]', "a likeness ('~') needs a tolerance"),
    ],
)
def test_a_claim_that_could_not_be_judged_is_refused(tmp_path: Path, row: str, says: str):
    with pytest.raises(UserError) as error:
        claims(tmp_path, row)
    assert says in str(error.value)


def test_the_claim_that_those_are_made_from_is_accepted(tmp_path: Path):
    (claim,) = claims(tmp_path, VALUE)
    assert (claim.figure, claim.claimed, str(claim.tolerance), claim.readings) == ("fig1", 0.01, "factor 1.5", 0)


def test_broken_files(tmp_path: Path):
    with pytest.raises(UserError, match=r"cannot read the claims in .*nowhere\.toml"):
        load_claims(tmp_path / "nowhere.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(UserError, match=r"empty\.toml: it has no claims"):
        load_claims(tmp_path / "empty.toml")
    with pytest.raises(UserError, match="more than one claim has the id 'twin'"):
        claims(tmp_path, VALUE + '; id = "twin"', VALUE + '; id = "twin"')
    with pytest.raises(UserError, match="cannot read the claims"):
        claims(tmp_path, VALUE, head="[tolerances")
    with pytest.raises(UserError, match="tolerance 'mse'"):
        claims(tmp_path, VALUE, head='[tolerances]\nmse = { factor = 0.5, why = "x" }\n')
    with pytest.raises(UserError, match="why is missing: wants a text"):
        claims(tmp_path, VALUE, head="[tolerances]\nmse = { factor = 1.5 }\n")
    with pytest.raises(UserError, match=r"should be an array of claims, \[\[fig2\]\]"):
        claims(tmp_path, VALUE, head="[fig2]\n")


def test_listing_claims_imports_neither_torch_nor_pandas():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['pandas'] = sys.modules['numpy'] = None\n"
        "from repro.claims.claim import load_claims; print(len(load_claims()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(load_claims())
