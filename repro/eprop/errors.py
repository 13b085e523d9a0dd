"""The exceptions that the library raises."""


class UsageError(ValueError):
    """Wrong use: one sentence that names what is wrong and what would be right."""


class NotFiniteError(UsageError):
    """Training has diverged: neurons hold NaN or infinity, which no loss would show."""
