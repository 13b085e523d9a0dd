"""The one exception that a user should ever see: a sentence naming what is wrong and what would be right."""


class UserError(Exception):
    """Bad input (config, data, checkpoint, command line); the front door prints it and exits with status 2."""


class RunFailed(Exception):
    """A training run that ended without a result (NaN, dead network); its record says why. Exit status 1."""
