"""BPTT in windows is torch.nn.LSTM trained by a loop as in TensorFlow's tutorial; the gradient of the word vectors."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.runs.rules import learning_rules, window_rule
from tasks.word_prediction.config import VARIANTS, WordPredictionConfig
from tasks.word_prediction.data import WordPredictionData
from tasks.word_prediction.module import WordPredictionModule
from tests.library.own import largest_difference, trainer_of
from tests.oracle.eprop.lstm_tape import relative
from tests.tasks import made_up

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec")  # Lightning and torch, among themselves
EXACT, WRONG = 1e-10, 1e-4
UNITS, WORDS, BATCH, STEPS, WINDOWS, EPOCHS, CLIP, RATE = 6, 11, 3, 20, 50, 4, 3.0, 0.1
Weights = dict[str, Tensor]
THEIRS = {"w_in": "lstm.weight_ih_l0", "w_rec": "lstm.weight_hh_l0", "bias": "lstm.bias_ih_l0"}


def config(variant: str, **values: Any) -> WordPredictionConfig:
    defaults = {"units": UNITS, "vocabulary": WORDS, "batch_size": BATCH, "synthetic_hidden": 7, "init_scale": 0.5}
    schedule = {"iterations": EPOCHS, "full_epochs": 2, "clip_norm": CLIP, "learning_rate": RATE}
    return WordPredictionConfig(**{**defaults, **schedule, **VARIANTS[variant].settings, **values})


@pytest.fixture(autouse=True)
def text(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.use(monkeypatch, words=WORDS, training=BATCH * (WINDOWS * STEPS + 7))


def named(module: WordPredictionModule) -> Weights:
    """Weights by the last part of their names in an LSTMNetwork, whichever algorithm trains them."""
    names = {f"stack.{theirs}": ours for ours, theirs in THEIRS.items()}
    learning = {n: p for n, p in module.named_parameters() if p.requires_grad}
    return {names.get(name, name.rpartition(".")[2]): p.detach().clone() for name, p in learning.items()}


def start(forget_bias: float = 0.0) -> WordPredictionModule:
    return WordPredictionModule(config("bptt_20", forget_bias=forget_bias), seed=3).double()


def ours(algorithm: str, forget_bias: float = 0.0) -> Weights:
    """The same weights, trained by Lightning, the module and its rule."""
    values = config("bptt_20", algorithm=algorithm, forget_bias=forget_bias)
    module, begun = WordPredictionModule(values, seed=3).double(), start(forget_bias)
    if module.stack is not None:
        module.stack.load_state_dict(begun.as_stack().state_dict())
        module.embedding.data.copy_(begun.embedding)
    assert largest_difference(named(module), named(begun)) == 0
    trainer = trainer_of(*learning_rules(values, seed=3), gradient_clip_val=CLIP)
    trainer.fit(module, datamodule=WordPredictionData(values, seed=3))
    assert trainer.global_step == EPOCHS * WINDOWS == 200
    return named(module)


@functools.cache
def tutorial(
    carried: bool = True,
    kept_over_epochs: bool = False,
    clip: float = CLIP,
    forget_bias: float = 0.0,
    decay: float = 0.5,
    frozen: bool = True,
) -> tuple[Weights, int]:
    """Weights after a plain loop around torch.nn.LSTM, and how many windows were clipped."""
    weights = {name: w.requires_grad_() for name, w in named(start()).items()}
    lstm = nn.LSTM(UNITS, UNITS, batch_first=True).double()
    lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 = (nn.Parameter(weights[name]) for name in THEIRS)
    nn.init.zeros_(lstm.bias_hh_l0).requires_grad_(not frozen)[UNITS : 2 * UNITS].data.fill_(forget_bias)
    embedding, w_out, b_out = (nn.Parameter(weights[name]) for name in ("embedding", "w_out", "b_out"))
    learning = [p for p in (*lstm.parameters(), embedding, w_out, b_out) if p.requires_grad]
    words, state, clipped = WordPredictionData(config("bptt_20"), 0).streams, None, 0
    for epoch in range(EPOCHS):
        state = state if kept_over_epochs else None
        optimizer = torch.optim.SGD(learning, lr=RATE * (1 if epoch < 2 else decay ** (epoch - 1)))
        for first in range(0, WINDOWS * STEPS, STEPS):
            inputs, target = words[:, first : first + STEPS], words[:, first + 1 : first + STEPS + 1]
            h, (h_last, c_last) = lstm(nn.functional.embedding(inputs, embedding), state)
            state = (h_last.detach(), c_last.detach()) if carried else None
            logits = (h @ w_out.T + b_out).flatten(end_dim=1)
            optimizer.zero_grad()
            (nn.functional.cross_entropy(logits, target.flatten(), reduction="sum") / BATCH).backward()
            clipped += int(nn.utils.clip_grad_norm_(learning, clip) > clip)
            optimizer.step()
    found = (*(getattr(lstm, name.removeprefix("lstm.")) for name in THEIRS.values()), embedding, w_out, b_out)
    return {n: p.detach() for n, p in zip((*THEIRS, "embedding", "w_out", "b_out"), found, strict=True)}, clipped


@pytest.mark.parametrize(("algorithm", "forget_bias"), [("windows", 0.0), ("windows", 0.75), ("autograd", 0.75)])
def test_200_windows_are_those_of_torchs_own_lstm(algorithm: str, forget_bias: float) -> None:
    wanted, clipped = tutorial(forget_bias=forget_bias)
    assert 100 < clipped < 200, "most windows, and not all, should be clipped"
    assert largest_difference(named(start()), wanted) > 0.5, "the weights should have moved"
    assert largest_difference(ours(algorithm, forget_bias), wanted) < EXACT


@pytest.mark.parametrize(
    "otherwise",
    [
        {"carried": False},
        {"kept_over_epochs": True},
        {"clip": 1.01 * CLIP},
        {"forget_bias": 0.75},
        {"decay": 0.51},
        {"frozen": False},
    ],
    ids=lambda otherwise: next(iter(otherwise)),
)
def test_controls_of_these_200_windows(otherwise: dict[str, Any]) -> None:
    assert largest_difference(tutorial(**otherwise)[0], tutorial()[0]) > WRONG


def made(variant: str, **values: Any) -> tuple[WordPredictionModule, list[Any]]:
    """A module whose predictions are not zero, and the first two windows of its text and the last."""
    values = {"truncation_steps": 4, "synthetic_into_network": False, "synthetic_factor": 0.5, **values}
    settings = config(variant, **values)
    module = WordPredictionModule(settings, 3).double()
    module.network.layer.rule = window_rule(settings)
    if module.predictor is not None:
        random = torch.Generator().manual_seed(1)
        module.predictor.out.data.copy_(torch.randn(module.predictor.out.shape, generator=random))
    first, second, *_, last = WordPredictionData(settings, 0)._epoch(0)
    return module, [first, second, last]


def received(variant: str, number: int = 1, **values: Any) -> Tensor:
    """The gradient of the word vectors in window `number`, which begins in the state that the first left."""
    module, windows = made(variant, **values)
    module.window_loss(windows[0])
    module.window_loss(windows[number]).loss.backward()
    assert module.embedding.grad is not None
    return module.embedding.grad.to_dense()


def stated(variant: str, looks_ahead: bool = True, cell_path: bool = True) -> Tensor:
    """The same by autograd of E + eta SG c, c being the cells one step after the window (Eq. 64)."""
    module, (before, batch, _) = made(variant)
    layer = module.network.layer
    (c, h), w = module.window_loss(before).state, [weights.detach() for weights in layer.weights]

    def step(c: Tensor, h: Tensor, x: Tensor) -> LSTMState:
        current = x @ w[0].T + (h if looks_ahead else h.detach()) @ w[1].T + w[2]
        i, f, g, o = current.split(UNITS, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return LSTMState(c, o.sigmoid() * c.tanh())

    error = torch.zeros((), dtype=torch.float64)
    for words, target in zip(batch.this.inputs.T, batch.this.target.T, strict=True):
        c, h = step(c, h, module.embedding[words])
        logits = h @ module.network.readout.w_out.T + module.network.readout.b_out
        error = error + nn.functional.cross_entropy(logits, target, reduction="sum")
    if module.predictor is not None:
        predicted = module.config.synthetic_factor * module.predictor(h).detach()
        after = step(c if cell_path else c.detach(), h, module.embedding[batch.this.next_input].detach())
        error = error + (predicted * after.c).sum()
    (gradient,) = torch.autograd.grad(error / BATCH, module.embedding)
    return gradient


PREDICTING = ("synthetic_gradients", "e_prop_3", "e_prop_3_truncated_traces")


@pytest.mark.parametrize("variant", ["bptt_4", "bptt_4_traces", "e_prop_1", *PREDICTING])
def test_word_vectors_receive_the_gradient_of_their_window(variant: str) -> None:
    """Also with truncated traces: word vectors have no eligibility vectors."""
    looks_ahead = variant != "e_prop_1"
    assert relative(received(variant), stated(variant, looks_ahead)) < EXACT
    assert relative(received(variant), stated(variant, not looks_ahead)) > WRONG  # control
    other = "bptt_4" if variant in PREDICTING else "e_prop_3"
    assert relative(received(variant), stated(other, looks_ahead)) > WRONG  # control: with another boundary


def test_truncated_traces_are_those_of_the_lstms_weights() -> None:
    """Control: they do change the gradient of these."""
    w_rec = {}
    for variant in ("synthetic_gradients", "e_prop_3_truncated_traces"):
        module, windows = made(variant)
        module.window_loss(windows[0]).loss.backward()
        w_rec[variant] = module.network.layer.w_rec.grad
    assert relative(*w_rec.values()) > WRONG


@pytest.mark.parametrize("variant", PREDICTING)
def test_word_vectors_may_leave_out_the_boundary_through_the_cells(variant: str) -> None:
    across = received(variant, boundary_at_input="across")
    assert relative(across, stated(variant, cell_path=False)) < EXACT
    assert relative(across, received(variant)) > WRONG
    last = [received(variant, 2, boundary_at_input=reading) for reading in ("whole", "across")]
    assert torch.equal(*last), "there is none at the end of the text"


def test_without_predictions_there_is_no_boundary_to_leave_out() -> None:
    for variant in ("bptt_4", "bptt_4_traces", "e_prop_1", "e_prop_3_truncated_traces"):
        values = {} if variant != "e_prop_3_truncated_traces" else {"synthetic": False}
        assert torch.equal(*(received(variant, boundary_at_input=reading, **values) for reading in ("whole", "across")))


def test_two_stacked_layers_of_ours_are_torchs() -> None:
    """The variant with two layers has torch's own LSTM: LSTMLayers, one behind the other, give its gradients."""
    module = WordPredictionModule(config("bptt_20_two_layers", forget_bias=0.75), 3).double()
    batch = next(WordPredictionData(module.config, 0)._epoch(0))
    stack: Any = module.stack
    module._stack_loss(stack, batch.this).backward()
    layers = [LSTMLayer(LSTM(True, 0.75), UNITS, UNITS).double() for _ in range(2)]
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for name, theirs in THEIRS.items():
                layer.get_parameter(name).copy_(stack.get_parameter(theirs.replace("l0", f"l{k}")))
    embedding = module.embedding.detach().clone().requires_grad_()
    logits = layers[1](layers[0](nn.functional.embedding(batch.this.inputs, embedding))) @ stack.w_out.T + stack.b_out
    (module.error_of(logits, batch.this.target) / BATCH).backward()
    assert relative(embedding.grad, module.embedding.grad.to_dense()) < EXACT
    for k, layer in enumerate(layers):
        for name, theirs in THEIRS.items():
            wanted = stack.get_parameter(theirs.replace("l0", f"l{k}")).grad
            assert relative(layer.get_parameter(name).grad, wanted) < EXACT
            other = stack.get_parameter(theirs.replace("l0", f"l{1 - k}")).grad
            assert relative(layer.get_parameter(name).grad, other) > WRONG  # control: the other layer
