"""Entry point of the command line; see `python train_cli.py --help`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # a collection looks at all that there is, over and over, and modules are not garbage
    from avsl_core.cli.main import main
    from avsl_core.memory import keep_freed_memory

    gc.enable()
    keep_freed_memory()
    sys.exit(main())
