"""The contenders by name: what each computes, and what kind of rival it is. No torch in here."""

import importlib.util
from typing import Literal, NamedTuple

Kind = Literal["ours", "peer", "reference", "other"]


class Contender(NamedTuple):
    """`variant`: the variant of the task whose gradient it computes. `kind`: "ours"; "peer", exact and what a user
    would take instead; "reference", plain eager torch, which all are checked against; "other", another gradient."""

    name: str
    kind: Kind
    variant: str


IN_LIGHTNING = " under Lightning"
EAGER, EAGER_E_PROP = "plain eager BPTT", "plain eager e-prop 1 (detached)"
SCAN, SCAN_BPTT = "JAX scan, e-prop 1 (jitted)", "JAX scan, BPTT (jitted)"
JAX_FACTORED, JAX_REVERSE = "JAX factored, e-prop 1 (jitted)", "JAX reverse scan, BPTT (jitted)"
FACTORED, BPTT, ONLINE = "ours: e-prop 1 (factored)", "ours: BPTT (fused)", "ours: e-prop 1 (online)"
LIGHTNING = "ours: e-prop 1" + IN_LIGHTNING
UNROLLED, UNROLLED_LINEAR = "unrolled autograd", "unrolled autograd, linear error module"
SPIKING, LINEAR = "ours: spiking error module", "ours: linear error module"
CELL, STOCK = "truncated BPTT, eager", "truncated BPTT, torch.nn.LSTM"
JAX_WINDOW, JAX_E_PROP_3 = "truncated BPTT, JAX (jitted)", "e-prop 3, JAX (jitted)"
PRINTED, IN_PLACE = "textbook e-prop 3, eager", "textbook e-prop 3, eager, in place"
PRINTED_TRACES = "textbook traces, eager"
BPTT_4, TRACES, E_PROP_3 = "ours: truncated BPTT", "ours: truncated BPTT + traces", "ours: e-prop 3"

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(EAGER, "reference", "bptt"),
        Contender(EAGER_E_PROP, "reference", "e_prop_1_symmetric"),
        Contender(SCAN, "peer", "e_prop_1_symmetric"),
        Contender(SCAN_BPTT, "peer", "bptt"),
        Contender(JAX_FACTORED, "peer", "e_prop_1_symmetric"),
        Contender(JAX_REVERSE, "peer", "bptt"),
        Contender(FACTORED, "ours", "e_prop_1_symmetric"),
        Contender(BPTT, "ours", "bptt"),
        Contender(ONLINE, "ours", "e_prop_1_symmetric"),
        Contender(LIGHTNING, "ours", "e_prop_1_symmetric"),
        Contender(UNROLLED, "reference", "e_prop_2_spiking"),
        Contender(UNROLLED_LINEAR, "reference", "e_prop_2_linear"),
        Contender(SPIKING, "ours", "e_prop_2_spiking"),
        Contender(LINEAR, "ours", "e_prop_2_linear"),
        Contender(CELL, "reference", "bptt_4"),
        Contender(STOCK, "peer", "bptt_4"),
        Contender(JAX_WINDOW, "peer", "bptt_4"),
        Contender(JAX_E_PROP_3, "peer", "e_prop_3"),
        Contender(PRINTED, "reference", "e_prop_3"),
        Contender(IN_PLACE, "reference", "e_prop_3"),
        Contender(PRINTED_TRACES, "reference", "bptt_4_traces"),
        Contender(BPTT_4, "ours", "bptt_4"),
        Contender(TRACES, "ours", "bptt_4_traces"),
        Contender(E_PROP_3, "ours", "e_prop_3"),
        Contender(E_PROP_3 + IN_LIGHTNING, "ours", "e_prop_3"),
    )
}


def needs_jax(name: str) -> bool:
    """Whether a contender is there only with the extra `bench`."""
    return "JAX" in name


def jax_is_here() -> bool:
    """Whether the extra `bench` is installed."""
    return importlib.util.find_spec("jax") is not None
