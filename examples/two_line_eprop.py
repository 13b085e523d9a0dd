"""e-prop in plain PyTorch: two lines turn backpropagation through time into e-prop 1.

Four patterns of spikes, each of another class, are learned by 60 spiking neurons.
"""

import torch

from repro.eprop import LIF, EProp, Readout, RecurrentLayer

torch.manual_seed(0)
hidden, readout = RecurrentLayer(LIF(), n_in=20, n=60), Readout(60, 4, tau_out_ms=20)
hidden.rule = EProp()  # without these two lines the network learns by BPTT
readout.feedback = "random"

optimizer = torch.optim.Adam([*hidden.parameters(), *readout.parameters()], lr=0.01)
patterns = (torch.rand(4, 100, 20) < 0.05).float()  # [class, time in ms, input]
for iteration in range(41):
    labels = torch.randint(4, (32,))
    y = readout(hidden(patterns[labels]))  # [batch, time, class]
    loss = torch.nn.functional.cross_entropy(y.mean(dim=1), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if iteration % 20 == 0:
        right = (y.mean(dim=1).argmax(dim=1) == labels).float().mean()
        print(f"iteration {iteration:2d}: loss {loss:.3f}, {right:.0%} right")
