"""Which of a task's runs belong together: those of one size, on the same data. No torch in here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from repro.records.frames import one_of_each
from repro.runs.config import Value, config_hash
from repro.runs.scale import paper_hashes
from repro.runs.task import Task

if TYPE_CHECKING:
    import pandas as pd


class Size(NamedTuple):
    """How large runs are, and on which data: a profile with the paper's data or a substitute's.

    `stamp` is how that differs from the paper's, empty if it does not; `source` names the substitute, empty where
    data are the paper's; `hashes` are those of the variants' configs, more than one where runs of different readings or
    lengths go together (`repro.runs.scale`).
    """

    stamp: str
    source: str
    hashes: Mapping[str, tuple[str, ...]]


def choose(task: Task, runs: "pd.DataFrame") -> "tuple[Size, pd.DataFrame]":
    """The paper's size on the paper's data if any of a task's runs is, else the size that has most; and its runs.
    Unfinished ones decide only where there are no others. `runs` have config columns; see `paper_hashes`."""
    paper, *others = sizes(task)
    of_size = [(size, _of(size, runs)) for size in (paper._replace(hashes=paper_hashes(task, runs)), *others)]

    def weight(pair: "tuple[Size, pd.DataFrame]") -> tuple[bool, int, int]:
        size, rows = pair
        ended = int((rows.status != "unfinished").sum())
        return not size.stamp and ended > 0, ended, len(rows)

    return max(of_size, key=weight)


def _of(size: Size, runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs of a size; of a variant and seed with several the first of the size's hashes whose run ended."""
    place = {(variant, digest): place for variant, hashes in size.hashes.items() for place, digest in enumerate(hashes)}
    at = runs[["variant", "seed", "status"]].assign(
        place=[place.get(pair, -1) for pair in zip(runs.variant, runs.config_hash, strict=True)]
    )
    ours = one_of_each(at[at.place >= 0].sort_values("place", kind="stable"), ["variant", "seed"])
    return runs.loc[ours.index.sort_values()]


def sizes(task: Task) -> list[Size]:
    """Every profile on the paper's data, then on each substitute, the largest first; whatever this machine has.

    The paper's comes first and has the empty stamp.
    """
    paper = {variant: (task.paper_hash(variant),) for variant in task.variants}
    whole = {profile for profile in task.profiles if _hashes(task, profile, {}) == paper}
    known = {"": Size("", "", paper)}
    for source, values in {"": {}, **task.substitutes}.items():
        for profile in list(task.profiles)[::-1]:
            smaller = f"{source}, {profile} size" if source else f"not the paper's size ({profile})"
            stamp = source if profile in whole else smaller
            known.setdefault(stamp, Size(stamp, source, _hashes(task, profile, values)))
    return list(known.values())


def _hashes(task: Task, profile: str, data: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    return {variant: (config_hash(task.resolve(variant, profile, data=data)),) for variant in task.variants}
