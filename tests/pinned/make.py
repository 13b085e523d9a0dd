"""Makes the pinned files: `python -m tests.pinned.make [TASK ...]`; with --overwrite, anew where there are some.

A change that is meant to change numbers says why in its commit, and commits the new files with it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from tasks import TASKS
from tests.pinned.cases import cases
from tests.pinned.runs import Pinned, measure, workplace

FOLDER = Path(__file__).parent


def path_of(task: str) -> Path:
    """Where the runs of a task are pinned."""
    return FOLDER / f"{task}.json"


def text_of(runs: dict[str, Pinned]) -> str:
    """JSON with one line for each part of each run, so that a diff shows what changed."""
    entries = []
    for name, parts in runs.items():
        lines = []
        for part, value in parts.items():
            if part in ("series", "metrics"):
                inner = ",\n".join(f"   {json.dumps(key)}: {_compact(values)}" for key, values in value.items())
                lines.append(f"  {json.dumps(part)}: {{\n{inner}\n  }}")
            else:
                lines.append(f"  {json.dumps(part)}: {_compact(value)}")
        entries.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> int:
    """Train all runs of the tasks that are named (all, if none is), and write their files."""
    parser = argparse.ArgumentParser(prog="python -m tests.pinned.make", description="Make the pinned runs.")
    parser.add_argument("task", nargs="*", choices=[[], *TASKS], metavar="TASK", help="all if none is named")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    args = parser.parse_args()
    chosen = args.task or list(TASKS)
    there = [path_of(task).name for task in chosen if path_of(task).exists()]
    if there and not args.overwrite:
        parser.error(f"{', '.join(there)}: already there; --overwrite replaces them")
    for task in chosen:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, workplace(Path(folder)) as root:
            runs = {case.name: measure(case, root) for case in cases(task)}
        path_of(task).write_text(text_of(runs), encoding="utf-8")
        print(f"{path_of(task)}: {len(runs)} runs, {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
