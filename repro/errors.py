"""The one exception that a user should ever see: a sentence naming what is wrong and what would be right."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input (config, data, checkpoint, command line); the command line prints it and exits with status 2."""


class Busy(UserError):
    """Another process is training this very run."""


class RunFailed(Exception):
    """A training run that ended without a result (NaN, dead network); its record has the reason. Exit status 1."""


def unknown(what: str, name: str, known: Iterable[str], of: str = "") -> UserError:
    """The error for a name that is none of `known`: names the nearest one and lists them all."""
    options = {option.lower(): option for option in known}
    nearest = difflib.get_close_matches(name.lower(), options, n=1)
    hint = f"did you mean {options[nearest[0]]}? " if nearest else ""
    return UserError(f"unknown {what} {name!r}{f' of {of}' if of else ''}; {hint}known: {', '.join(options.values())}")
