"""What the user types: seeds, settings, bounds, folders."""

from pathlib import Path

import pytest

from repro.cli.arguments import checked_int, parse_list, parse_seeds, parse_settings
from repro.errors import UserError
from repro.records.store import require_writable


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", (0,)),
        ("3", (0, 1, 2)),
        ("0-9", tuple(range(10))),
        ("3-3", (3,)),
        ("0,3,5", (0, 3, 5)),
        ("0-2,7", (0, 1, 2, 7)),
        ("7,0-2,1", (0, 1, 2, 7)),
        (" 4 , 5 ", (4, 5)),
    ],
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "9-0", "1.5", "a", "0,,2", "3,", "0-", "0-99999999", "99999999999", "\u0663", "9" * 5000]
)
def test_seeds_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--seeds .*wants"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["99999999999", "9" * 5000, "0-" + "9" * 5000, "\u0663"])
def test_seeds_that_python_would_read_or_choke_on(text: str) -> None:
    with pytest.raises(UserError, match=r"--seeds .*wants a count"):
        parse_seeds(text)


def test_settings() -> None:
    assert parse_settings(["n_rec=40", "feedback=global"]) == {"n_rec": "40", "feedback": "global"}


@pytest.mark.parametrize("pairs", [["n_rec"], ["=3"], ["n_rec="], ["n_rec=3", "n_rec=4"]])
def test_settings_refused(pairs: list[str]) -> None:
    with pytest.raises(UserError, match=r"--set n_rec|--set =3"):
        parse_settings(pairs)


def test_list() -> None:
    assert parse_list("1c, 1d,") == ("1c", "1d")
    assert parse_list("") is None


@pytest.mark.parametrize("text", ["0", "9", "2.0", "two", "1e1", "", "\u0663", "9" * 5000])
def test_whole_number_refused(text: str) -> None:
    assert checked_int("--jobs", "8", 1, 8) == 8
    with pytest.raises(UserError, match=r"--jobs .*wants a whole number from 1 to 8"):
        checked_int("--jobs", text, 1, 8)


def test_writable_makes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert require_writable(folder) == folder
    assert not (tmp_path / "a").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(UserError, match="file is not a folder"):
            require_writable(folder)
