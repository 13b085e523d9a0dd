"""Records and claims made up for the tests: a task "toy", whose paper hash for every variant is "paper"."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from repro.claims.check import check
from repro.claims.claim import PaperClaim, load_claims
from repro.claims.claim_result import ClaimResult
from repro.records.frames import TYPES

HASHES = {("toy", variant): ("paper",) for variant in "abc"}
TOLERANCES = """
[tolerances]
mse = { factor = 1.5, why = "a test" }
share = { absolute = 0.02, why = "a test" }
count = { relative = 0.5, why = "a test" }
length = { ladder = [5, 7, 9, 12, 15, 19], why = "a test" }
"""


def records(
    values: Mapping[str, Sequence[float] | np.ndarray],
    failed: Mapping[str, Iterable[int]] | None = None,
    metric: str = "mse",
    config_hash: str = "paper",
) -> pd.DataFrame:
    """One row a value, seeds counted from 0; those of `failed` carry no value. As repro.records.frames.load gives."""
    rows = []
    for variant, sample in values.items():
        for seed, value in enumerate(sample):
            dead = seed in (failed or {}).get(variant, ())
            row = dict.fromkeys(TYPES, "") | {"task": "toy", "variant": variant, "seed": seed, "wall_s": 1.0}
            row |= {"config_hash": config_hash, "status": "failed" if dead else "finished", "git_dirty": False}
            rows.append(row | ({"reason": "the loss is NaN"} if dead else {metric: value}))
    return pd.DataFrame(rows, columns=None if rows else list(TYPES))


def around(centre: float, n: int, spread: float = 0.05, seed: int = 0) -> np.ndarray:
    """n positive values [seed] scattered about `centre`."""
    return centre * np.exp(spread * np.random.default_rng(seed).standard_normal(n))


def claims(tmp_path: Path, *rows: str, head: str = TOLERANCES) -> list[PaperClaim]:
    """Claims of the toy task from lines of TOML, with ids c0, c1, ... where none is given."""
    text = head
    for number, row in enumerate(rows):
        lines = [line.strip() for line in row.split(";")]
        keys = {line.split(" = ")[0] for line in lines}
        preset = {"id": f'"c{number}"', "panel": '"1d"', "text": '"a claim"', "task": '"toy"'}
        lines += [f"{key} = {value}" for key, value in preset.items() if key not in keys]
        text += "\n[[fig1]]\n" + "\n".join(lines) + "\n"
    path = tmp_path / "claims.toml"
    path.write_text(text)
    return load_claims(path)


def judged(tmp_path: Path, frame: pd.DataFrame, *rows: str, head: str = TOLERANCES) -> list[ClaimResult]:
    """The verdicts on such claims."""
    return check(claims(tmp_path, *rows, head=head), frame, HASHES)
