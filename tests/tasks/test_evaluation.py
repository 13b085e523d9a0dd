"""The probabilities that a network gives to a text: many steps at once by torch's own LSTM, and word by word."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.word_prediction import evaluation
from tasks.word_prediction.module import WordPredictionModule
from tasks.word_prediction.record import example
from tests.tasks import made_up
from tests.tasks.made_up import config, data_of


@pytest.fixture(autouse=True)
def text(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up.use(monkeypatch)


@torch.no_grad()
def word_by_word(module: WordPredictionModule, words: Tensor) -> Tensor:
    """log P of each word but the first of one stream, by the network itself or by cells."""
    series, c, state = [], module.config, None
    if module.stack is not None:
        cells = [nn.LSTMCell(c.units, c.units).double() for _ in range(c.layers)]
        for k, cell in enumerate(cells):
            cell.load_state_dict({n: module.stack.lstm.get_parameter(f"{n}_l{k}") for n, _ in cell.named_parameters()})
        memory: list[Any] = [None] * c.layers
    for now, later in itertools.pairwise(words.tolist()):
        x = module.embedding[None, now]
        if module.stack is None:
            h, state = module.network.layer(x[None], state, return_state=True)
            logits = module.network.readout(h)[0]
        else:
            for k, cell in enumerate(cells):
                memory[k] = cell(x, memory[k])
                x = memory[k][0]
            logits = x @ module.stack.w_out.T + module.stack.b_out
        series.append(logits[0].log_softmax(dim=0)[later])
    return torch.stack(series)


@pytest.mark.parametrize("values", [{}, {"forget_bias": 0.75}, {"layers": 2, "algorithm": "autograd"}])
def test_perplexity_is_that_of_reading_word_by_word(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module = WordPredictionModule(config(init_scale=0.8, **values), 0).double()
    texts = data_of().evaluated
    assert texts["validation"].shape == (4, 17) and texts["test"].shape == (1, 50)
    for words in texts.values():
        wanted = [word_by_word(module, stream) for stream in words]
        for at_once in (1, 7, 500):
            monkeypatch.setattr(evaluation, "AT_ONCE", at_once)
            read = evaluation.log_probabilities(module.embedding, module.as_stack(), words)
            torch.testing.assert_close(read, torch.stack(wanted), rtol=1e-10, atol=0.0)
            perplexity = math.exp(-float(torch.cat(wanted).mean()))
            assert evaluation.perplexity(module.embedding, module.as_stack(), words) == pytest.approx(perplexity)
    torch.testing.assert_close(read.exp(), read.exp().clamp(0, 1))
    assert evaluation.perplexity_of(1000.0) == math.inf
    cut = torch.cat([word_by_word(module, part) for part in words[0].split(10)])  # control: state lost on the way
    assert math.exp(-float(cut.mean())) != pytest.approx(perplexity, rel=1e-4)


def test_as_a_stack_the_network_is_the_same() -> None:
    module = WordPredictionModule(config(init_scale=0.8, forget_bias=0.75), 0).double()
    words = data_of().streams
    stack, x = module.as_stack(), nn.functional.embedding(words, module.embedding)
    outputs, state = module.network.layer(x, return_state=True)
    logits, (h, c) = stack(x)
    torch.testing.assert_close(logits, module.network.readout(outputs), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(logits, module.network(x), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close((h[0], c[0]), (state.h, state.c), rtol=1e-10, atol=1e-12)
    without, _ = WordPredictionModule(config(init_scale=0.8), 0).double().as_stack()(x)
    assert not torch.allclose(without, logits, rtol=1e-3)  # control: the forget bias


@pytest.mark.parametrize(("length", "first", "shown"), [(1040, 1000, 25), (1003, 978, 25), (50, 25, 25), (9, 0, 9)])
def test_an_example_is_a_stretch_of_the_test_text(
    length: int, first: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = made_up.use(monkeypatch, test=length).splits["test"]
    module = WordPredictionModule(config(init_scale=0.8), 0)
    arrays = example(module, data_of().corpus)
    assert arrays["example_words"].tolist() == [f"word{k}" for k in read[first : first + shown]]
    odds = word_by_word(module, torch.from_numpy(read[: first + shown]).long()).exp()
    np.testing.assert_allclose(arrays["example_probability"], odds[first:], rtol=1e-4)
    assert len(arrays["example_probability"]) == shown - 1
