"""The colours of the variants, in all figures."""

import numpy as np
from matplotlib.colors import to_hex, to_rgb

# One colour per variant in all figures; they differ with every common colour blindness (after Okabe & Ito, and Tol).
OTHER = "#5a6b7b"  # of a variant that has no colour yet


class _Colours(dict[str, str]):
    def __missing__(self, variant: str) -> str:
        self[variant] = OTHER
        return OTHER


COLOURS = _Colours(
    {
        "bptt": "#000000",
        "e_prop_1": "#0072b2",
        "e_prop_1_symmetric": "#56b4e9",
        "clopath": "#009e73",
        "binary": "#e08fc0",
        "no_recurrence": "#6f6f6f",
        "global_signal": "#661144",
        "resampled_20ms": "#e69f00",
        "resampled_1ms": "#c84a00",
        "truncated_traces": "#9d48f2",
        "lif_only_bptt": "#4c4c3c",
        "lif_only_e_prop_1": "#b4b4a4",
        "readout_only": "#bfa15a",
        "lstm_bptt": "#332288",
        "e_prop_2_spiking": "#2243c3",
        "e_prop_2_linear": "#b20000",
        "no_inner_update": "#ac7339",
        "bptt_4": "#815c37",
        "synthetic_gradients": "#77c584",
        "bptt_4_traces": "#758af0",
        "e_prop_3": "#9c1c87",
    }
)
COLOURS["e_prop_1_decoding"] = COLOURS["e_prop_1"]  # the same rule, trained on
COLOURS["e_prop_1_variance_1_over_n"] = COLOURS["e_prop_1"]  # the same rule, weaker feedback
COLOURS["e_prop_2_truncated_traces"] = COLOURS["truncated_traces"]  # the same trace
COLOURS["e_prop_3_truncated_traces"] = COLOURS["truncated_traces"]
COLOURS["bptt_full"] = COLOURS["bptt_20"] = COLOURS["bptt"]  # as far back as a panel's BPTT goes
COLOURS["bptt_20_two_layers"] = COLOURS["bptt"]  # the same rule, drawn fainter

LEGIBLE = 4.5  # the contrast of small letters with their ground that WCAG asks for
DARKER = 0.97


def ink(colour: str) -> str:
    """The colour for letters on white: darkened until their contrast is `LEGIBLE`."""
    parts = np.array(to_rgb(colour))
    while 1.05 / (luminance(parts) + 0.05) < LEGIBLE:
        parts *= DARKER
    return to_hex(tuple(parts))


def luminance(parts: np.ndarray) -> float:
    """The relative luminance of red, green and blue from 0 to 1 (WCAG 2)."""
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
