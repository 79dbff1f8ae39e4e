"""Functions and items of hy.map as pickles for the workers, which run the same Python."""

from __future__ import annotations

import marshal
import types
from collections import ChainMap
from typing import IO, Any, ClassVar

import cloudpickle


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    """Keeps the file and the lines of code objects, which errors name.

    cloudpickle has left the file out since 3.1.3, so that pickles compare equal.
    """

    dispatch_table: ClassVar[Any] = ChainMap(
        {types.CodeType: lambda code: (marshal.loads, (marshal.dumps(code),))},
        cloudpickle.CloudPickler.dispatch_table,
    )


def dump(value: Any, file: IO[bytes]) -> None:
    """Writes a pickle, with functions and classes by value where they cannot be imported."""
    _Pickler(file, protocol=5).dump(value)
