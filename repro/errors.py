"""How a command may end other than well, and the exit status of each. A user sees one sentence, never a traceback."""

import difflib
from collections.abc import Iterable

FINISHED, FAILED, BAD_INPUT, PRUNED = 0, 1, 2, 3  # exit statuses; what a run was (PRUNED: only a study stops it early)
UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: the same command continues, now or later
INTERRUPTED = 130  # by Ctrl-C

OF_THE_SUITE = (  # modules that `repro.eprop` does without; pyproject.toml has their packages
    *("jinja2", "latex2mathml", "markdown_it", "matplotlib", "mdit_py_plugins", "optuna", "pandas", "pydantic"),
    *("pytorch_lightning", "scipy", "seaborn", "sklearn", "soundfile", "torchaudio", "tqdm", "wandb", "yaml"),
)
LONGEST_NAME = 100  # of an unknown name, in a sentence
MOST_NAMES = 30  # that a sentence lists


class UserError(Exception):
    """Bad input (config, data, checkpoint, command line); the command line prints it and exits with status 2."""


class Busy(UserError):
    """Another process is training this very run. Exit status 75: it is not a failure."""


class StorageAway(UserError):
    """A queue's storage could not be reached for long. Exit status 75: the same command continues when it is back."""


class RunFailed(Exception):
    """A training run that ended without a result (NaN, dead network); its record has the reason. Exit status 1."""


class RunPruned(Exception):
    """A study stopped the run early, because others were ahead of it. Exit status 3."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM, or SIGUSR1 as a cluster sends before a time limit). Exit status 75."""


def not_installed(module: str) -> str | None:
    """A sentence for a module of the reproduction suite that is missing; None for other modules, which are a fault.

    The library does without these packages. So an installation of the library alone has the command, not the suite.
    """
    package = module.partition(".")[0]
    if package not in OF_THE_SUITE:
        return None
    return (
        f"{package} is not installed: this command needs the reproduction suite, `pip install '.[suite]'` in the clone"
    )


def unknown(what: str, name: str, known: Iterable[str], of: str = "") -> UserError:
    """The error for a name that is none of `known`: names the nearest one and lists them."""
    options = {option.lower(): option for option in known}
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]} ..."
    nearest = difflib.get_close_matches(name.lower(), options, n=1)
    hint = f"did you mean {options[nearest[0]]}? " if nearest else ""
    first, rest = list(options.values())[:MOST_NAMES], len(options) - MOST_NAMES
    listed = ", ".join(first) + (f" and {rest} more" if rest > 0 else "")
    return UserError(f"unknown {what} {name!r}{f' of {of}' if of else ''}; {hint}known: {listed}")
