"""docs/parameters.md has every value of every task, and is the page that the configs give now."""

import dataclasses
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.records.store import CHECKOUT
from repro.runs import parameters
from repro.runs.config import assumed, paper, parse_value
from repro.runs.registry import all_tasks
from repro.runs.task import Profile, Task, Variant

PAGE = CHECKOUT / "docs" / "parameters.md"


@dataclasses.dataclass(frozen=True)
class MadeUp:
    """A config."""

    rate_hz: float = paper(50.0, "Eq. 3 | a table", low=0.1)
    trials: int = paper(3, "Results", low=1, high=9)
    loss: str = assumed("sum", "either; <this> one", choices=("sum", "mean"))
    falls_off: bool = assumed(False, "as printed")
    note: str = assumed("none", "a text")


TASK = Task(
    name="made_up",
    figure="fig1",
    panels=("1c",),
    about="a task",
    config=MadeUp,
    variants={"a": Variant("A", "the first", {"loss": "mean", "falls_off": True})},
    profiles={"quick": Profile("small", {"trials": 2}, (0,))},
    seconds={"a": 1.0},
    megabytes=1.0,
)


def test_a_value_its_source_and_its_range() -> None:
    lines = parameters.page([TASK]).splitlines()
    for line in (
        r"| `rate_hz` | 50 | paper | from 0.1 | Eq. 3 \| a table |",
        "| `trials` | 3 | paper | 1 to 9 | Results |",
        r"| `loss` | sum | assumed | sum, mean | either; \<this> one |",
        "| `falls_off` | false | assumed | true, false | as printed |",
        "| `note` | none | assumed | any text | a text |",
        "| `a` | A | `loss=mean`, `falls_off=true` |",
        "| `quick` | small | `trials=2` |",
    ):
        assert line in lines


def test_the_page_is_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "parameters", "--write", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == PAGE.read_text(), (
        "run `repro list parameters --write docs/parameters.md`"
    )
    assert "| `v_th` | 0.61 | paper |" in PAGE.read_text()  # task 1.1 of the paper
    capsys.readouterr()
    assert main(["list", "parameters"]) == 0
    printed = capsys.readouterr().out
    for task in all_tasks():
        for field in dataclasses.fields(task.config):
            assert f" {field.name} " in printed


def test_every_value_is_what_set_takes() -> None:
    for task in all_tasks():
        variants, profiles = task.variants.values(), task.profiles.values()
        values = [dataclasses.asdict(task.config()), *(each.settings for each in (*variants, *profiles))]
        for key, value in (pair for settings in values for pair in settings.items()):
            assert parse_value(task.config, key, parameters.shown(value)) == value
    assert parse_value(MadeUp, "rate_hz", f"{1 / 6:.6g}") != 1 / 6  # control


def test_only_parameters_have_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "claims", "--write", str(tmp_path / "page.md")]) == 2
    assert "--write goes with `repro list parameters`" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
