"""Which loggers a run has: their names as `--logger` takes them, and what each needs."""

import importlib.util
import os
from collections.abc import Sequence

from repro.errors import UserError, unknown

WANDB, TENSORBOARD, CSV, NONE = "wandb", "tensorboard", "csv", "none"
NEEDS = {  # name -> packages, any one of which is enough
    WANDB: ("wandb",),
    TENSORBOARD: ("tensorboardX", "tensorboard"),
    CSV: (),
    NONE: (),
}


def parse_loggers(text: str) -> tuple[str, ...]:
    """The loggers in a list such as "wandb,csv"; none of them for "none".

    Raises UserError for an empty list, an unknown name, "none" beside others, and a package that is not installed.
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        if name not in NEEDS:
            raise unknown("logger", name, NEEDS)
        if not is_installed(name):
            package = NEEDS[name][0]
            raise UserError(f"--logger {name} needs {package}, which is not installed; `pip install {package}` adds it")
    if NONE in names and len(names) > 1:
        raise UserError(f"--logger {text}: none cannot be combined with other loggers")
    return () if names == (NONE,) else names


def logger_words(loggers: Sequence[str] | None) -> tuple[str, ...]:
    """The option `--logger` for these loggers; none for the default ones (None)."""
    return () if loggers is None else ("--logger", ",".join(loggers) or "none")


def default_loggers() -> tuple[str, ...]:
    """W&B where it is installed."""
    return (WANDB,) if is_installed(WANDB) else ()


def check_shared_id(runs: int, loggers: Sequence[str] | None) -> None:
    """Raises UserError where WANDB_RUN_ID would give several runs one id; `loggers` are theirs (None: the default)."""
    names = default_loggers() if loggers is None else loggers
    if runs > 1 and WANDB in names and os.environ.get("WANDB_RUN_ID"):
        raise UserError(f"WANDB_RUN_ID names one W&B run, and {runs} runs are to be trained; unset it")


def is_installed(name: str) -> bool:
    """Whether a logger can be used here."""
    packages: Sequence[str] = NEEDS[name]
    return not packages or any(has_package(package) for package in packages)


def has_package(package: str) -> bool:
    """Whether a package is installed, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a finder refuses it, or sys.modules has None in its place
        return False
