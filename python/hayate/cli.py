"""The console script ``hayate``: becomes the program inside of the package."""

from __future__ import annotations

import os
import sys

from hayate.command import environment, program
from hayate.errors import HayateError


def main() -> int:
    """Does not return if all is well: the program takes the process over, signals and all."""
    try:
        path = program()
        os.execve(path, ["hayate", *sys.argv[1:]], environment())
    except HayateError as error:
        sys.stderr.write(f"hayate: error: {error}\n")
    except OSError as error:
        sys.stderr.write(f"hayate: error: {path} cannot be started: {error.strerror}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
