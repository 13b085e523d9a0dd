"""Who is timed, in which sizes, and how often. No torch in here: the processes that measure import it."""

import dataclasses

EAGER, EAGER_E_PROP, JAX = "plain eager BPTT", "plain eager e-prop 1 (detached)", "JAX scan, e-prop 1 (jitted)"
FACTORED, BPTT, ONLINE = "ours: e-prop 1 (factored)", "ours: BPTT (fused)", "ours: e-prop 1 (online)"
LIGHTNING = "ours: e-prop 1 under Lightning"


@dataclasses.dataclass(frozen=True)
class Bench:
    """One benchmark; `sizes` are fields of `benchmarks.problem.Problem`, `label` names them where there are several."""

    about: str
    who: tuple[str, ...]
    sizes: tuple[dict[str, int], ...]
    rounds: int
    label: str = ""

    def name_of(self, who: str, size: dict[str, int]) -> str:
        """The contender's name, with the size where there are more than one."""
        return f"{who}, {self.label.format(**size)}" if self.label else who


GROWING = (EAGER, ONLINE, BPTT, FACTORED)
BENCHES = {
    "pattern_generation": Bench(
        "one iteration of task 1.1 at the paper's size: 600 neurons, 1000 steps, one trial",
        # In this order: JAX's threads may end in the time of who follows, which a slow one feels least; and Lightning's
        # share is a difference of neighbours.
        (EAGER, EAGER_E_PROP, JAX, ONLINE, BPTT, FACTORED, LIGHTNING),
        ({"n_rec": 600, "trial_ms": 1000},),
        rounds=15,
    ),
    "pattern_generation_growth_T": Bench(
        "the same with 600 neurons and ever longer trials",
        GROWING,
        tuple({"n_rec": 600, "trial_ms": steps} for steps in (500, 1000, 2000, 4000)),
        rounds=5,
        label="T = {trial_ms}",
    ),
    "pattern_generation_growth_n": Bench(
        "the same with 1000 steps and ever more neurons",
        GROWING,
        tuple({"n_rec": n, "trial_ms": 1000} for n in (300, 600, 1200, 2400)),
        rounds=5,
        label="n = {n_rec}",
    ),
}
