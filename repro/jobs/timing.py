"""How often the processes that share a queue look at it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds: a lease is renewed each `renew`, is stale after `stale` without; an idle process looks each `poll`."""

    renew: float = 10.0
    stale: float = 60.0
    poll: float = 1.0
