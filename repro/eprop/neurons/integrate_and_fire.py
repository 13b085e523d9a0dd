"""What LIF and ALIF neurons share: the fused kernels, for which a LIF neuron is one that does not adapt."""

import abc
import math

import torch
from torch import Tensor

from repro.eprop.errors import UsageError, check_number
from repro.eprop.kernels import dispatch
from repro.eprop.kernels.events import SpikeTrains, delayed
from repro.eprop.neurons.local_jacobians import leaf_of
from repro.eprop.neurons.neuron import NOT_KEPT, Neuron, NeuronState, Trajectory
from repro.eprop.neurons.surrogates import Surrogate, check_surrogate, spike, surrogate_slope, surrogate_spike

NEAR_THRESHOLD = 1e-4  # relative distance within which rounding may decide whether a neuron spikes
ROUNDING = 1e-4  # of a surrogate's zeros and ones: z + s - s is not z


class IntegrateAndFire(Neuron, abc.ABC):
    """Neurons with the voltage of Eq. 20 and the spike of Eq. 21, 25; subclasses define how the threshold adapts."""

    tau_m_ms: float
    v_th: float
    refractory_ms: float
    dampening: float
    dt_ms: float
    surrogate: Surrogate | None

    def __post_init__(self) -> None:
        """Raises UsageError where a parameter is out of range."""
        name = type(self).__name__
        check_number(name, tau_m_ms=self.tau_m_ms, v_th=self.v_th, dt_ms=self.dt_ms)
        check_number(name, zero=True, refractory_ms=self.refractory_ms, dampening=self.dampening)
        if self.surrogate is not None:
            check_surrogate(self.surrogate, name)

    @property
    def alpha(self) -> float:
        """Decay of the membrane in one time step, exp(-dt / tau_m)."""
        return math.exp(-self.dt_ms / self.tau_m_ms)

    @property
    def refractory_steps(self) -> int:
        """Shortest interval between two spikes, in time steps (the authors' reading of "a refractory period")."""
        return round(self.refractory_ms / self.dt_ms)

    @property
    @abc.abstractmethod
    def rho(self) -> float:
        """Decay of the threshold adaptation in one time step."""

    @abc.abstractmethod
    def adaptation(self, like: Tensor) -> Tensor:
        """beta [neuron] for neurons in the last axis of `like`; of no elements where none adapts."""

    def threshold(self, a: Tensor) -> Tensor:
        """A [..., neuron] for a threshold adaptation `a` [..., neuron] (Eq. 25)."""
        beta = self.adaptation(a)
        return self.v_th + beta * a if beta.numel() else torch.full_like(a, self.v_th)

    def spike(self, v: Tensor, threshold: Tensor) -> Tensor:
        """z [..., neuron] of voltages and thresholds (Eq. 21); autograd sees the pseudo-derivative."""
        if self.surrogate is None:
            return spike(v, threshold, self.v_th, self.dampening)
        return surrogate_spike(v, threshold, self.v_th, self.surrogate)

    @torch.no_grad()
    def simulate(
        self, current: Tensor, w_rec: Tensor, state: NeuronState, keep_variables: bool = True
    ) -> tuple[Trajectory, NeuronState]:
        """See `Neuron.simulate`; the `variables` of the trajectory are the voltage alone."""
        keep_v = keep_variables or self.surrogate is not None
        z, h, v, *last, refractory, channel, start = dispatch.of(current).lif_forward(
            current,
            w_rec,
            self.adaptation(current),
            state.variables[0],
            state.variables[-1],
            state.z,
            state.refractory,
            self.alpha,
            self.rho,
            self.v_th,
            self.refractory_steps,
            self.dampening,
            keep_v,
        )
        if self.surrogate is not None:
            h = self._surrogate_derivative(z, v, state)
        events = SpikeTrains(channel, start, *z.shape) if start.numel() else None
        after = NeuronState(tuple(last[: len(self.names)]), z[:, -1], refractory)
        return Trajectory(z, h, (v,) if keep_v else NOT_KEPT, state, events=events), after

    def _surrogate_derivative(self, z: Tensor, v: Tensor, before: NeuronState) -> Tensor:
        """dz/dv [batch, time, neuron] by autograd, from what the kernels computed."""
        raised = delayed(z, before.z)  # a^t = rho a^(t-1) + z^(t-1)
        raised[:, 0] += self.rho * before.variables[-1]
        threshold = self.threshold(dispatch.exponential_filter(raised, self.rho))
        with torch.inference_mode(False), torch.enable_grad():
            leaf = leaf_of(v)
            spikes = self.spike(leaf, leaf_of(threshold).detach())
            h = surrogate_slope(spikes, leaf, type(self).__name__)
        free = ~refractory_mask(z, self.refractory_steps, before)
        differs = ((free * spikes.detach() - z).abs() > ROUNDING) & ((v - threshold).abs() > NEAR_THRESHOLD * self.v_th)
        if differs.any():
            raise UsageError(
                f"the surrogate of {type(self).__name__} has to return 1 where its argument is positive and 0 elsewhere"
            )
        return h * free

    def e_prop_delta(self, trajectory: Trajectory, signal: Tensor) -> Tensor:
        """See `Neuron.e_prop_delta`."""
        h, beta = trajectory.h, self.adaptation(signal)
        delta: Tensor = dispatch.of(signal).local_reverse(h, signal, beta, self.alpha, self.rho)
        return delta

    def bptt_delta(self, trajectory: Trajectory, signal: Tensor, w_rec: Tensor) -> Tensor:
        """See `Neuron.bptt_delta`."""
        h, beta, none = trajectory.h, self.adaptation(signal), signal.new_empty(0)
        arrays = h, signal, none, w_rec, beta
        delta: Tensor = dispatch.of(signal).bptt_reverse(*arrays, self.alpha, self.rho, self.v_th)
        return delta


def refractory_mask(z: Tensor, steps: int, before: NeuronState | None = None) -> Tensor:
    """Where [batch, time, neuron] a neuron is held silent by a spike less than `steps` steps ago, or by the refractory
    period that it was in `before` the first step."""
    spikes = torch.cumsum(z, dim=1)
    earlier = torch.nn.functional.pad(spikes, (0, 0, steps, 0))
    recent = earlier[:, steps - 1 : -1] - earlier[:, : z.shape[1]] if steps else torch.zeros_like(z)
    held = recent > 0
    if before is not None:
        left = before.refractory + steps * before.z
        held |= left[:, None] > torch.arange(1, z.shape[1] + 1, device=z.device)[:, None]
    return held
