"""Entry point of the command line; see `python train_cli.py --help`."""

import atexit
import gc
import sys

if __name__ == "__main__":
    gc.disable()  # a collection looks at all that there is, over and over, and modules are not garbage
    from avsl_core.cli.main import main
    from avsl_core.memory import keep_freed_memory

    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)  # nor are they at the end, when all of it goes anyway
    keep_freed_memory()
    sys.exit(main())
