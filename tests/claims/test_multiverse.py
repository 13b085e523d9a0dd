"""The count of readings in which a claim holds, and the file of results."""

from pathlib import Path

import pytest

from repro.claims.claim import load_claims
from repro.claims.multiverse import (
    Holds,
    Reading,
    ReadingResult,
    Role,
    count_text,
    is_dependent,
    read_results,
    with_counts,
    write_results,
)
from repro.errors import UserError


def result(number: int, holds: Holds, *roles: Role, claim: str = "1d-eprop1") -> ReadingResult:
    reading = Reading(figure="fig1", study="a_try", name="", values=f"v_th={number}", roles=list(roles))
    return ReadingResult(claim, reading, holds, "0.012")


def readings(*holds: Holds) -> list[ReadingResult]:
    """The first one is the chosen."""
    return [result(number, each, *(["chosen"] if not number else [])) for number, each in enumerate(holds)]


@pytest.mark.parametrize(
    ("results", "text"),
    [
        (readings("yes", "yes", "no"), "holds in 2 of 3 readings"),
        (readings("no", "no", "no"), "holds in 0 of 3 readings"),
        (readings("yes", "no", "no"), "holds in 1 of 3 readings: reading-dependent"),
        (readings("no", "yes", "no"), "holds in 1 of 3 readings"),  # in another than the chosen
        (readings("yes", "no", "unfinished"), "holds in 1 of 2 readings that are finished, of 3"),
        (readings("unfinished", "unfinished"), ""),
        (readings("yes"), "holds in 1 of 1 readings"),
        ([], ""),
    ],
)
def test_the_count(results: list[ReadingResult], text: str) -> None:
    assert count_text(results) == text
    assert is_dependent(results) == text.endswith("dependent")


def test_a_control_does_not_count() -> None:
    assert count_text([*readings("yes", "no"), result(9, "yes", "control")]) == (
        "holds in 1 of 2 readings: reading-dependent"
    )
    assert count_text([*readings("yes", "no"), result(9, "yes")]) == "holds in 2 of 3 readings"  # the same, no control


def test_each_claim_has_its_own_count() -> None:
    counted = with_counts(load_claims(), [*readings("yes", "yes"), result(0, "no", claim="1-rate")])
    texts = {claim.id: claim.holds_in for claim in counted if claim.holds_in}
    assert texts == {"1d-eprop1": "holds in 2 of 2 readings", "1-rate": "holds in 0 of 1 readings"}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, results = tmp_path / "holds_in.json", [*readings("yes", "no"), result(0, "no", "chosen", claim="1-rate")]
    assert read_results(path) == []
    write_results(results, path)
    assert sorted(read_results(path), key=str) == sorted(results, key=str)
    assert len(path.read_text().splitlines()) == 4  # a line a reading, and two brackets


@pytest.mark.parametrize(
    ("old", "new"), [('"yes"', '"perhaps"'), ('"study"', '"stduy"'), ('"chosen"', '"best"'), ("[\n", "")]
)
def test_a_file_that_is_not_ours(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "holds_in.json"
    write_results(readings("yes", "no"), path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=r"holds_in.json is not"):
        read_results(path)
