"""The records in the repository still mean what they say: names, hashes, provenance."""

import dataclasses

import pytest

from repro.config import config_hash, from_mapping
from repro.records.record import RunRecord, read_arrays, read_record
from repro.records.store import record_folders
from tasks import TASKS, get_task

ACCEPTED = record_folders("accepted")


def renamed(record: RunRecord) -> str:
    """The hash that a record's config has today."""
    return config_hash(from_mapping(get_task(record.task).config, record.config))


def test_there_are_records() -> None:
    assert ACCEPTED


@pytest.mark.parametrize(("task", "variant"), [(task, name) for task in TASKS for name in get_task(task).variants])
def test_ten_seeds_at_the_papers_size(task: str, variant: str) -> None:
    wanted = get_task(task).paper_hash(variant)
    found = [read_record(path) for path in ACCEPTED if path.parts[-3:-1] == (task, f"{variant}-{wanted}")]
    assert sorted(record.seed for record in found) == list(range(10))


def test_every_record_bears_its_own_name() -> None:
    """Fails when a default was changed without keeping the old one as `introduced`: see docs/extending.md."""
    for path in ACCEPTED:
        record = read_record(path)
        assert path.parent.name == f"{record.variant}-{record.config_hash}", path
        assert renamed(record) == record.config_hash, path
        assert not record.git_dirty, path
        assert read_arrays(path, record), path


def test_control_another_default_gives_another_name() -> None:
    record = read_record(ACCEPTED[0])
    moved = dataclasses.replace(record, config={**record.config, "task_loss": "mean"})
    assert renamed(moved) != record.config_hash
