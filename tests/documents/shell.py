"""Stands in for `repro` and `make` while the commands of a page are run: the same at a size that takes seconds.

`repro run` trains at the size `smoke`; `repro reproduce` prints what it would train. What takes longer or writes into
this checkout is only parsed. `make` gives the recipe of its target, whose `repro` commands are run like the others.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
AS_THEY_ARE = ("list", "show", "runs", "pack", "import", "check")
COMMANDS = r"fig\w+|theory|check|regress|sweep"  # targets whose recipe is one command


def repro(*words: str) -> int:
    """A `repro` command, or a smaller one. Raises SystemExit for a command that does not exist."""
    from repro.cli.main import build_parser, main

    build_parser(words).parse_args(words)
    if words[0] == "run":
        return main([*words, "--profile", "smoke"])
    if words[0] == "reproduce":
        return main([*words, "--dry-run"])
    if words[0] == "sweep" and words[1] != "table":
        return main(["sweep", "status", words[2] if words[1] == "status" else words[1]])
    return main(words) if words[0] in AS_THEY_ARE and "--write" not in words else 0


def make(program: str, *words: str) -> int:
    """The recipe of a target, which the program `make` prints; run, where it is a `repro` command."""
    recipe = subprocess.run(
        [program, "-n", "-o", ".venv/.stamp", "-o", ".venv/.speech", *words], cwd=ROOT, capture_output=True, text=True
    )
    if recipe.returncode:
        print(recipe.stderr, file=sys.stderr)
        return recipe.returncode
    commands = re.findall(r"^\.venv/bin/(repro .*)$", recipe.stdout, re.M)
    return subprocess.run(["bash", "-ec", "\n".join(commands)]).returncode if re.fullmatch(COMMANDS, words[0]) else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    program, *rest = sys.argv[1:]
    sys.exit(repro(*rest) if program == "repro" else make(*rest))
