"""Word prediction in two processes that share a text's streams: the training of each."""

from pathlib import Path
from typing import Any

import pytest
import torch

from repro.runs.rules import learning_rules
from tasks.word_prediction.data import WordPredictionData
from tasks.word_prediction.module import WordPredictionModule
from tests.library.own import trainer_of, weights
from tests.runs.pair import meet
from tests.tasks import made_up

# The last window of an epoch predicts nothing: DDP has to look for parameters without a gradient.
STRATEGY = {
    "bptt_4": "ddp",
    "e_prop_3": "ddp_find_unused_parameters_true",
    "bptt_20_two_layers": "ddp",
}
SAME_SHARD = "both processes with the first half"


def fit(variant: str, batch_size: int = 4, **options: Any) -> dict[str, torch.Tensor]:
    """The weights after two epochs, most of their windows clipped."""
    values = {"truncation_steps": 4, "iterations": 2, "clip_norm": 1.0, "learning_rate": 0.3, "init_scale": 0.5}
    config = made_up.config(variant, **{**values, "batch_size": batch_size})
    module = WordPredictionModule(config, 3).double()
    trainer = trainer_of(*learning_rules(config, 3), gradient_clip_val=config.clip_norm, **options)
    with pytest.MonkeyPatch.context() as patch:
        made_up.use(patch)
        trainer.fit(module, datamodule=WordPredictionData(config, 3))
    return weights(module)


def share(rank: int, port: int, folder: Path) -> None:
    """One of two processes that train together, each variant; saves the weights."""
    meet(rank, port)
    for variant, strategy in STRATEGY.items():
        torch.save(fit(variant, devices=2, strategy=strategy), folder / f"{variant}-{rank}.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WordPredictionData, "_share", lambda data: data.streams.chunk(2)[0])
        torch.save(fit("bptt_4", devices=2, strategy="ddp"), folder / f"{SAME_SHARD}-{rank}.pt")
