"""Runs that do not meet the requirement of a claim do not count."""

import pandas as pd
import pytest

from repro.claims.check import check
from repro.claims.claim import load_claims
from repro.claims.table import format_table
from repro.errors import UserError
from tests.claims.synthetic import HASHES, TOLERANCES, claims, judged, records

HEAD = TOLERANCES + '\n[requirements]\nflat = { metric = "flat", least = 1, lacking = "still rose" }\n'
VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 15; tolerance = "length"; requires = "flat"'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]; requires = "flat"'
FREE = VALUE.replace('; requires = "flat"', "")
LENGTHS = {"a": [15.0, 15.0, 15.0], "b": [33.0, 39.0, 45.0]}


def rising(bounds: dict[str, set[int]], values: dict[str, list[float]] = LENGTHS) -> pd.DataFrame:
    """Records of which some seeds still rose."""
    frame = records(values)
    flat = [seed not in bounds.get(variant, ()) for variant, seed in zip(frame["variant"], frame["seed"], strict=True)]
    return frame.assign(flat=[float(was) for was in flat])


def test_runs_that_still_rose_are_not_judged(tmp_path):
    frame = rising({"a": {0, 1, 2}})
    value, order, free = judged(tmp_path, frame, VALUE, ORDER, FREE, head=HEAD)
    assert (value.verdict, value.n_seeds, order.verdict) == ("not run", 0, "not run")
    assert free.verdict == "reproduced" and free.n_seeds == 3  # the same runs, where nothing is required of them
    assert value.reason == "3 of 3 runs of a still rose (at 15)."
    assert "a < b cannot be judged without a common seed" in order.reason and "still rose" in order.reason


def test_runs_that_had_flattened_are(tmp_path):
    value, order = judged(tmp_path, rising({}), VALUE, ORDER, head=HEAD)
    assert (value.verdict, order.verdict) == ("reproduced", "direction only")
    assert "rose" not in value.reason + order.reason


def test_the_others_are_judged_without_them(tmp_path):
    value, order = judged(tmp_path, rising({"a": {2}, "b": {0}}), VALUE, ORDER, head=HEAD)
    assert (value.verdict, value.n_seeds, value.observed) == ("reproduced", 2, 15)
    assert "1 of 3 runs of a still rose (at 15)" in value.reason
    assert order.n_seeds == 1 and "1 of 3 runs of b still rose (at 33)" in order.reason


def test_a_run_that_does_not_say_whether_it_flattened_does_not_count(tmp_path):
    (result,) = judged(tmp_path, records(LENGTHS), VALUE, head=HEAD)
    assert result.verdict == "not run" and "3 of 3 runs of a still rose" in result.reason


def test_runs_too_early_are_neither_failures_nor_lack_of_data(tmp_path):
    frame = rising({"a": {0, 1}}).assign(status=lambda f: ["failed" if s == 2 else "finished" for s in f["seed"]])
    licensed = HEAD + '\n[licences]\ntoy = "bring your own"\n'
    (result,) = judged(tmp_path, frame, VALUE, head=licensed)
    assert result.verdict == "not run"
    assert "1 of 3 runs of a is lost" in result.reason and "2 of 3 runs of a still rose (at 15)" in result.reason
    (none,) = judged(tmp_path, records({}), VALUE, head=licensed)
    assert none.verdict == "no data"


def test_the_terminal_prints_why_below_the_claims_that_were_not_run(tmp_path):
    text = format_table(judged(tmp_path, rising({"a": {0, 1, 2}}), VALUE, head=HEAD), why=True)
    assert "): c0\n    c0: 3 of 3 runs of a still rose (at 15)\n1 claims: 1 not run" in text
    assert "rose" not in format_table(judged(tmp_path, rising({}), VALUE, head=HEAD), why=True)


def test_smaller_runs_are_printed_with_what_they_lack(tmp_path):
    frame = rising({"a": {0, 1, 2}}).assign(config_hash="small")
    small = {("toy", variant): ("at a smaller size", ("small",)) for variant in "abc"}
    value, order = check(claims(tmp_path, VALUE, ORDER, head=HEAD), frame, HASHES, small)
    assert value.verdict == order.verdict == "not run"
    assert value.substitute_note.startswith("at a smaller size: mse mean 15")
    assert "a < b holds" in order.substitute_note
    assert all("3 of 3 runs of a still rose (at 15)" in result.substitute_note for result in (value, order))
    flat = check(claims(tmp_path, ORDER, head=HEAD), frame.assign(flat=1.0), HASHES, small)
    assert "rose" not in flat[0].substitute_note


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (TOLERANCES, "c0: unknown requires 'flat'; known: "),
        (
            TOLERANCES + '\n[requirements]\nflat = { metric = "flat" }\n',
            "requirement 'flat': least is missing: wants a number",
        ),
        (HEAD.replace("least = 1", 'least = "1"'), "requirement 'flat': least = '1': wants a number"),
    ],
)
def test_a_requirement_that_could_not_be_judged_is_refused(tmp_path, head, says):
    with pytest.raises(UserError) as error:
        claims(tmp_path, VALUE, head=head)
    assert says in str(error.value)


def unfinished(seeds: set[int], came: str = "13 of 20 iterations") -> pd.DataFrame:
    """Records of which some seeds of variant a are unfinished, with values that would decide."""
    frame, runs = records(LENGTHS), "unfinished"
    selected = (frame["variant"] == "a") & frame["seed"].isin(seeds)
    values = frame["mse"].where(~selected, 1000.0)
    return frame.assign(
        mse=values, status=frame["status"].where(~selected, runs), reason=frame["reason"].where(~selected, came)
    )


def test_unfinished_runs_are_not_judged_and_have_not_failed(tmp_path):
    value, order = judged(tmp_path, unfinished({0, 1, 2}), FREE, ORDER.replace('; requires = "flat"', ""))
    assert (value.verdict, value.n_seeds, order.verdict) == ("not run", 0, "not run")
    assert value.reason == "3 of 3 runs of a are unfinished (seed 0, 1, 2: 13 of 20 iterations)."
    assert value.substitute_note and value.substitute_note in order.reason and "lost" not in order.reason
    failed = unfinished({0, 1, 2}).replace("unfinished", "failed")
    assert judged(tmp_path, failed, FREE)[0].verdict == "not reproduced"  # control


def test_an_unfinished_run_hides_none_that_ended(tmp_path):
    """Seeds 0 to 2 ended with the second hash; 0 and 3 were begun with the first."""
    ended, begun = records({"a": [19.0] * 3}, config_hash="short"), records({"a": [5.0] * 4})
    begun = begun[begun["seed"].isin([0, 3])].assign(status="unfinished", reason="1 of 20 iterations")
    hashes, (claim,) = {("toy", "a"): ("paper", "short")}, claims(tmp_path, FREE)
    for frame in (pd.concat([begun, ended]), pd.concat([ended, begun])):
        (result,) = check([claim], frame, hashes)
        assert result.n_seeds == 3 and "1 of 4 runs of a is unfinished (seed 3: " in result.reason
        assert (result.observed, result.verdict) == (19, "reproduced")
    (control,) = check([claim], pd.concat([begun.assign(status="finished"), ended]), hashes)
    assert (control.n_seeds, control.observed) == (4, (19 + 19 + 5 + 5) / 4)


def test_the_others_are_judged_without_unfinished_ones(tmp_path):
    value, order = judged(tmp_path, unfinished({2}), FREE, ORDER.replace('; requires = "flat"', ""))
    assert (value.verdict, value.n_seeds, value.observed) == ("reproduced", 2, 15)
    assert order.verdict == "direction only" and "1 of 3 runs of a is unfinished (seed 2: " in order.reason
    finished = unfinished({2}).replace("unfinished", "finished")
    assert judged(tmp_path, finished, FREE)[0].observed > 300  # control


def test_lengths_want_a_flat_curve_and_perplexities_nothing_more_than_an_end():
    judgeable = [claim for claim in load_claims() if claim.figure == "fig4" and claim.kind in ("value", "similar")]
    assert len(judgeable) == 14
    wanted = {claim.task: claim.requires for claim in judgeable}
    assert {claim.requires for claim in judgeable} == set(wanted.values())
    assert [(task, r.metric, r.least) for task, r in wanted.items() if r] == [("copy_repeat", "flattened", 1)]
