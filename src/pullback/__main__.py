"""`python -m pullback`: the same as the `pullback` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
