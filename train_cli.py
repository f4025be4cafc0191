"""Entry point of the command line; see `python train_cli.py --help`."""

import sys

from avsl_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
