"""Orders of figure 4 at equal numbers of weight updates: a rule makes one a window, full BPTT one a sequence."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from paper_figures.questions.sources import Sources
from repro.records.record import read_arrays, read_record
from repro.runs.registry import get_task
from repro.text import format_number


class AtUpdates(NamedTuple):
    """What was compared, in a sentence, and the records."""

    text: str
    runs: pd.DataFrame


def of_copy_repeat(sources: Sources) -> AtUpdates:
    """The length that each rule of figure 4e has solved at the end, and after as many updates as full BPTT made."""
    runs = _finished(sources, "copy_repeat")
    if "bptt_full" not in set(runs.variant):
        return AtUpdates("Copy-repeat has no finished run of full BPTT to compare with.", runs)
    least = int(runs["config.iterations"][runs.variant == "bptt_full"].max())
    ends: dict[str, list[tuple[float, float]]] = {}
    for _, row in runs.iterrows():
        arrays = read_arrays(Path(row.folder), read_record(Path(row.folder)))
        steps = int(row["config.truncation_steps"])
        made = np.cumsum(np.ceil(arrays["length"] / steps) if steps else np.ones(len(arrays["length"])))
        solved = arrays["length_solved"]
        ends.setdefault(row.variant, []).append(
            (solved[-1], solved[max(int(np.searchsorted(made, least, side="right")) - 1, 0)])
        )
    labels = get_task("copy_repeat").variants
    means = {labels[variant].label: np.mean(values, axis=0) for variant, values in ends.items()}
    texts = [f"{name} {after:.0f} ({batch:.0f})" for name, (batch, after) in means.items()]
    return AtUpdates(
        f"On copy-repeat the number of updates matters: mean length solved after {least:,} updates each (in brackets "
        "after "
        f"{least:,} batches each, in which full BPTT makes one update a batch and the others several): "
        f"{', '.join(texts)}.",
        runs,
    )


def of_word_prediction(sources: Sources) -> AtUpdates:
    """The validation perplexity of figure 4f's rules after as many updates as BPTT over 20 steps makes."""
    runs = _finished(sources, "word_prediction")
    by_variant = {str(row.variant): row for _, row in runs.sort_values("seed", ascending=False).iterrows()}
    if not {"bptt_20", "bptt_4"} <= set(by_variant):
        return AtUpdates("Word prediction has no finished runs to compare at equal updates.", runs)
    curves = {
        variant: read_arrays(Path(row.folder), read_record(Path(row.folder)))["valid_perplexity"]
        for variant, row in by_variant.items()
    }
    steps = {variant: int(row["config.truncation_steps"]) for variant, row in by_variant.items()}
    long, short = curves["bptt_20"], curves["bptt_4"]
    epochs = len(long) * steps["bptt_4"] // steps["bptt_20"]
    if not epochs or epochs > len(short):
        return AtUpdates("Word prediction has no finished runs to compare at equal updates.", runs)
    return AtUpdates(
        f"In word prediction BPTT over 20 steps makes a fifth of the updates of rules with windows of 4: it ends at a "
        f"validation perplexity of {format_number(float(long[-1]))} after {len(long)} epochs, where BPTT over 4 steps "
        "has "
        f"{format_number(float(short[epochs - 1]))} after as many updates ({epochs} epochs) and "
        f"{format_number(float(short[-1]))} after {len(short)} epochs (seed {int(by_variant['bptt_4'].seed)}).",
        runs,
    )


def _finished(sources: Sources, task: str) -> pd.DataFrame:
    runs = sources.runs(task)
    return runs[runs.status == "finished"]
