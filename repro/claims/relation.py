"""A claim about several runs: "e_prop_1 < resampled_20ms < resampled_1ms", "bptt_20 ~ bptt_20_two_layers".

A term is a variant ("bptt"), a variant's other metric ("bptt:rate_hz"), either of them times a number ("10 * bptt"),
or a number alone ("0.5"). `<` is an order, `~` a likeness.
"""

import dataclasses
import re

from repro.errors import UserError

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
TERM = re.compile(
    rf"(?P<number>{NUMBER})|(?:(?P<factor>{NUMBER}) \* )?(?P<variant>[A-Za-z]\w*)(?::(?P<metric>[A-Za-z]\w*))?"
)


@dataclasses.dataclass(frozen=True)
class Term:
    """`factor` times a metric of a variant; without a variant, the number `factor` itself."""

    factor: float
    variant: str
    metric: str
    text: str


@dataclasses.dataclass(frozen=True)
class Relation:
    """Left lies below right, or (`alike`) within a tolerance of it."""

    left: Term
    right: Term
    alike: bool

    def __str__(self) -> str:
        """As claims.toml writes it."""
        return f"{self.left.text} {'~' if self.alike else '<'} {self.right.text}"


def parse_relations(text: str, metric: str) -> tuple[Relation, ...]:
    """Split "a < b < c" into the pairs (a, b) and (b, c); terms that name no metric take `metric`.

    Raises UserError when the text is no such chain.
    """
    parts = re.split(r" ([<~]) ", text)
    terms = [_parse_term(part, metric) for part in parts[::2]]
    pairs = [Relation(a, b, sign == "~") for a, b, sign in zip(terms, terms[1:], parts[1::2], strict=False)]
    if not pairs:
        raise UserError(f"{text!r} is not a relation; write it like 'a < b', 'a < b < c' or 'a ~ b'")
    if any(not pair.left.variant and not pair.right.variant for pair in pairs):
        raise UserError(f"{text!r} compares two numbers; at least one side must be a variant")
    return tuple(pairs)


def _parse_term(text: str, metric: str) -> Term:
    match = TERM.fullmatch(text)
    if not match:
        raise UserError(f"{text!r} is not a term of a relation; write 'variant', 'variant:metric' or '10 * variant'")
    if match["number"]:
        return Term(float(match["number"]), "", "", text)
    return Term(float(match["factor"] or 1), match["variant"], match["metric"] or metric, text)
