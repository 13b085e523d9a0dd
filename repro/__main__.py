"""`python -m repro`: the command line, as the command `repro` runs it."""

import sys

from repro.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
