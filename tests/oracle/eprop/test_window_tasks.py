"""Both tasks that learn in windows, with every variant: the library's layers against the modules of the suite."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.eprop.layers.algorithm_1 import Algorithm1Loss
from repro.eprop.layers.lstm import LSTMLayer
from repro.eprop.neurons.lstm import LSTM, LSTMState
from repro.eprop.rules.rule import BPTT, EProp, EProp3, Rule
from repro.eprop.rules.synthetic import Algorithm1Options, SyntheticGradient, Window
from repro.rules.window_callback import WindowRuleCallback
from tasks.copy_repeat import config as copy_repeat
from tasks.copy_repeat.data import bits, in_windows
from tasks.copy_repeat.module import CopyRepeatModule
from tasks.copy_repeat.sequences import Level, sequences
from tasks.word_prediction import config as word_prediction
from tasks.word_prediction.data import WordPredictionData
from tasks.word_prediction.module import WordPredictionModule
from tests.oracle.eprop.lstm_tape import NAMES, assert_equal, relative
from tests.tasks import made_up

CLOSE, WRONG = 1e-6, 1e-3  # float32, as the tasks compute
UNITS, BATCH, HIDDEN, WORDS = 24, 8, 20, 60
Gradients = dict[str, Tensor]


class NoTrainer:
    """All of a Trainer that a rule asks for."""

    def __init__(self, callback: WindowRuleCallback) -> None:
        self.callbacks = [callback]


def rule_of(settings: Any) -> Rule:
    if settings.vectors == "truncated":
        return EProp3(trace="truncated")
    if settings.vectors == "none":
        return BPTT()
    return EProp3() if settings.recurrence else EProp()


class Net(nn.Module):
    """What a user writes for either task, with the weights of the suite's module."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        c, old = module.config, module.network
        self.embedding = None
        if hasattr(module, "embedding"):
            self.embedding = nn.Embedding.from_pretrained(module.embedding.detach().clone(), freeze=False)
        self.layer = LSTMLayer(LSTM(old.neuron.squash, old.neuron.forget_bias), old.w_in.shape[1], old.n)
        self.layer.rule = rule_of(c)
        self.readout = nn.Linear(*reversed(old.w_out.shape))
        self.predictor = None
        with torch.no_grad():
            for name in NAMES:
                self.layer.get_parameter(name).copy_(old.get_parameter(name))
            self.readout.weight.copy_(old.w_out)
            self.readout.bias.copy_(old.b_out)
        if module.predictor is not None:
            self.predictor = SyntheticGradient(old.n, c.synthetic_hidden)
            self.predictor.load_state_dict(module.predictor.state_dict())
        options = Algorithm1Options(
            c.synthetic_factor,
            c.synthetic_into_network,
            c.synthetic_error == "mean",
            c.boundary_at_input == "whole",
        )
        self.learn = Algorithm1Loss(self.layer, self.errors, self.readout.parameters(), self.predictor, options)

    def errors(self, h: Tensor, piece: Any) -> Tensor:
        if self.embedding is None:
            return bits(self.readout(h), piece)
        return nn.functional.cross_entropy(self.readout(h).flatten(0, 1), piece.target.flatten(), reduction="sum")

    def made(self, x: Tensor) -> Tensor:
        """Inputs of the layer."""
        return x if self.embedding is None else self.embedding(x)

    def window(self, piece: Any) -> Window | None:
        if piece is None:
            return None
        after = None if piece.beyond is None else self.made(piece.beyond)
        return Window(self.made(piece.inputs), piece, after)

    def gradients(self) -> Gradients:
        """By the names of the suite's modules."""
        names = {"readout.weight": "network.w_out", "readout.bias": "network.b_out", "embedding.weight": "embedding"}
        named = {name: p.grad for name, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return {names.get(name, name.replace("layer.", "network.")): gradient for name, gradient in named.items()}


def suite(module: Any, settings: Any) -> WindowRuleCallback:
    callback = WindowRuleCallback(settings)
    callback.setup(NoTrainer(callback), module, "fit")
    if module.predictor is not None:
        random = torch.Generator().manual_seed(1)
        module.predictor.out.data.copy_(0.1 * torch.randn(module.predictor.out.shape, generator=random))
    return callback


def compare(module: Any, callback: WindowRuleCallback, batches: list[Any]) -> None:
    """Gradients of each window, from the state and the vectors that the last one left, with an update after each."""
    net, state = Net(module), None
    vectors = net.layer.eligibility_vectors(BATCH)
    by_layer, layer_state, layer_vectors = Net(module), None, net.layer.eligibility_vectors(BATCH)
    for batch in batches:
        module.zero_grad()
        loss, error = callback.loss(module, batch)
        loss.backward()
        every = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        wanted = {name: gradient for name, gradient in every.items() if gradient.any()}
        if batch.begins:
            state, layer_state = None, None
            vectors.reset()
            layer_vectors.reset()
        this, following = net.window(batch.this), net.window(batch.following)
        assert this is not None
        result = net.learn(this, following, state, vectors)
        result.loss.backward()
        gradients = net.gradients()
        assert set(gradients) == set(every)
        assert not any(
            gradients[name].any() for name in set(every) - set(wanted)
        )  # nothing is asked for in this window
        assert_equal({name: gradients[name] for name in wanted}, wanted, CLOSE)
        assert torch.isclose(result.error, error, rtol=CLOSE, atol=0)
        state = result.state
        if module.predictor is None:
            layer_state = as_an_ordinary_loss(by_layer, batch.this, layer_state, layer_vectors, wanted)
        for one in (net, by_layer):
            descend(one, wanted)
        with torch.no_grad():
            for name, gradient in wanted.items():
                module.get_parameter(name).sub_(0.1 * gradient)
    control(module, batches, wanted)


def as_an_ordinary_loss(net: Net, piece: Any, state: LSTMState | None, vectors: Any, wanted: Gradients) -> LSTMState:
    """Without a predictor no Algorithm 1 is needed."""
    h, after = net.layer(net.made(piece.inputs), state, eligibility_vectors=vectors, return_state=True)
    (net.errors(h, piece) / BATCH).backward()
    gradients = net.gradients()
    assert_equal({name: gradients[name] for name in wanted}, wanted, CLOSE)
    return after


@torch.no_grad()
def descend(net: Net, gradients: Gradients) -> None:
    parameters = {"network.w_out": net.readout.weight, "network.b_out": net.readout.bias}
    if net.embedding is not None:
        parameters["embedding"] = net.embedding.weight
    for name, gradient in gradients.items():
        if name.startswith("predictor.") and net.predictor is None:
            continue
        parameter = parameters.get(name)
        (parameter if parameter is not None else net.get_parameter(name.replace("network.", "layer."))).sub_(
            0.1 * gradient
        )


def control(module: Any, batches: list[Any], wanted: Gradients) -> None:
    """The last window from rest, with new vectors, differs."""
    net = Net(module)
    this = net.window(batches[-1].this)
    assert this is not None
    net.learn(this, None, None, net.layer.eligibility_vectors(BATCH)).loss.backward()
    if not batches[-1].begins:
        assert relative(net.gradients()["network.w_rec"], wanted["network.w_rec"]) > WRONG


@pytest.mark.parametrize("variant", copy_repeat.VARIANTS)
def test_copy_repeat(variant: str) -> None:
    values = {"units": UNITS, "batch_size": BATCH, "synthetic_hidden": HIDDEN}
    settings = copy_repeat.CopyRepeatConfig(**{**values, **copy_repeat.VARIANTS[variant].settings})
    module = CopyRepeatModule(settings, seed=0)
    callback = suite(module, settings)
    batches: list[Any] = []
    for index in (0, 1):
        batches += in_windows(sequences(Level(4, 2), BATCH, 0, "training", index), settings.truncation_steps)
    compare(module, callback, batches)


WINDOWED = [name for name in word_prediction.VARIANTS if name != "bptt_20_two_layers"]


def words(variant: str, monkeypatch: pytest.MonkeyPatch, **values: Any) -> tuple[WordPredictionModule, list[Any]]:
    made_up.use(monkeypatch, words=WORDS, training=BATCH * 70)
    chosen = {"units": UNITS, "vocabulary": WORDS, "batch_size": BATCH, "synthetic_hidden": HIDDEN, "init_scale": 0.4}
    settings = word_prediction.WordPredictionConfig(
        **{**chosen, **word_prediction.VARIANTS[variant].settings, **values}
    )
    batches = list(WordPredictionData(settings, 0)._epoch(0))
    return WordPredictionModule(settings, seed=0), batches[:3] + batches[-1:]


@pytest.mark.parametrize("boundary", ["whole", "across"])
@pytest.mark.parametrize("variant", WINDOWED)
def test_word_prediction(variant: str, boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, batches = words(variant, monkeypatch, boundary_at_input=boundary)
    compare(module, suite(module, module.config), batches)


def test_word_prediction_with_two_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The eighth variant has torch's own LSTM: two of our layers, one behind the other."""
    module, (batch, *_) = words("bptt_20_two_layers", monkeypatch)
    stack: Any = module.stack
    loss, _ = module._on_tape(stack, batch.this)
    loss.backward()
    layers = [LSTMLayer(LSTM(True, module.config.forget_bias), UNITS, UNITS) for _ in range(2)]
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for ours, theirs in zip(NAMES, ("weight_ih", "weight_hh", "bias_ih"), strict=True):
                layer.get_parameter(ours).copy_(getattr(stack.lstm, f"{theirs}_l{k}"))
    embedded = nn.functional.embedding(batch.this.inputs, module.embedding.detach().clone()).requires_grad_()
    logits = layers[1](layers[0](embedded)) @ stack.w_out.detach().T + stack.b_out.detach()
    error = nn.functional.cross_entropy(logits.flatten(0, 1), batch.this.target.flatten(), reduction="sum") / BATCH
    error.backward()
    for k, layer in enumerate(layers):
        for ours, theirs in zip(NAMES, ("weight_ih", "weight_hh", "bias_ih"), strict=True):
            wanted = getattr(stack.lstm, f"{theirs}_l{k}").grad
            assert relative(layer.get_parameter(ours).grad, wanted) < CLOSE
            other = getattr(stack.lstm, f"{theirs}_l{1 - k}").grad
            assert wanted.shape != other.shape or relative(layer.get_parameter(ours).grad, other) > WRONG
    rows = torch.zeros_like(module.embedding).index_add_(0, batch.this.inputs.flatten(), embedded.grad.flatten(0, 1))
    assert relative(rows, module.embedding.grad) < CLOSE
