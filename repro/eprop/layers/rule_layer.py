"""What all layers with a learning rule share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repro.eprop.errors import UsageError, shown
from repro.eprop.kernels.first_order import first_order
from repro.eprop.rules.rule import Rule

PRECISIONS = (torch.float32, torch.float64)


class RuleLayer(nn.Module):
    """A layer whose backward pass is a learning rule.

    `rule` may be set at any time; it takes effect in the next forward pass, and is saved in checkpoints.
    `backward_passes` counts how often the rule has delivered gradients.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.backward_passes = 0
        self.rule = rule

    @property
    def rule(self) -> Rule:
        """The learning rule of the layer's weights."""
        return self._rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        if not isinstance(rule, Rule):
            raise UsageError(f"rule={shown(rule)}: a rule is an object such as BPTT(), EProp() or Frozen()")
        if "__dataclass_fields__" not in vars(type(rule)):
            raise UsageError(
                f"{type(rule).__name__} is no dataclass, and a checkpoint would lose its values: write "
                "@dataclasses.dataclass(frozen=True) above its class"
            )
        self.check_rule(rule)
        self._rule = rule

    def check_rule(self, rule: Rule) -> None:
        """Raises UsageError for a rule that the layer cannot have."""

    def get_extra_state(self) -> dict[str, Any]:
        """The rule, for a checkpoint."""
        return self.rule.state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The rule of a checkpoint. Raises UsageError where it is not defined here."""
        self.rule = Rule.from_state(state)


def full_precision(parameter: Tensor, name: str) -> Tensor:
    """A parameter, detached. Raises UsageError unless it is float32 or float64."""
    if parameter.dtype not in PRECISIONS:
        raise UsageError(
            f"{name} is {str(parameter.dtype).removeprefix('torch.')}: a learning rule computes in float32 or float64; "
            "keep the weights in one of these (bf16-mixed is fine, bf16-true is not)"
        )
    return parameter.detach()


def deliver(value: Tensor, layer: RuleLayer, gradients: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """A loss of this value whose backward pass gives tensors gradients that are known already, as pairs of both, each
    times the gradient that the loss receives; it counts as a backward pass of the layer."""
    if not gradients:  # nothing learns
        return value
    tensors, known = zip(*gradients, strict=True)
    loss: Tensor = _Deliver.apply(value, layer, *tensors, *known)
    return loss


class _Deliver(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, layer: RuleLayer, *tensors_then_gradients: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(*tensors_then_gradients[len(tensors_then_gradients) // 2 :])
        return value.clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ctx.layer.backward_passes += ctx.layer.rule.plastic
        gradients, factor = ctx.saved_tensors, grads[0]
        as_they_are = factor.device.type == "cpu" and factor == 1  # on CUDA the question would wait for the device
        delivered = gradients if as_they_are else tuple(factor.to(g.dtype) * g for g in gradients)
        return None, None, *delivered, *(None for _ in gradients)


def leaves_of(value: Tensor) -> list[Tensor]:
    """The leaves that autograd would give a gradient of `value`."""
    leaves: list[Tensor] = []
    open_, seen = [value.grad_fn], set[Any]()
    while open_:
        node = open_.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        open_ += [following for following, _ in node.next_functions]
    return leaves
