"""Entry point of the command line; see `python train_cli.py --help`."""

import sys

from avsl_core.cli.main import main
from avsl_core.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
