"""The subcommands of `repro`, one file each: `add` gives argparse the arguments, `execute` runs the command."""
