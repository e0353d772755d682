"""`python -m fingerprint`: the command line."""

import sys

from fingerprint._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
