"""The colours of the variants, in all figures."""

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
