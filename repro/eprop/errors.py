"""The one exception that the library raises for wrong use."""


class UsageError(ValueError):
    """Wrong use: one sentence that names what is wrong and what would be right."""
