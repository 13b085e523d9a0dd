"""Records as pandas frames. docs/records.md lists the columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import UserError, unknown
from repro.records import store
from repro.records.record import RunRecord, read_arrays

if TYPE_CHECKING:
    import pandas as pd

TYPES = {  # the columns of every frame that `load` returns, before those of metrics and config keys
    "task": "str", "variant": "str", "profile": "str", "seed": "int64", "status": "str", "reason": "str",
    "config_hash": "str", "wall_s": "float64", "started": "str", "folder": "str", "device": "str", "machine": "str",
    "threads": "int64", "versions": "str", "git_commit": "str", "git_dirty": "bool", "weights_sha256": "str",
}  # fmt: skip
CURVE_TYPES = {key: TYPES[key] for key in ("task", "variant", "profile", "seed", "config_hash")} | {
    "iteration": "int64"
}


def load(where: str | Path = "runs", task: str | None = None, config: str | Sequence[str] = ()) -> "pd.DataFrame":
    """One row a run: the columns of `TYPES`, one a metric (NaN where a run has none), one `config.KEY` a key of
    `config` ("all": every key; None where a run has none).

    A task without records gives no rows. Raises UserError when `where` or a key is unknown, or a record cannot be read.
    """
    import pandas as pd

    records = store.read_all(where, task)
    keys = _config_keys([record.config for _, record in records], config)
    metrics = dict.fromkeys(name for _, record in records for name in record.metrics)
    columns = TYPES | dict.fromkeys(metrics, "float64") | {f"config.{key}": "object" for key in keys}
    rows = [
        {"folder": str(path), "versions": _versions(record)}
        | {name: getattr(record, name) for name in TYPES if name not in ("folder", "versions")}
        | {name: _of_parts(record, name) for name in ("device", "machine", "git_commit")}
        | dict(record.metrics)
        | {f"config.{key}": record.config.get(key) for key in keys}
        for path, record in records
    ]
    return pd.DataFrame(rows, columns=list(columns)).astype(columns).infer_objects()


def load_curves(where: str | Path = "runs", series: str = "nmse", task: str | None = None) -> "pd.DataFrame":
    """One row an iteration of a run that has `series`: the columns of `CURVE_TYPES`, and the series' value.

    A run's iterations count from 1 to the length of its own curve. Raises UserError when `where` or the series is
    unknown (no record has it), when it is no curve, or a record or its arrays cannot be read.
    """
    import pandas as pd

    frames, names = [], set()
    records = store.read_all(where, task)
    for path, record in records:
        arrays = read_arrays(path, record)
        names |= {name for name, values in arrays.items() if values.ndim == 1}
        if series in arrays:
            if arrays[series].ndim != 1:
                shape = " x ".join(map(str, arrays[series].shape))
                raise UserError(f"{series} of {path} is an array of {shape}, not a curve; read_arrays reads it")
            frame = pd.DataFrame({series: arrays[series].astype("float64")})
            row = {name: getattr(record, name) for name in CURVE_TYPES if name != "iteration"}
            frames.append(frame.assign(**row, iteration=range(1, len(frame) + 1)))
    if records and not frames:
        raise unknown("series", series, sorted(names), of=task or "these records")
    columns = CURVE_TYPES | {series: "float64"}
    return pd.concat(frames or [pd.DataFrame(columns=list(columns))], ignore_index=True)[list(columns)].astype(columns)


def one_of_each(rows: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """One row of each combination of `keys`, of rows as `load` returns them: the first whose run ended, or where none
    did the first. Rows of runs that ended come first."""
    ended_first = (rows["status"] == "unfinished").argsort(kind="stable")
    return rows.iloc[ended_first].drop_duplicates(list(keys))


def _config_keys(configs: Sequence[Mapping[str, Any]], wanted: str | Sequence[str]) -> list[str]:
    """The keys that become columns. Raises UserError for one that no record has."""
    known = list(dict.fromkeys(key for config in configs for key in config))
    keys = known if wanted == "all" else [wanted] if isinstance(wanted, str) else list(wanted)
    for key in keys:
        if key not in known and configs:
            raise unknown("config key", key, known)
    return keys


def _of_parts(record: RunRecord, name: str) -> str:
    """A field of a run that was made in parts: "one + other" where they differ, "" where one is unknown."""
    values = dict.fromkeys(getattr(part, name) for part in record.parts) or {getattr(record, name): None}
    return "" if "" in values else " + ".join(values)


def _versions(record: RunRecord) -> str:
    """The packages in one text, so that two machines compare: "numpy 2.4.6, torch 2.11.0"."""
    return ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))
