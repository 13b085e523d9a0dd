"""The subcommands of `repro`, one file each: `add` tells argparse, `execute` does it. Heavy imports stay inside."""
