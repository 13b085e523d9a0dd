"""A config key that is renamed keeps the hashes of its records; its former names are still accepted."""

import dataclasses
from pathlib import Path

import pytest

from repro.cli.main import main
from repro.errors import UserError
from repro.runs import registry
from repro.runs.config import assumed, config_hash, field_name, from_mapping, provenance
from repro.studies import studyfile
from tasks.pattern_generation.config import TASK
from tests.studies.conftest import GOOD


def made_up(name: str, **names: object) -> type:
    """A config class with the task's keys and one of that name."""
    key = assumed(0.5, "a key of the test", low=0.0, high=1.0, **names)
    return dataclasses.make_dataclass(TASK.config.__name__, [(name, float, key)], bases=(TASK.config,), frozen=True)


BEFORE = made_up("old_name")
AFTER = made_up("new_name", introduced_as="old_name", aliases=("middle_name",))
RENAMED = dataclasses.replace(TASK, config=AFTER)


@pytest.mark.parametrize("value", [0.5, 0.25])
def test_a_renamed_key_keeps_the_hash(value: float) -> None:
    assert config_hash(AFTER(new_name=value)) == config_hash(BEFORE(old_name=value))


def test_control_without_its_first_name_the_hash_changes() -> None:
    assert config_hash(made_up("new_name")(new_name=0.25)) != config_hash(BEFORE(old_name=0.25))


@pytest.mark.parametrize("name", ["old_name", "middle_name", "new_name"])
def test_former_names_are_accepted(name: str) -> None:
    assert field_name(AFTER, name) == "new_name"
    assert from_mapping(AFTER, {name: 0.25}).new_name == 0.25
    assert RENAMED.resolve("bptt", "smoke", {name: "0.25"}).new_name == 0.25


def test_a_name_that_it_never_had() -> None:
    with pytest.raises(UserError, match="unknown key 'older_name' of PatternGenerationConfig; did you mean"):
        RENAMED.resolve("bptt", "smoke", {"older_name": "0.25"})
    with pytest.raises(UserError, match="unknown key ''"):
        field_name(AFTER, "")


def test_a_former_name_keeps_the_limits_and_is_not_given_twice() -> None:
    with pytest.raises(UserError, match="new_name lies between 0 and 1"):
        RENAMED.resolve("bptt", "smoke", {"old_name": "2"})
    with pytest.raises(UserError, match="new_name and old_name are the same key"):
        RENAMED.resolve("bptt", "smoke", {"old_name": "0.1", "new_name": "0.2"})


def test_set_notes_the_name_of_today(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("repro.cli.run.get_task", lambda name: RENAMED)
    file = tmp_path / "file"
    file.write_text("")
    words = ["run", TASK.name, "--variant", "bptt", "--profile", "smoke", "--out", str(file)]
    assert main([*words, "--set", "old_name=0.25"]) == 2  # there is no folder to write to
    assert "note: old_name is called new_name now\n" in capsys.readouterr().err
    assert main([*words, "--set", "new_name=0.25"]) == 2
    assert "note: " not in capsys.readouterr().err


def test_a_study_may_have_former_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(studyfile, "get_task", lambda name: RENAMED)
    path = tmp_path / "a_try.toml"
    path.write_text(GOOD + "old_name = [0.1, 0.2]\n")
    assert studyfile.load(path).grid["new_name"] == (0.1, 0.2)
    path.write_text(GOOD + "old_name = [0.1, 0.2]\nnew_name = [0.3]\n")
    with pytest.raises(UserError, match="grid: 'new_name' is given twice"):
        studyfile.load(path)


def test_no_field_has_the_name_of_another() -> None:
    for task in registry.all_tasks():
        fields = provenance(task.config)
        former = [name for p in fields.values() for name in (p.introduced_as, *p.aliases) if name]
        assert len({*fields, *former}) == len(fields) + len(former), task.name
