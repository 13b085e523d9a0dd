"""Which configs are at the paper's scale: every value that the paper prints is the paper's. No torch in here.

Values that the text leaves open may be any listed reading, the same for all variants: the chosen one if any of its runs
has ended, else the one with most. Only a run's length may differ between them where it is no more than the iteration at
which a run is given up (`Task.given_up_after`): what is measured is then censored there.
"""

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repro.errors import UserError
from repro.runs.config import Provenance, Value, from_mapping, provenance
from repro.runs.task import Task

if TYPE_CHECKING:
    import pandas as pd

Reading = tuple[tuple[str, Value], ...]
OF_RECORD = ("variant", "config_hash", "status")  # columns of a frame that are no config keys


def paper_hashes(task: Task, runs: "pd.DataFrame") -> dict[str, tuple[str, ...]]:
    """Variant -> hashes of the configs at the paper's scale, that of the task itself first, then the longest runs.

    `runs` are rows of the task's records with their config, as repro.records.frames.load(config="all") returns them.
    """
    chosen = {variant: {task.paper_hash(variant): 0.0} for variant in task.variants}
    known, ended, length = set(), collections.Counter[Reading](), {}
    for row in _configs(runs):
        config = reading_at_scale(task, row["variant"], row)
        if config is None:
            continue
        reading, last = config
        known.add((row["variant"], row["config_hash"], reading))
        length[row["config_hash"]] = last
        ended[reading] += row["status"] != "unfinished"
    default = _reading(task, "", task.config())
    best = default if ended[default] or not ended else max(ended, key=lambda reading: (ended[reading], repr(reading)))
    if best != default:
        chosen = {variant: {} for variant in task.variants}
    for variant, digest, reading in sorted(known, key=lambda row: -length[row[1]]):
        if reading == best:
            chosen[variant].setdefault(digest, length[digest])
    return {variant: tuple(hashes) for variant, hashes in chosen.items()}


def _configs(runs: "pd.DataFrame") -> list[dict[str, Any]]:
    """One mapping a run: variant, hash, status, and its config's keys and values."""
    keys = [name for name in runs.columns if name.startswith("config.")]
    rows = runs[["variant", "config_hash", "status", *keys]].to_dict("records")
    return [{name.removeprefix("config."): value for name, value in row.items() if not _missing(value)} for row in rows]


def reading_at_scale(task: Task, variant: str, values: Mapping[str, Any]) -> tuple[Reading, float] | None:
    """The reading and the length of a config; None if it is not at the paper's scale or not of that variant."""
    if variant not in task.variants:
        return None
    try:
        config = from_mapping(task.config, {key: value for key, value in values.items() if key not in OF_RECORD})
    except (UserError, TypeError, ValueError):
        return None
    settings = task.variant(variant).settings
    paper = task.config(**settings)
    for key, p in provenance(task.config).items():
        value, wanted = getattr(config, key), getattr(paper, key)
        if value == wanted or (key == task.given_up_after and key not in settings):
            continue
        if p.source == "paper" or key in settings or not _listed(task, key, p, value):
            return None
    return _reading(task, variant, config), float(getattr(config, task.given_up_after, 0.0) or 0.0)


def _listed(task: Task, key: str, p: Provenance, value: Value) -> bool:
    """Whether a value is a listed reading of what the text leaves open."""
    return value in p.choices or value in task.listed.get(key, ())


def _reading(task: Task, variant: str, config: Any) -> Reading:
    """The values of what the text leaves open, the variant's own at their defaults."""
    own, default = (task.variant(variant).settings if variant else ()), task.config()
    open_keys = [key for key, p in provenance(task.config).items() if p.source == "assumed"]
    return tuple(
        (key, getattr(default if key in own else config, key)) for key in open_keys if key != task.given_up_after
    )


def _missing(value: Any) -> bool:
    """Whether a run has no such key: pandas writes None or NaN."""
    return value is None or value != value
