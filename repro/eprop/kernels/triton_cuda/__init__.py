"""The operators of `repro.eprop.kernels.reference` that Triton compiles for CUDA; products of spikes are dense."""

from repro.eprop.kernels.triton_cuda.launch import (
    bptt_reverse,
    carry,
    exponential_filter,
    filtered_product,
    filtered_product_gradients,
    lif_forward,
    local_reverse,
    lstm_step,
    lstm_step_reverse,
)

__all__ = [
    "bptt_reverse",
    "carry",
    "exponential_filter",
    "filtered_product",
    "filtered_product_gradients",
    "lif_forward",
    "local_reverse",
    "lstm_step",
    "lstm_step_reverse",
]
