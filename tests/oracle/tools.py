"""Two checks that make other checks worth something: a control differs, and the network under test is alive."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

Gradients = Mapping[str, Tensor]

FEWEST, MOST = 0.01, 0.7  # share of steps with a spike: fewer is silence, more is saturation
SLOPED = 0.05  # share of steps and neurons whose pseudo-derivative is not zero, at least
NEAR = 0.99  # an output counts as saturated from this share of its bound


def assert_gradients_differ(a: Gradients, b: Gradients, at_least: float, names: Collection[str] | None = None) -> None:
    """Each gradient of `a` differs from that of the same name in `b`; of those in `names`, or of all.

    They differ where the largest difference is at least the share `at_least` of the largest entry of `b`. A control
    is a wrong gradient: a test that cannot see the difference to it would pass with the wrong code. Every name has to
    differ, so that one weight that differs does not hide another that does not.
    """
    wanted = sorted(a.keys() | b.keys()) if names is None else list(names)
    assert wanted, "no gradients to compare"
    for name in wanted:
        assert name in a and name in b, f"the gradient of {name} is missing on one side"
        assert torch.isfinite(a[name]).all() and torch.isfinite(b[name]).all(), f"the gradient of {name} is not finite"
        scale = float(b[name].abs().max())
        assert scale > 0, f"the gradient of {name} is zero: nothing can differ from it by a share of it"
        share = float((a[name] - b[name]).abs().max()) / scale
        assert share >= at_least, f"the gradients of {name} differ by {share:.2g} of the largest entry, not {at_least}"


def assert_model_is_live(
    outputs: Tensor,
    slopes: Tensor | None = None,
    gradients: Gradients | None = None,
    bound: float | None = None,
) -> None:
    """The network under test does something that a test can see.

    `outputs` [batch, time, neuron]. Where `bound` is None they are spikes: in between FEWEST and MOST of all steps,
    and of at least half of the neurons. Else they are values within plus or minus `bound`: they vary in time, and at
    most half of them lie at the bound. `slopes`, pseudo-derivatives of the same shape, are not zero in more than a
    share SLOPED. `gradients` are finite, and none of them is zero.

    In a dead network every gradient is zero, and zeros agree with zeros whatever the code does.
    """
    outputs = outputs.detach()
    assert torch.isfinite(outputs).all(), "the network is not alive: outputs are not finite"
    if bound is None:
        share = float(outputs.double().mean())
        assert FEWEST < share < MOST, f"the network is not alive: a spike in {share:.2g} of all steps"
        active = float(outputs.flatten(end_dim=-2).any(dim=0).double().mean())
        assert active >= 0.5, f"the network is not alive: only {active:.0%} of its neurons spike"
    else:
        assert float(outputs.std(dim=1).mean()) > 1e-3 * bound, "the network is not alive: outputs do not vary"
        share = float((outputs.abs() > NEAR * bound).double().mean())
        assert share <= 0.5, f"the network is not alive: {share:.0%} of its outputs are saturated"
    if slopes is not None:
        assert torch.isfinite(slopes).all(), "the network is not alive: pseudo-derivatives are not finite"
        share = float((slopes != 0).double().mean())
        assert share > SLOPED, f"the network is not alive: pseudo-derivatives are zero in {1 - share:.0%} of all places"
    for name, gradient in (gradients or {}).items():
        assert torch.isfinite(gradient).all(), f"the network is not alive: the gradient of {name} is not finite"
        assert gradient.abs().max() > 0, f"the network is not alive: the gradient of {name} is zero"
