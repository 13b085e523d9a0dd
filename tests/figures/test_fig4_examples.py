import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

import paper_figures
from paper_figures import fig4c, fig4d, style
from paper_figures.table import gather
from repro.errors import UserError
from repro.text import format_number
from tasks.copy_repeat.config import TASK as COPY
from tests.figures import synthetic_copy, synthetic_words
from tests.figures.drawing import Draw, axes_of, copies, texts_of, words_in


@pytest.fixture
def words(tmp_path: Path) -> Draw:
    """The words of a panel, drawn from records with these settings."""
    return words_in(tmp_path)


def test_4c_draws_what_was_recorded(tmp_path):
    table = copies(tmp_path, seeds=(2, 4), profile="smoke")
    record, arrays = table.example("e_prop_3", "example_input", "example_target", "example_output")
    axes = axes_of(fig4c.panel_c, table)
    for place, name in zip(axes[:3], ("input", "target", "output"), strict=True):
        shown = np.ma.filled(place.images[0].get_array().astype(float), np.nan)
        assert np.array_equal(shown, arrays[f"example_{name}"].T, equal_nan=True)
    asked = ~np.isnan(arrays["example_target"]).any(1)
    opacity = np.asarray(axes[2].images[0].get_alpha())[0]
    assert set(opacity[asked]) == {1} and set(opacity[~asked]) == {fig4c.FAINT}
    assert record.seed == 2


def test_4c_says_what_the_sequence_is(words, tmp_path):
    found = words("4c", {"seeds": (3,), "profile": "smoke"})
    _, arrays = gather(COPY, tmp_path / "records0").example("e_prop_3", "example_input", "example_target")
    marks = arrays["example_input"]
    pattern = int(marks[:, 8].argmax())  # the stop character
    repeats = int(marks[pattern + 1].argmax()) + 1
    steps = pattern * (repeats + 1) + 3
    assert f"e-prop 3, seed 3: {pattern} characters to be copied {repeats} times" in found
    assert f"{steps} steps, the longest that it solved; 100 % of the bits are right" in found
    assert {str(copy) for copy in range(1, repeats + 1)} <= set(found) and "pattern" in found
    none = {"seeds": (0,), "profile": "smoke", "rungs": {"e_prop_3": (-1, 0.5)}}
    assert any("5 steps, none solved yet" in word for word in words("4c", none))


def test_wrong_bits_are_counted(monkeypatch, words):
    make = synthetic_copy.make_example

    def flipped(*given: Any) -> dict[str, np.ndarray]:
        arrays = make(*given)
        return arrays | {"example_output": 1 - arrays["example_output"]}

    monkeypatch.setattr(synthetic_copy, "make_example", flipped)
    assert any("; 0 % of the bits are right" in word for word in words("4c", {"seeds": (0,), "profile": "smoke"}))


@pytest.mark.parametrize(("panel", "best"), [("4c", "full BPTT"), ("4d", "BPTT, 20 steps")])
def test_without_e_prop_3_the_best_is_shown(words, panel, best):
    others = {"profile": "smoke", "seeds": (0,), "variants": ["bptt_4", "bptt_full" if panel == "4c" else "bptt_20"]}
    alone = " ".join(words(panel, others))
    assert f"{best}, seed 0" in alone and ("(lowest perplexity; e-prop 3, the paper's: not run)" in alone) == (
        panel == "4d"
    )
    both = " ".join(words(panel, others, {**others, "variants": ["e_prop_3"]}))
    assert "e-prop 3, seed 0" in both and "lowest perplexity" not in both


def test_4d_shows_every_word_with_its_own_probability(tmp_path):
    table = texts_of(tmp_path, seeds=(1,), profile="smoke")
    _, arrays = table.example("e_prop_3", "example_words", "example_probability")
    axes = axes_of(fig4d.panel_d, table)[0]
    labels = [text.get_text() for text in axes.texts]
    for k, probability in enumerate(arrays["example_probability"].astype(float)):
        word, number = labels[2 * k + 2 : 2 * k + 4]
        assert (word, number) == (arrays["example_words"][k + 1], fig4d.percent(probability))
        assert to_hex(axes.patches[k].get_facecolor()) == to_hex(fig4d.shade(probability, style.COLOURS["e_prop_3"]))
    assert labels[:2] == [arrays["example_words"][0], ""]  # the first word is not predicted
    mean = np.exp(-np.log(arrays["example_probability"].astype(float)).mean())
    assert f"after 2 epochs; perplexity\nof these words: {format_number(mean)}" in labels


def test_shades_and_per_cents_grow_with_the_logarithm():
    assert [fig4d.percent(p) for p in (0.98, 0.341, 0.1, 0.0512, 0.005, 3e-4, 9e-5)] == [
        "98", "34", "10", "5.1", "0.5", "0.03", "<0.01",
    ]  # fmt: skip
    assert fig4d.shade(1e-4, "#000000") == fig4d.shade(1e-7, "#000000") == (1, 1, 1)
    grey = [fig4d.shade(p, "#000000")[0] for p in (1e-3, 1e-2, 1e-1, 1.0)]
    assert np.diff(grey) == pytest.approx([-fig4d.FULL / 4] * 3) and grey[-1] == pytest.approx(1 - fig4d.FULL)


def test_words_flow_without_overlap_and_end_where_the_room_does():
    boxes = fig4d.flow(["word"] * 30 + ["a"] * 30, ["0.051"] * 60, 3.0, 1.3)
    assert 20 < len(boxes) < 60
    for (x, y, wide), (later, below, _) in itertools.pairwise(boxes):
        assert later >= x + wide or (below > y and later == 0)
    assert max(x + wide for x, _, wide in boxes) <= 3.0 and max(y for _, y, _ in boxes) + fig4d.BOX <= 1.3
    assert len(fig4d.flow(["word"] * 9, [""] * 9, 3.0, 1.3)) == 9


def test_words_that_look_like_mathematics_or_are_long_are_drawn_as_they_are(words):
    found = words("4d", {"profile": "smoke", "seeds": (0,), "text": "cost $ 5 $ <unk> " + "x" * 60})
    assert found.count("$") == 2 and "&lt;unk&gt;" in found
    assert f"{'x' * (fig4d.LONGEST - 1)}…" in found


@pytest.mark.parametrize(("panel", "lost", "other"), [("4c", "output", "4e"), ("4d", "probability", "4f")])
def test_a_record_without_the_arrays_says_so(panel, lost, other, tmp_path, monkeypatch):
    module = synthetic_copy if panel == "4c" else synthetic_words
    make = module.make_example
    monkeypatch.setattr(
        module, "make_example", lambda *given: {k: v for k, v in make(*given).items() if k != f"example_{lost}"}
    )
    module.write_runs(tmp_path / "records", (0,), profile="smoke")
    with pytest.raises(UserError, match=f"has no array example_{lost}; train that run again"):
        paper_figures.draw("fig4", tmp_path / "records", [panel], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    paper_figures.draw("fig4", tmp_path / "records", [other], tmp_path / "out")  # which does not want it
