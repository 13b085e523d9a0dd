"""The paper's experiments. One line here registers a task; its `config` imports no torch."""

import importlib

from repro.errors import unknown
from repro.runs.task import Task

TASKS = {
    "pattern_generation": "tasks.pattern_generation.config",
    "store_recall": "tasks.store_recall.config",
    "speech": "tasks.speech.config",
    "arm_reaching": "tasks.arm_reaching.config",
    "copy_repeat": "tasks.copy_repeat.config",
    "word_prediction": "tasks.word_prediction.config",
    "theory": "tasks.theory.config",
}


def get_task(name: str) -> Task:
    """The task of that name. Raises UserError when there is none."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    task: Task = importlib.import_module(TASKS[name]).TASK
    return task


def tasks_of(figure: str) -> list[Task]:
    """The tasks behind a figure such as "fig1". Raises UserError when there is none."""
    found = [task for task in map(get_task, TASKS) if task.figure == figure]
    if not found:
        known = sorted({get_task(name).figure for name in TASKS})
        raise unknown("figure", figure, known)
    return found
