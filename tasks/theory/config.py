"""The paper's theoretical statements, proved there or not, measured on small networks in float64. No training.

eq1     sum_t L e is the gradient, for LIF and ALIF neurons and for every gate of an LSTM
eq70    with ideal boundaries e-prop 3's windows add up to it
alpha0  a neuron without memory has nothing but the truncated trace
online  e-prop 1 keeps as much after a long trial as after a short one
cost    traces cost as many multiplications as the network that they belong to, up to a factor
eq10    e-prop 3 is nearer to the gradient than truncated BPTT with the same synthetic gradients: where?
"""

import dataclasses

from repro.errors import UserError
from repro.runs.config import assumed, paper
from repro.runs.task import Profile, Task, Variant

SMALL = "small enough for an exact expectation in every cell of the map; no statement is about a size"
AXIS = "ours: from where Eq. 10 holds to where it does not"
GENERAL = "General simulation and neuron parameters"


@dataclasses.dataclass(frozen=True)
class TheoryConfig:
    """Every value of a measurement. Windows, memory and coupling are axes of the map, each evenly spaced in logarithms
    from the lowest to the highest."""

    n_rec: int = assumed(16, SMALL, low=2, high=1000)
    n_in: int = assumed(4, SMALL, low=1, high=1000)
    n_out: int = assumed(2, SMALL, low=1, high=1000)
    steps: int = assumed(64, "of a sequence: twice the longest memory", low=4, high=100_000)
    batch_size: int = assumed(4, "independent sequences, over which squared errors are averaged", low=1, high=10_000)
    input_scale: float = assumed(
        0.5, "rms of the input current: units are neither silent nor saturated", low=0, high=100
    )
    squash: bool = paper(False, "Eq. 36 prints h = o c; true is h = o tanh(c)")
    window_short: int = assumed(1, AXIS, low=1, high=10_000)
    window_long: int = assumed(16, AXIS + "; the paper has 4 (tasks 3.1, 3.2)", low=1, high=10_000)
    windows: int = assumed(3, "lengths: the paper's 4 lies in the middle", low=1, high=100)
    memory_low: float = assumed(2.0, "steps, 1 / (1 - alpha); of an LSTM 1 / (1 - f) at rest", low=1.001, high=1e6)
    memory_high: float = assumed(32.0, "steps; half a sequence", low=1.001, high=1e6)
    memories: int = assumed(5, "factors of two", low=1, high=1000)
    coupling_low: float = assumed(0.0625, AXIS, low=1e-9, high=1e6)
    coupling_high: float = assumed(4.0, AXIS + "; spectral radius of the recurrent weights, about", low=1e-9, high=1e6)
    couplings: int = assumed(7, "factors of two", low=1, high=1000)
    explained_levels: int = assumed(
        5, "shares of their ideal's variance that synthetic gradients explain, from 0 to 1", low=2, high=1000
    )
    tau_m_ms: float = paper(20.0, "e-prop 1: LIF and ALIF", low=1e-3, high=1e6)
    tau_out_ms: float = assumed(40.0, "different from tau_m, so that a swap of the two would show", low=1e-3, high=1e6)
    tau_a_ms: float = assumed(90.0, "a threshold that moves within the sequence", low=1e-3, high=1e6)
    beta: float = assumed(0.1, "moves it by a third, so that an error in it could not be overlooked", low=0, high=1e3)
    v_th: float = paper(0.61, "Pattern generation task 1.1", low=1e-6, high=1e6)
    refractory_ms: int = paper(5, "Pattern generation task 1.1", low=0, high=1000)
    dampening: float = paper(0.3, "Implementation of the optimization algorithm", low=0.0, high=10.0)
    counted_low: int = assumed(
        64, "neurons of the smallest network whose operations are counted; of RTRL's, a quarter", low=8, high=1000
    )
    doublings: int = assumed(3, "of that number, for the exponent of their growth", low=1, high=6)
    growth: int = assumed(
        4, "how many times as long the longer of two trials is whose memory is compared", low=2, high=100
    )
    online_steps: int = assumed(200, "of the shorter of the two", low=50, high=100_000)
    online_n: int = assumed(
        128, "neurons: n^2 floats of a trace, against as many a step of a readout", low=2, high=1000
    )

    def __post_init__(self) -> None:
        """Raises UserError where values do not go together."""
        for axis in ("memory", "coupling"):
            low, high = getattr(self, f"{axis}_low"), getattr(self, f"{axis}_high")
            if low > high:
                raise UserError(f"{axis}_low={low:g} with {axis}_high={high:g}: the axis goes from low to high")
        if not self.window_short <= self.window_long < self.steps:
            raise UserError(
                f"window_short={self.window_short}, window_long={self.window_long}, steps={self.steps}: "
                "windows go from short to long, and the longest is shorter than a sequence"
            )


VARIANTS = {"measured": Variant("theory", "every statement, and the map of Eq. 10", {})}

PROFILES = {
    "smoke": Profile(
        "seconds, for tests: shows that the machine runs",
        {
            **{"n_rec": 5, "steps": 16, "batch_size": 2, "window_long": 4, "windows": 2, "memory_high": 8.0},
            **{"memories": 2, "couplings": 3, "counted_low": 32, "online_steps": 100},
        },
        (0,),
    ),
    "quick": Profile("smaller networks, a coarser map", {"n_rec": 10, "memories": 3, "couplings": 4}, (0,)),
    "paper": Profile("the whole map, ten seeds", {}, tuple(range(10))),
}

TASK = Task(
    name="theory",
    figure="theory",
    panels=("10",),
    about="what the paper states of gradients, against autograd; where Eq. 10 holds",
    config=TheoryConfig,
    variants=VARIANTS,
    profiles=PROFILES,
    measure="tasks.theory.measure:measure",
    seconds={"measured": 35.0},
    megabytes=0.1,
    work=("n_rec", "batch_size"),
    headline="eq10_rate_share",
)
