"""e-prop and BPTT in forty lines: gradients of a small LSNN, written out by hand and computed by the library.

e-prop 1's gradient is not BPTT's: its learning signal does not follow the recurrent weights and the reset.
"""

import torch

from repro.eprop import ALIF, BPTT, EProp, Readout, RecurrentLayer

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
STEPS, N_IN, N, N_OUT = 80, 8, 12, 2
neuron = ALIF(tau_m_ms=20, v_th=0.6, refractory_ms=3, beta=0.07, tau_a_ms=200, n_adaptive=6)
layer, readout = RecurrentLayer(neuron, N_IN, N), Readout(N, N_OUT, tau_out_ms=30, feedback="random")
x, target = (torch.rand(STEPS, N_IN) < 0.15).double(), torch.randn(STEPS, N_OUT)


@torch.no_grad()
def eprop_by_hand():
    """Forward in time: the neurons, the eligibility trace e of every synapse, and sum_t L e."""
    alpha, rho, kappa, v_th = neuron.alpha, neuron.rho, readout.kappa, neuron.v_th
    beta, feedback = neuron.adaptation(torch.zeros(N)), readout.feedback_weights(STEPS)[0]
    v, a, z, silent, z_bar, y = *torch.zeros(5, N), torch.zeros(N_OUT)
    z_hat, epsilon, e_bar, gradient = {}, {}, {}, {"w_out": torch.zeros(N_OUT, N)}
    for name, n_pre in (("w_in", N_IN), ("w_rec", N)):
        z_hat[name] = torch.zeros(n_pre)
        epsilon[name], e_bar[name], gradient[name] = torch.zeros(3, N, n_pre)
    for t in range(STEPS):
        presynaptic = {"w_in": x[t], "w_rec": z}
        v = alpha * v + layer.w_in @ x[t] + layer.w_rec @ z - v_th * z  # Eq. 20
        a = rho * a + z  # Eq. 26
        silent = (silent + neuron.refractory_steps * z - 1).clamp(min=0)
        threshold = v_th + beta * a  # Eq. 25
        h = neuron.dampening / v_th * (1 - ((v - threshold) / v_th).abs()).clamp(min=0) * (silent == 0)
        z = ((v > threshold) & (silent == 0)).double()  # Eq. 21
        y, z_bar = kappa * y + readout.w_out @ z, kappa * z_bar + z  # Eq. 41
        error = y - target[t]
        signal = feedback @ error  # Eq. 49
        gradient["w_out"] += torch.outer(error, z_bar)  # Eq. 48
        for name, sent in presynaptic.items():
            z_hat[name] = alpha * z_hat[name] + sent  # Eq. 22
            e = h[:, None] * (z_hat[name] - beta[:, None] * epsilon[name])  # Eq. 28
            epsilon[name] = rho * epsilon[name] + e  # Eq. 27
            e_bar[name] = kappa * e_bar[name] + e
            gradient[name] += signal[:, None] * e_bar[name]  # Eq. 45
    gradient["w_rec"].fill_diagonal_(0)
    return gradient


def bptt_by_autograd():
    """The network step by step on autograd's tape."""
    spikes, y, loss = layer.unroll(x[None])[0][0], torch.zeros(N_OUT), 0.0
    for t in range(STEPS):
        y = readout.kappa * y + readout.w_out @ spikes[t]
        loss = loss + 0.5 * (y - target[t]).square().sum()
    weights = {"w_in": layer.w_in, "w_rec": layer.w_rec, "w_out": readout.w_out}
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def of_the_library(rule, feedback):
    """An ordinary backward pass."""
    layer.rule, readout.feedback = rule, feedback
    layer.zero_grad(), readout.zero_grad()
    (0.5 * (readout(layer(x[None]))[0] - target).square().sum()).backward()
    return {"w_in": layer.w_in.grad, "w_rec": layer.w_rec.grad, "w_out": readout.w_out.grad}


def difference(gradients, others):
    """The largest relative difference."""
    return max(float((gradients[name] - others[name]).norm() / others[name].norm()) for name in others)


if __name__ == "__main__":
    by_hand, by_autograd = eprop_by_hand(), bptt_by_autograd()
    eprop, bptt = of_the_library(EProp(), "random"), of_the_library(BPTT(), "symmetric")
    print(f"e-prop 1 by hand and by the library differ by {difference(eprop, by_hand):.0e}")
    print(f"BPTT by autograd and by the library differ by {difference(bptt, by_autograd):.0e}")
    print(f"e-prop 1 and BPTT differ by {difference(eprop, bptt):.1f}")
