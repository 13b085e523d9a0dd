"""The paper's experiments, one folder each; entry points in pyproject.toml register them. A config imports no torch."""

from repro.runs.registry import get_task as get_task
from repro.runs.registry import task_names

TASKS = task_names()
