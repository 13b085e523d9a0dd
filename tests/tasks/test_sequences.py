"""The sequences of task 3.1 and its curriculum."""

import torch

from tasks.copy_repeat.sequences import BITS, CHANNELS, Curriculum, Level, sequences


def test_the_example_of_the_text() -> None:
    made = sequences(Level(2, 3), 5, 0, "training", 0)
    assert made.inputs.shape == made.target.shape == (5, 11, CHANNELS)
    pattern = made.inputs[:, :2, :BITS]
    assert 0.3 < pattern.mean() < 0.7
    assert made.inputs[0, 2].tolist() == [0] * 8 + [1]
    assert made.inputs[0, 3].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert not made.inputs[:, 4:].any()
    assert not made.target[:, : made.level.first_target_step].any()
    for copy in range(3):
        assert torch.equal(made.target[:, 4 + 2 * copy : 6 + 2 * copy, :BITS], pattern)
    assert made.target[0, 10].tolist() == [0] * 8 + [1]
    assert made.target[:, :10, BITS].sum() == 0
    assert not torch.equal(pattern[:1].expand_as(pattern), pattern)  # sequences have different patterns


def test_a_batch_is_a_function_of_its_arguments() -> None:
    first = sequences(Level(3, 2), 4, 0, "training", 7)
    assert torch.equal(first.inputs, sequences(Level(3, 2), 4, 0, "training", 7).inputs)
    for other in ((0, "training", 8), (1, "training", 7), (0, "test", 7)):
        assert not torch.equal(first.inputs, sequences(Level(3, 2), 4, *other).inputs)


def test_the_ladder_meets_the_lengths_that_the_paper_prints() -> None:
    level, lengths = Level(), []
    for _ in range(30):
        lengths.append(level.length)
        level = level.harder()
    assert lengths[:16] == [5, 7, 9, 12, 15, 19, 23, 28, 33, 39, 45, 52, 59, 67, 75, 84]
    assert {15, 19, 28, 39} <= set(lengths) and not {41, 74} & set(lengths)
    assert level.repeats == 9 and level.pattern > 10  # the count's code ends there, the pattern goes on


def test_a_level_is_solved_below_the_threshold_alone() -> None:
    curriculum = Curriculum(0.15)
    curriculum.report(0.15)
    assert (curriculum.level, curriculum.solved) == (Level(1, 1), 0)
    curriculum.report(0.149)
    assert (curriculum.level, curriculum.solved) == (Level(2, 1), 5)
    curriculum.report(0.0)
    other = Curriculum(0.15)
    other.load_state_dict(curriculum.state_dict())
    assert (other.level, other.solved) == (Level(2, 2), 7)
