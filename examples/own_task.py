"""A task of your own: any LightningModule with a layer of the library, trained by e-prop 1 through a callback."""

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from repro.eprop import ALIF, Readout, RecurrentLayer
from repro.eprop.lightning import EPropCallback


class Mine(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.hidden = RecurrentLayer(ALIF(n_adaptive=50), n_in=40, n=100)
        self.readout = Readout(100, 2, tau_out_ms=20)

    def training_step(self, batch, index):
        x, label = batch
        loss = torch.nn.functional.cross_entropy(self.readout(self.hidden(x)).mean(dim=1), label)
        self.log("loss", loss, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.003)


def data():
    label = torch.randint(2, (256,))  # the class decides which half of the inputs is more active
    x = torch.rand(256, 100, 40) < 0.02 + 0.01 * (torch.arange(40) // 20 == label[:, None])[:, None]
    return DataLoader(TensorDataset(x.float(), label), batch_size=32)


if __name__ == "__main__":
    pl.seed_everything(0)
    trainer = pl.Trainer(max_epochs=5, accelerator="cpu", logger=False, callbacks=[EPropCallback(feedback="random")])
    trainer.fit(Mine(), data())
