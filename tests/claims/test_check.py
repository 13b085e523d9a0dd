import dataclasses
import itertools
import math

import numpy as np
import pytest

from repro.claims.check import check
from repro.claims.claim import load_claims
from repro.claims.table import format_table
from repro.claims.verdicts import RANK, read_verdicts, worse, write_verdicts
from repro.errors import UserError
from tests.claims.synthetic import HASHES, TOLERANCES, around, claims, judged, records

VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
BELOW = VALUE + '; relations = ["a < b"]'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
ALIKE = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["a ~ b"]'


@pytest.mark.parametrize(
    ("ours", "other", "row", "verdict"),
    [
        (0.012, None, VALUE, "reproduced"),
        (0.017, None, VALUE, "not reproduced"),
        (0.0050, None, VALUE, "not reproduced"),
        (0.0149, None, VALUE, "inconclusive"),
        (0.0066, None, VALUE, "inconclusive"),
        (0.0149, 0.03, BELOW, "inconclusive"),  # whatever its order
        (0.0149, 0.01, BELOW, "not reproduced"),
        (0.012, 0.02, BELOW, "reproduced"),
        (0.017, 0.02, BELOW, "direction only"),
        (0.016, 0.012, BELOW, "not reproduced"),
        (0.012, 0.008, BELOW, "not reproduced"),
        (0.012, 0.008, VALUE, "reproduced"),  # the order is not part of this claim
        (0.012, None, BELOW, "not run"),
        (0.016, None, BELOW, "not run"),
        (0.012, 0.02, ORDER, "reproduced"),
        (0.02, 0.012, ORDER, "not reproduced"),
        (0.012, None, ORDER, "not run"),
        (0.012, 0.017, ALIKE, "reproduced"),
        (0.012, 0.009, ALIKE, "reproduced"),
        (0.012, 0.019, ALIKE, "not reproduced"),
        (0.012, 0.007, ALIKE, "not reproduced"),
        (0.012, None, ALIKE, "not run"),
    ],
)
def test_the_table_of_verdicts(tmp_path, ours, other, row, verdict):
    values = {"a": around(ours, 10)} | ({} if other is None else {"b": around(other, 10, seed=1)})
    (result,) = judged(tmp_path, records(values), row)
    assert result.verdict == verdict, result.reason
    assert not result.indicative


def test_spread_earns_no_verdict(tmp_path):
    """The first edition took a number inside a wide interval for reproduced."""
    (wide,) = judged(tmp_path, records({"a": [0.004, 0.005, 0.006, 0.002, 0.018, 0.004]}), VALUE)
    (narrow,) = judged(tmp_path, records({"a": [0.004, 0.005, 0.006, 0.002, 0.005, 0.004]}), VALUE)
    assert (wide.verdict, narrow.verdict) == ("inconclusive", "not reproduced")
    assert wide.low < 0.01 < wide.high and "overlaps an edge of 0.006667 to 0.015" in wide.reason


def test_a_reading_that_was_chosen_by_the_number_makes_it_fitted(tmp_path):
    near, far = records({"a": around(0.011, 10)}), records({"a": around(0.03, 10)})
    rows = VALUE, VALUE + "; fitted = true"
    assert [r.verdict for r in judged(tmp_path, near, *rows)] == ["reproduced", "fitted"]
    assert [r.verdict for r in judged(tmp_path, far, *rows)] == ["not reproduced", "not reproduced"]


def test_one_seed_has_no_interval(tmp_path):
    for ours in (0.011, 0.03):
        alone, ordered = judged(tmp_path, records({"a": [ours], "b": [0.04]}), VALUE, BELOW)
        assert (alone.verdict, ordered.verdict) == ("inconclusive", "direction only")
        assert "on one seed: beside 0.006667 to 0.015" in alone.reason
        assert alone.indicative and ordered.indicative


def test_a_representative_run_is_judged_by_the_median(tmp_path):
    frame = records({"a": [0.004, 0.005, 0.0045, 0.005, 0.2]})
    mean, median = judged(tmp_path, frame, VALUE, VALUE + '; statistic = "median"')
    assert (mean.observed, median.observed) == pytest.approx((0.0437, 0.005))
    assert "mean" in mean.reason and "mean" not in median.reason
    assert "median" in median.reason and "median" not in mean.reason


def test_the_statistic_that_is_printed_is_the_one_that_is_judged(tmp_path):
    frame = records({"a": [*around(0.011, 10), 0.5, 0.6]})
    mean, median = judged(tmp_path, frame, VALUE, VALUE + '; statistic = "median"')
    assert (mean.verdict, median.verdict) == ("inconclusive", "reproduced")
    assert f"mean {frame['mse'].mean():.3g}" in mean.reason and f"median {frame['mse'].median():.3g}" in median.reason


@pytest.mark.parametrize(
    ("factor", "spread", "verdict"),
    [(1.2, 0.05, "reproduced"), (1.5, 0.05, "inconclusive"), (1.2, 1.0, "inconclusive")],
)
def test_a_likeness_wants_its_interval_inside_the_tolerance(tmp_path, factor, spread, verdict):
    base = around(0.02, 12, spread=0.8)
    frame = records({"a": base, "b": factor * base * around(1.0, 12, spread, seed=3)})
    (result,) = judged(tmp_path, frame, ALIKE)
    assert result.verdict == verdict, result.reason
    assert "95 % interval of the ratio" in result.reason
    (turned,) = judged(tmp_path, records({"a": base, "b": 3 * base}), ALIKE)
    assert turned.verdict == "not reproduced"  # control


def test_a_lower_bound_may_be_exceeded(tmp_path):
    row = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.9; tolerance = "share"'
    frame = records({"a": [0.98, 0.97, 0.985]})
    number, bound = judged(tmp_path, frame, row, row + "; at_least = true")
    assert (number.verdict, bound.verdict) == ("not reproduced", "reproduced")
    (low,) = judged(tmp_path, records({"a": [0.7, 0.71, 0.72]}), row + "; at_least = true")
    assert low.verdict == "not reproduced"


def test_orders_are_paired_over_seeds(tmp_path):
    base = around(0.02, 10, spread=0.8)
    frame = records({"a": base, "b": 1.05 * base})
    shuffled = records({"a": base, "b": 1.05 * base[::-1]})
    assert judged(tmp_path, frame, ORDER)[0].verdict == "reproduced"
    (unpaired,) = judged(tmp_path, shuffled, ORDER)
    assert unpaired.verdict != "reproduced" and "p = 0.00098" not in unpaired.reason


def test_the_orders_of_a_figure_share_their_level(tmp_path):
    base = np.arange(1.0, 8.0)
    frame = records({"a": base, "b": base + 0.1, "c": base + np.array([1, 2, 3, 4, 5, -0.2, -0.1])})  # p = 1/128, 4/128
    alone = 'kind = "order"; metric = "mse"; relations = ["a < c"]'
    (single,) = judged(tmp_path, frame, alone)
    assert single.verdict == "reproduced" and "p = 0.031 after Holm, in 5 of 7 seeds" in single.reason
    both = judged(tmp_path, frame, ORDER, alone)
    assert [r.verdict for r in both] == ["reproduced", "reproduced"]
    crowd = judged(tmp_path, frame, ORDER, alone, alone)
    assert [r.verdict for r in crowd] == ["reproduced", "direction only", "direction only"]
    assert "holds in the mean only" in crowd[1].reason and "p = 0.062 after Holm" in crowd[1].reason


def test_an_order_of_fewer_than_seven_seeds_is_a_direction(tmp_path):
    six, seven = ({"a": around(0.01, n), "b": around(0.02, n)} for n in (6, 7))
    (few,) = judged(tmp_path, records(six), ORDER)
    (enough,) = judged(tmp_path, records(seven), ORDER)
    assert (few.verdict, enough.verdict) == ("direction only", "reproduced")
    assert "too few seeds for a test: in 6 of 6 seeds" in few.reason and "p = 0.0078 after Holm" in enough.reason
    (reverse,) = judged(tmp_path, records({"a": six["b"], "b": six["a"]}), ORDER)
    assert reverse.verdict == "not reproduced" and "does not hold" in reverse.reason
    (equal,) = judged(tmp_path, records({"a": [5.0] * 8, "b": [5.0] * 8}), ORDER)
    assert equal.verdict == "not reproduced"  # absent


def test_an_identity_holds_in_every_run_or_not_at_all(tmp_path):
    row = 'kind = "exact"; variant = "a"; metric = "mse"; relations = ["a < 1e-10"]'
    for values, verdict in (([1e-15], "reproduced"), ([1e-15] * 9 + [1e-9], "not reproduced")):
        (result,) = judged(tmp_path, records({"a": values}), row)
        assert result.verdict == verdict and "Holm" not in result.reason
    (order,) = judged(tmp_path, records({"a": [1e-15]}), row.replace("exact", "measured"))
    assert order.verdict == "direction only"  # control: an order that wants seeds


def test_fewer_than_three_seeds_are_indicative(tmp_path):
    two, three = (judged(tmp_path, records({"a": around(0.01, n)}), VALUE)[0] for n in (2, 3))
    (one,) = judged(tmp_path, records({"a": [0.01]}), VALUE)
    assert [r.indicative for r in (one, two, three)] == [True, True, False]
    assert (one.observed, one.n_seeds) == (0.01, 1) and math.isnan(one.low) and math.isnan(one.high)


def test_only_records_of_the_paper_s_size_count(tmp_path):
    (result,) = judged(tmp_path, records({"a": around(0.01, 5)}, config_hash="smaller"), VALUE)
    assert (result.verdict, result.n_seeds) == ("not run", 0)
    assert result.reason == "no finished run of a at the paper's size (5 of other settings do not count)."
    assert judged(tmp_path, records({"a": around(0.01, 5)}), VALUE)[0].verdict == "reproduced"


def test_a_variant_whose_runs_all_failed_is_not_reproduced(tmp_path):
    frame = records({"a": [0.01] * 3}, failed={"a": range(3)})
    (result,) = judged(tmp_path, frame, VALUE)
    assert (result.verdict, result.n_seeds) == ("not reproduced", 0)
    assert math.isnan(result.observed)
    assert "c0" in format_table([result])


def test_two_records_of_one_run_are_refused(tmp_path):
    frame = records({"a": [0.01, 0.02]}).assign(seed=4)
    with pytest.raises(UserError, match="toy a paper has two records of seed 4"):
        judged(tmp_path, frame, VALUE)


def test_numbers_factors_and_other_metrics_in_relations(tmp_path):
    frame = records({"a": [3.0] * 8, "b": [31.0] * 8}).assign(rate=lambda f: 2 * f["mse"])
    rows = [f'kind = "order"; metric = "mse"; relations = ["{text}"]' for text in (
        "10 * a < b", "11 * a < b", "2.9 < a", "a < 2.9", "a < a:rate", "a:rate < a", "b ~ 2.9", "a ~ 2.9",
    )]  # fmt: skip
    rows[-2:] = [row.replace("order", "similar") + '; tolerance = "mse"' for row in rows[-2:]]
    held = [r.verdict == "reproduced" for r in judged(tmp_path, frame, *rows)]
    assert held == [True, False, True, False, True, False, False, True]


def test_kinds_without_a_verdict_on_a_number(tmp_path):
    literature = 'kind = "literature"; variant = "a"; metric = "mse"; claimed = 0.7'
    rows = [literature, literature + '; relations = ["a < b"]', 'kind = "no claim"', 'kind = "scaling"']
    for frame, verdicts in (
        (records({"a": around(0.1, 8), "b": around(0.2, 8)}), ["no claim", "direction only", "no claim", "not run"]),
        (records({"a": around(0.2, 6), "b": around(0.1, 6)}), ["no claim", "not reproduced", "no claim", "not run"]),
        (records({}), ["no claim", "not run", "no claim", "not run"]),
    ):
        assert [r.verdict for r in judged(tmp_path, frame, *rows)] == verdicts


def test_a_scaling_is_judged_by_its_relations(tmp_path):
    row = 'kind = "scaling"; variant = "a"; metric = "mse"; relations = ["200 < a < 2000"]'
    for decay, verdict in ((1200.0, "reproduced"), (150.0, "not reproduced"), (2500.0, "not reproduced")):
        (result,) = judged(tmp_path, records({"a": around(decay, 8)}), row)
        assert (result.verdict, result.tolerance) == (verdict, "p < 0.05")


def test_licensed_data_is_no_data_until_it_is_there(tmp_path):
    head = TOLERANCES + '\n[licences]\ntoy = "bring your own"\n'
    (without,) = judged(tmp_path, records({}), VALUE, head=head)
    (with_data,) = judged(tmp_path, records({"a": around(0.01, 5)}), VALUE, head=head)
    assert (without.verdict, without.reason) == ("no data", "bring your own.")
    assert with_data.verdict == "reproduced"
    other = claims(tmp_path, VALUE.replace('"a"', '"b"'), head=head)
    (not_run,) = check(other, records({"a": around(0.01, 5)}), HASHES, with_data={"toy"})
    assert not_run.verdict == "not run" and "bring" not in not_run.reason


def test_readings_and_causes_are_printed(tmp_path):
    row = VALUE + '; readings = 12; cause = "the text leaves the loss open"'
    (missed,) = judged(tmp_path, records({"a": around(0.03, 5)}), row)
    (hit,) = judged(tmp_path, records({"a": around(0.01, 5)}), row)
    (plain,) = judged(tmp_path, records({"a": around(0.03, 5)}), VALUE + "; readings = 0")
    assert missed.reason.endswith("; reading chosen among 12; the text leaves the loss open.")
    assert hit.reason.endswith("; reading chosen among 12.")
    (claim,) = claims(tmp_path, row)
    counted = dataclasses.replace(claim, holds_in="holds in 5 of 12 readings")
    (some,) = check([counted], records({"a": around(0.01, 5)}), HASHES)
    assert some.reason.endswith("; holds in 5 of 12 readings.") and some.verdict == hit.verdict
    assert "reading-dependent" not in format_table([some])
    alone = dataclasses.replace(some, holds_in="holds in 1 of 12 readings: reading-dependent")
    assert "reading-dependent (they hold in the chosen reading alone): c0" in format_table([alone])
    assert "reading" not in plain.reason


def test_no_records_at_all():
    results = check(load_claims(), records({}), {("pattern_generation", "e_prop_1"): "0"})
    verdicts = {r.id: r.verdict for r in results}
    assert set(verdicts.values()) == {"not run", "no data", "no claim"}
    assert (
        verdicts["1c-nmse"] == "not run" and verdicts["2c-eprop1"] == "no data" and verdicts["4g-order"] == "no claim"
    )
    assert not any(r.indicative or r.n_seeds for r in results)
    assert "1c-nmse" in format_table(results)


def test_the_terminal_table(tmp_path):
    frame = records({"a": around(0.01, 10), "b": [0.02]})
    text = format_table(judged(tmp_path, frame, VALUE, ORDER, 'kind = "no claim"', BELOW.replace('"a"', '"z"')))
    assert max(map(len, text.splitlines())) <= 120
    assert "10     reproduced\n" in text and "direction only*\n" in text and "* indicative" in text
    assert "no claim (a picture without a number, or another group's number): c2" in text
    assert "indicative" not in format_table(judged(tmp_path, frame, VALUE))
    assert format_table([]) == "no claims"


def test_which_verdict_is_worse():
    order = ["reproduced", "fitted", "direction only", "inconclusive", "not reproduced", "not run"]
    for better, other in itertools.combinations(order, 2):
        assert worse(other, better) and not worse(better, other)
    assert not any(worse(verdict, verdict) for verdict in RANK)
    assert not worse("not reproduced", "no data") and not worse("no data", "not run")


def test_a_word_of_the_first_rules_is_read_as_today_s(tmp_path):
    (tmp_path / "verdicts.json").write_text('{"c0": "ordering only", "c1": "inconclusive"}')
    assert read_verdicts(tmp_path) == {"c0": "direction only", "c1": "inconclusive"}
    (tmp_path / "verdicts.json").write_text('{"c0": "ordering"}')
    with pytest.raises(UserError, match=r"verdicts\.json"):
        read_verdicts(tmp_path)


def test_recorded_verdicts(tmp_path):
    assert read_verdicts(tmp_path) == {}
    frame = records({"a": around(0.01, 10), "b": around(0.02, 10)})
    write_verdicts(tmp_path, judged(tmp_path, frame, VALUE, ORDER))
    assert read_verdicts(tmp_path) == {"c0": "reproduced", "c1": "reproduced"}
    write_verdicts(tmp_path, judged(tmp_path, records({"a": [0.1] * 3}), VALUE))
    assert read_verdicts(tmp_path) == {"c0": "not reproduced", "c1": "reproduced"}
    for broken in ('{"c0": "repro', '["c0"]', '{"c0": "fine"}', '{"c0": ["reproduced"]}'):
        (tmp_path / "verdicts.json").write_text(broken)
        with pytest.raises(UserError, match=r"verdicts\.json (is not JSON that we wrote|does not map claims)"):
            read_verdicts(tmp_path)
