import math

import numpy as np
import pytest

from repro.claims.check import check
from repro.claims.claim import load_claims
from repro.claims.table import format_table
from repro.claims.verdicts import RANK, read_verdicts, worse, write_verdicts
from repro.errors import UserError
from tests.claims.synthetic import TOLERANCES, around, judged, records

VALUE = 'kind = "value"; variant = "a"; metric = "mse"; claimed = 0.01; tolerance = "mse"'
BELOW = VALUE + '; relations = ["a < b"]'
ORDER = 'kind = "order"; variant = "a"; metric = "mse"; relations = ["a < b"]'
ALIKE = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["a ~ b"]'


@pytest.mark.parametrize(
    ("ours", "other", "row", "verdict"),
    [
        (0.012, None, VALUE, "reproduced"),
        (0.016, None, VALUE, "not reproduced"),
        (0.0065, None, VALUE, "not reproduced"),
        (0.012, 0.02, BELOW, "reproduced"),
        (0.016, 0.02, BELOW, "ordering only"),
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


def test_a_wide_interval_reaches_a_value_that_the_mean_misses(tmp_path):
    (wide,) = judged(tmp_path, records({"a": [0.004, 0.005, 0.006, 0.002, 0.018, 0.004]}), VALUE)
    (narrow,) = judged(tmp_path, records({"a": [0.004, 0.005, 0.006, 0.002, 0.005, 0.004]}), VALUE)
    assert (wide.verdict, narrow.verdict) == ("reproduced", "not reproduced")
    assert wide.low < 0.01 < wide.high and "the interval holds the paper's 0.01" in wide.reason


def test_a_representative_run_is_judged_by_the_median(tmp_path):
    frame = records({"a": [0.004, 0.005, 0.0045, 0.005, 0.2]})
    mean, median = judged(tmp_path, frame, VALUE, VALUE + '; statistic = "median"')
    assert (mean.observed, median.observed) == pytest.approx((0.0437, 0.005))
    assert "mean" in mean.reason and "mean" not in median.reason
    assert "median" in median.reason and "median" not in mean.reason


@pytest.mark.parametrize(
    ("values", "mean", "median"), [([0.011] * 4 + [0.09], False, True), ([0.018, 0.018, 0.001], True, False)]
)
def test_the_statistic_that_is_printed_is_the_one_that_is_judged(tmp_path, values, mean, median):
    frame = records({"a": values, "b": [0.011] * len(values)})
    alike = 'kind = "similar"; variant = "b"; metric = "mse"; tolerance = "mse"; relations = ["b ~ a"]'
    results = judged(tmp_path, frame, alike, alike + '; statistic = "median"')
    assert [r.verdict == "reproduced" for r in results] == [mean, median]
    numbers = f"{np.mean(values):.3g}", f"{np.median(values):.3g}"
    for result, word, number in zip(results, ("means", "medians"), numbers, strict=True):
        assert f"{word} 0.011 and {number}," in result.reason


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
    assert unpaired.verdict == "not reproduced" and "is not significant" in unpaired.reason


def test_the_orders_of_a_figure_share_their_level(tmp_path):
    base = np.arange(1.0, 7.0)
    frame = records({"a": base, "b": base + 0.1, "c": base + np.array([1, 2, 3, 4, 5, -0.5])})  # p = 1/64, 2/64
    alone = 'kind = "order"; metric = "mse"; relations = ["a < c"]'
    (single,) = judged(tmp_path, frame, alone)
    assert single.verdict == "reproduced" and "p = 0.031 after Holm, 6 seeds" in single.reason
    both = judged(tmp_path, frame, ORDER, alone)
    assert [r.verdict for r in both] == ["reproduced", "reproduced"]
    crowd = judged(tmp_path, frame, ORDER, alone, alone)
    assert [r.verdict for r in crowd] == ["reproduced", "not reproduced", "not reproduced"]
    assert "p = 0.062 after Holm" in crowd[1].reason


def test_too_few_seeds_for_a_test_leave_it_to_the_means(tmp_path):
    four, five = ({"a": around(0.01, n), "b": around(0.02, n)} for n in (4, 5))
    (few,) = judged(tmp_path, records(four), ORDER)
    (enough,) = judged(tmp_path, records(five), ORDER)
    assert few.verdict == enough.verdict == "reproduced"
    assert few.indicative and "too few seeds for a test: 4" in few.reason
    assert not enough.indicative and "p = 0.031" in enough.reason
    (reverse,) = judged(tmp_path, records({"a": four["b"], "b": four["a"]}), ORDER)
    assert reverse.verdict == "not reproduced"


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


def test_failed_runs_are_counted_and_named(tmp_path):
    frame = records({"a": around(0.01, 6), "b": around(0.02, 6)}, failed={"a": (2, 5), "b": range(6)})
    value, order = judged(tmp_path, frame, VALUE, ORDER)
    assert (value.verdict, value.n_seeds) == ("reproduced", 4)
    assert "2 of 6 runs of a failed (seed 2, 5: the loss is NaN)" in value.reason
    assert order.verdict == "not reproduced" and "6 of 6 runs of b failed" in order.reason
    (broken,) = judged(tmp_path, records({"a": [0.01, 0.01, math.nan, math.inf]}), VALUE)
    assert broken.n_seeds == 2 and "2 of 4 runs of a failed (seed 2, 3: no finite mse)" in broken.reason


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
    frame = records({"a": [3.0] * 6, "b": [31.0] * 6}).assign(rate=lambda f: 2 * f["mse"])
    rows = [f'kind = "order"; metric = "mse"; relations = ["{text}"]' for text in (
        "10 * a < b", "11 * a < b", "2.9 < a", "a < 2.9", "a < a:rate", "a:rate < a", "b ~ 2.9",
    )]  # fmt: skip
    rows[-1] = rows[-1].replace("order", "similar") + '; tolerance = "mse"'
    held = [r.verdict == "reproduced" for r in judged(tmp_path, frame, *rows)]
    assert held == [True, False, True, False, True, False, False]


def test_kinds_without_a_verdict_on_a_number(tmp_path):
    literature = 'kind = "literature"; variant = "a"; metric = "mse"; claimed = 0.7'
    rows = [literature, literature + '; relations = ["a < b"]', 'kind = "no claim"', 'kind = "scaling"']
    for frame, verdicts in (
        (records({"a": around(0.1, 6), "b": around(0.2, 6)}), ["no claim", "ordering only", "no claim", "not run"]),
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


def test_readings_and_causes_are_printed(tmp_path):
    row = VALUE + '; readings = 12; cause = "the text leaves the loss open"'
    (missed,) = judged(tmp_path, records({"a": around(0.03, 5)}), row)
    (hit,) = judged(tmp_path, records({"a": around(0.01, 5)}), row)
    (plain,) = judged(tmp_path, records({"a": around(0.03, 5)}), VALUE + "; readings = 0")
    assert missed.reason.endswith("; reading chosen among 12; the text leaves the loss open.")
    assert hit.reason.endswith("; reading chosen among 12.")
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
    assert "10     reproduced\n" in text and "reproduced*\n" in text and "* indicative" in text
    assert "no claim (a picture without a number, or another group's number): c2" in text
    assert "indicative" not in format_table(judged(tmp_path, frame, VALUE))
    assert format_table([]) == "no claims"


def test_which_verdict_is_worse():
    assert worse("ordering only", "reproduced") and not worse("reproduced", "ordering only")
    assert worse("not reproduced", "ordering only") and worse("not run", "not reproduced")
    assert not any(worse(verdict, verdict) for verdict in RANK)
    assert not worse("not reproduced", "no data") and not worse("no data", "not run")


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
