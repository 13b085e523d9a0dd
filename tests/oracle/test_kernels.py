"""The compiled kernels of the CPU against those in plain torch, spikes as events against arrays, and the reverse
recursion against finite differences."""

import pytest
import torch
from torch import Tensor

from repro.eprop import LIF, Readout, RecurrentLayer
from repro.eprop.kernels import dispatch, events, reference
from repro.eprop.kernels.events import delayed_outer, outer, spike_trains
from repro.eprop.neurons.integrate_and_fire import IntegrateAndFire
from tests.oracle.conftest import relative
from tests.oracle.eprop.conftest import N_IN, NEURONS, TAU_OUT_MS, make, wave
from tests.oracle.tools import assert_model_is_live

WRONG = 1e-2


def made(neuron: str, batch: int, steps: int, n: int, dtype: torch.dtype) -> tuple[RecurrentLayer, Tensor]:
    """A layer that is alive, and its inputs [batch, time, input]."""
    random = torch.Generator().manual_seed(7)
    layer = RecurrentLayer(NEURONS[neuron], N_IN, n, generator=random).to(dtype)
    x = (torch.rand(batch, steps, N_IN, generator=random) < 0.15).to(dtype)
    trajectory, _ = layer.simulate(x)
    assert_model_is_live(trajectory.z, slopes=trajectory.h)
    return layer, x


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize(("batch", "n"), [(2, 12), (9, 12), (2, 70)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_compiled_kernels_equal_those_in_plain_torch(
    neuron: str, batch: int, n: int, dtype: torch.dtype, tolerance: float
) -> None:
    """Few and many trials, few and many neurons; from a state in the middle of something."""
    layer, x = made(neuron, batch, 40, n, dtype)
    unit, (w_in, w_rec) = layer.neuron, layer.weights()
    assert isinstance(unit, IntegrateAndFire)
    state = layer.simulate(x)[1]
    trajectory, after = layer.simulate(x, state)
    beta, z, h = unit.adaptation(state.z), trajectory.z, trajectory.h
    numbers = unit.alpha, unit.rho, unit.v_th, unit.refractory_steps, unit.dampening
    before = state.variables[0], state.variables[-1], state.z, state.refractory
    assert trajectory.events is not None
    assert torch.equal(trajectory.events.dense(dtype), z)
    slow = reference.lif_forward(events.linear(x, w_in), w_rec, beta, *before, *numbers)
    assert torch.equal(z, slow[0])
    assert relative(h, slow[1]) < tolerance
    assert relative(trajectory.variables[0], slow[2]) < tolerance
    assert relative(after.variables[-1], slow[4] if neuron == "alif" else slow[3]) < tolerance
    assert torch.equal(after.refractory, slow[5])
    signal = wave(h)
    for name, arguments in {
        "local_reverse": (h, signal, beta, 0.9, 0.97),
        "bptt_reverse": (h, signal, signal[:0], w_rec, beta, 0.9, 0.97, 0.6),
        "exponential_filter": (signal, 0.9, True),
    }.items():
        compiled = getattr(dispatch.operators("cpu"), name)
        assert compiled is not getattr(reference, name)
        assert relative(compiled(*arguments), getattr(reference, name)(*arguments)) < tolerance, name


@pytest.mark.parametrize("signal_of", ["each step", "all steps"])
@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_bptt_with_weights_of_each_trial_and_a_gradient_of_h(neuron: str, signal_of: str) -> None:
    layer, x = made(neuron, 3, 40, 12, torch.float64)
    trajectory, _ = layer.simulate(x)
    h, w_rec, beta = trajectory.h, layer.weights()[1], layer.neuron.adaptation(trajectory.z[:, 0])
    weights = w_rec * torch.tensor([0.5, 1.0, 2.0]).double()[:, None, None]
    signal, direct = wave(h), wave(h).cos()
    signal = signal if signal_of == "each step" else signal[0, 0].expand(h.shape)

    def delta(kernels: object, weights: Tensor = weights, direct: Tensor = direct) -> Tensor:
        return kernels.bptt_reverse(h, signal, direct, weights, beta, 0.9, 0.97, 0.6)

    compiled, wanted = delta(dispatch.operators("cpu")), delta(reference)
    assert relative(compiled, wanted) < 1e-12
    assert relative(delta(dispatch.operators("cpu"), weights.roll(1, dims=0)), wanted) > WRONG  # control: another's
    assert relative(delta(dispatch.operators("cpu"), direct=direct[:0]), wanted) > WRONG  # control: h held


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("outs", [2, 5, 19])
@pytest.mark.parametrize("batch", [1, 18, 37])
def test_the_way_back_of_a_network_is_the_recursion_in_plain_torch(
    batch: int, outs: int, dtype: torch.dtype, tolerance: float
) -> None:
    """By e-prop and by BPTT, from errors of steps and of frames, for trials of unequal length; h is often zero."""
    n, steps, alpha, rho, v_th = 30, 40, 0.9, 0.97, 0.6
    random = torch.Generator().manual_seed(batch)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)

    h = draw(batch, steps, n).clamp(min=0) * (torch.arange(n) % 4 > 0) / 4
    rate, onto, w_rec, beta = draw(n).expand(h.shape), draw(n, outs), draw(n, n).fill_diagonal_(0) / 6, draw(n) / 20
    lengths = torch.randint(0, steps // 5 + 1, (batch,), generator=random) * 5
    lengths[-1] = steps
    real = (torch.arange(steps) < lengths[:, None])[..., None]
    none, no_trial = h.new_empty(0), torch.empty(0, dtype=torch.int32)
    for each, through in [(1, None), (5, None), (1, w_rec), (5, w_rec)]:
        error = draw(batch, steps // each, outs) * real[:, ::each]
        signal = rate * real + (error @ onto.T).repeat_interleave(each, dim=1)
        if through is None:
            wanted = reference.local_reverse(h, signal, beta, alpha, rho)
        else:
            wanted = reference.bptt_reverse(h, signal, none, through, beta, alpha, rho, v_th)
            through = through.clone().fill_diagonal_(-v_th)
        arguments = None, None, (no_trial, no_trial), beta, (alpha, rho, 0.0, 1.0), each, through, False
        reverse = dispatch.operators("cpu").network_reverse
        delta = reverse(h, (rate, error, onto, lengths), *arguments).delta
        assert relative(delta, wanted.unflatten(1, (-1, each)).sum(dim=2)) < tolerance
        padded = reverse(h, (rate, error, onto, None), *arguments).delta
        assert batch == 1 or relative(padded, delta) > WRONG  # control: the rate term in padding
        late = reverse(h, (rate, error.roll(1, dims=1), onto, lengths), *arguments).delta
        assert relative(late, delta) > WRONG  # control: errors that are late


@pytest.mark.parametrize("neuron", ["lif", "alif"])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0], ids=["h is zero", "h is zero mostly", "h is never zero"])
def test_traces_forward_in_time_equal_those_in_plain_torch(neuron: str, share: float) -> None:
    """Two pieces of a trial; the compiled kernel leaves synapses alone while h is zero."""
    batch, steps, post, pre = 3, 40, 6, 5
    beta = NEURONS[neuron].adaptation(torch.zeros(post).double())
    random = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    read = [(draw(batch, steps, post) * (draw(batch, steps, post) < share), draw(batch, steps, post)) for _ in range(2)]
    presynaptic = (draw(batch, steps, pre) < 0.2).double()
    each = batch, post, pre
    begun = [draw(batch, pre), draw(*each) if beta.numel() else draw(batch, 0, 0), draw(*each), draw(post, pre)]

    def advanced(kernels: object, signal_of: int = 1) -> list[Tensor]:
        written = [x.clone() for x in (*begun, torch.zeros(each).double())]
        for piece in read:
            numbers = 0.9, 0.97, 0.8
            kernels.online_traces(piece[0], piece[signal_of], presynaptic, beta, *written, *numbers)
        return written

    compiled = advanced(dispatch.operators("cpu"))
    for one, two in zip(compiled, advanced(reference), strict=True):
        assert relative(one, two) < 1e-12 if two.any() else torch.equal(one, two)
    assert relative(compiled[3], advanced(reference, signal_of=0)[3]) > WRONG  # control: another signal


@pytest.mark.parametrize("trials", [1, 3], ids=["h of one trial", "h of each"])
def test_a_filtered_product_and_its_gradients(trials: int) -> None:
    """Against autograd through the steps in plain torch."""
    random = torch.Generator().manual_seed(3)
    h, signal, by_y = (torch.randn(n, 20, 5, generator=random, dtype=torch.float64) for n in (trials, 3, 3))
    leaves = h.requires_grad_(), signal.requires_grad_()
    y = reference.filtered_product(*leaves, 0.9)
    result = dispatch.filtered_product(*leaves, 0.9)
    assert relative(result, y) < 1e-12
    wanted = torch.autograd.grad(y, leaves, by_y)
    for kernels in (dispatch.operators("cpu"), reference):
        gradients = kernels.filtered_product_gradients(by_y, h.detach(), signal.detach(), 0.9)
        for one, two in zip(gradients, wanted, strict=True):
            assert one.shape == two.shape
            assert relative(one, two) < 1e-12
        late = kernels.filtered_product_gradients(by_y.roll(1, dims=1), h.detach(), signal.detach(), 0.9)
        assert relative(late[0], wanted[0]) > WRONG  # control
    assert relative(torch.autograd.grad(result, leaves, by_y)[1], wanted[1]) < 1e-12


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_spikes_as_events_are_their_array(dtype: torch.dtype, tolerance: float) -> None:
    """The same currents and the same outer products from events as from zeros and ones."""
    layer, x = made("alif", 4, 50, 12, dtype)
    trains, (w_in, _) = spike_trains(x), layer.weights()
    assert torch.equal(trains.dense(dtype), x)
    assert relative(events.linear(trains, w_in), events.linear(x, w_in)) < tolerance
    trajectory, _ = layer.simulate(x)
    signal = wave(trajectory.h)
    by_array = outer(signal, x)
    assert relative(outer(signal, trains), by_array) < tolerance
    assert relative(outer(signal, spike_trains(x.roll(1, dims=1))), by_array) > WRONG  # control: late
    recurrent = [delayed_outer(signal, z, torch.ones(4, 12, dtype=dtype)) for z in (trajectory.z, trajectory.events)]
    assert relative(*recurrent) < tolerance
    assert relative(outer(signal, trajectory.z), recurrent[0]) > WRONG  # control: not delayed


def test_the_reverse_recursion_is_the_finite_difference_of_a_smooth_network() -> None:
    """z = sigmoid(v) in place of the step: the recursion, given the true dz/dv, is the true gradient."""
    case = make("lif", bias=False, x_learns=False)
    unit, (w_in, w_rec), readout = case.layer.neuron, case.layer.weights(), case.readout
    assert isinstance(unit, LIF) and isinstance(readout, Readout) and readout.tau_out_ms == TAU_OUT_MS

    def run(weights: Tensor) -> tuple[Tensor, Tensor]:
        current = case.x @ w_in.T
        v = z = torch.zeros_like(current[:, 0])
        steps = []
        for t in range(current.shape[1]):
            v = unit.alpha * v + current[:, t] + z @ weights.T - unit.v_th * z
            z = torch.sigmoid(v)
            steps.append(z)
        z = torch.stack(steps, dim=1)
        return 0.5 * (readout(z) - case.target).square().sum(), z

    z = run(w_rec)[1].detach().requires_grad_()
    (signal,) = torch.autograd.grad(0.5 * (readout(z) - case.target).square().sum(), z)
    z, none = z.detach(), z.new_empty(0)
    delta = dispatch.of(z).bptt_reverse(z * (1 - z), signal, none, w_rec, none, unit.alpha, 0.0, unit.v_th)
    found = delayed_outer(delta, z, torch.zeros_like(z[:, 0]))
    step = 1e-5
    for j, i in [(0, 1), (3, 2), (11, 5)]:
        nudge = torch.zeros_like(w_rec)
        nudge[j, i] = step
        wanted = (run(w_rec + nudge)[0] - run(w_rec - nudge)[0]).item() / (2 * step)
        assert abs(float(found[j, i]) - wanted) < 1e-6 * abs(wanted) + 1e-8
        assert abs(1.01 * float(found[j, i]) - wanted) > 1e-6 * abs(wanted) + 1e-8  # control: one per cent off is seen
