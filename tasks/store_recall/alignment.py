"""How well random feedback is aligned with the readout weights before any training."""

import torch

from repro.runs.rules import feedback_of
from repro.runs.seeds import generator
from tasks.store_recall.config import StoreRecallConfig
from tasks.store_recall.module import StoreRecallModule


@torch.no_grad()
def as_built(config: StoreRecallConfig, seed: int) -> dict[str, float]:
    """`alignment`: the cosine, over neurons, of the difference between the two readouts' columns of B and that between
    their rows of W_out. It is 1 for symmetric feedback.

    The two readouts compete, so that in the cross entropy only these differences matter (Eq. 50, 51).
    """
    readout = StoreRecallModule(config, seed).network.readout
    readout.seed_feedback(generator(seed, "feedback").initial_seed())
    readout.feedback = feedback_of(config)
    (b,), w_out = readout.feedback_weights(1), readout.w_out
    return {"alignment": float(torch.cosine_similarity(b[:, 1] - b[:, 0], w_out[1] - w_out[0], dim=0))}
