"""Digests of values by their content, the same in every process."""

from __future__ import annotations

import contextvars
import copyreg
import enum
import hashlib
import io
import threading
import types
from collections.abc import Callable
from typing import Any

#: Types whose repr is their content.
_PLAIN = (type(None), bool, int, float, complex, bytes, type(Ellipsis), type(NotImplemented), range)
#: What belongs to a process or a thread: nothing that a result could depend on between runs.
_OF_A_PROCESS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.local,
    contextvars.ContextVar,
)
_CODE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GenericAlias,
    staticmethod,
    classmethod,
    property,
)


class NoContentError(TypeError):
    """A value has no content that could be compared: an open file, a generator, a connection."""


def digest_text(*texts: str) -> str:
    """32 hexadecimal digits; the borders between the texts count."""
    hasher = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.hexdigest()


class Digester:
    """Digests values of any depth.

    Args:
        on_code: called for each function, class, module or the like within a value; what it gives
            stands for it.
        is_code: whether a value is one of these beyond the ordinary ones.
    """

    def __init__(self, on_code: Callable[[Any], str], is_code: Callable[[Any], bool]) -> None:
        self._on_code = on_code
        self._is_code = is_code
        self._open: dict[int, int] = {}

    def digest(self, value: Any) -> str:
        """32 hexadecimal digits of the content.

        Raises:
            NoContentError: the value, or something in it, cannot be taken apart.
        """
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return digest_text(type(value).__name__, repr(value))
        if type(value) is str:
            return digest_text("str", value)
        if isinstance(value, _OF_A_PROCESS):
            return digest_text("of a process")
        if isinstance(value, _CODE) or self._is_code(value):
            return digest_text("code", self._on_code(value))
        if id(value) in self._open:
            return digest_text("cycle", str(self._open[id(value)]))
        self._open[id(value)] = len(self._open)
        try:
            return digest_text(*self._parts(value))
        except RecursionError:
            raise NoContentError(f"a {type(value).__name__} is nested too deeply") from None
        finally:
            del self._open[id(value)]

    def _parts(self, value: Any) -> list[str]:
        kind = type(value)
        if kind in (list, tuple):
            return [kind.__name__, *map(self.digest, value)]
        if kind in (set, frozenset):
            return [kind.__name__, *sorted(map(self.digest, value))]
        if kind in (dict, types.MappingProxyType):
            return ["dict", *(self.digest(one) for pair in value.items() for one in pair)]
        if isinstance(value, enum.Enum):
            return ["enum", self._on_code(kind), value.name, self.digest(value.value)]
        table = _TABLES.get((kind.__module__.partition(".")[0], kind.__name__))
        if table is not None:
            return [self._on_code(kind), *table(self, value)]
        return self._reduced(value)

    def _reduced(self, value: Any) -> list[str]:
        """By what pickle would keep, but without its memo, whose form depends on identities."""
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:
            raise NoContentError(
                f"a {type(value).__module__}.{type(value).__qualname__} has no content to compare"
            ) from error
        if isinstance(reduced, str):
            return ["global", reduced]
        made_by, arguments, state, items, pairs = (*reduced[:5], None, None, None)[:5]
        return [
            "object",
            *(self.digest(one) for one in (made_by, arguments, state)),
            self.digest(None if items is None else list(items)),
            self.digest(None if pairs is None else list(pairs)),
        ]

    def array(self, value: Any) -> list[str]:
        """A NumPy array."""
        head = [str(value.dtype), str(value.shape)]
        if value.dtype.hasobject:
            return [*head, self.digest(value.tolist())]
        return [*head, hashlib.blake2b(value.tobytes(), digest_size=16).hexdigest()]

    def pandas_frame(self, value: Any) -> list[str]:
        columns = [self.pandas_column(value.iloc[:, place]) for place in range(value.shape[1])]
        head = [*self.pandas_index(value.columns), *self.pandas_index(value.index)]
        return [*head, *(one for column in columns for one in column)]

    def pandas_index(self, value: Any) -> list[str]:
        return [self.digest(list(value.names)), *self.pandas_column(value.to_series())]

    def pandas_column(self, value: Any) -> list[str]:
        """A Series or an Index."""
        head = [str(value.dtype), self.digest(value.name)]
        if value.dtype.name == "category":
            categories = value.dtype.categories
            head += [str(value.dtype.ordered), str(categories.dtype)]
            head.append(self.digest(categories.tolist()))
        if value.dtype.kind in "iufbmMc":
            return [*head, *self.array(value.to_numpy())]
        if str(value.dtype) not in ("str", "string"):
            return [*head, self.digest(value.tolist())]
        from pandas.util import hash_array

        return [*head, *self.array(hash_array(value.to_numpy(dtype=object), categorize=False))]

    def pandas_series(self, value: Any) -> list[str]:
        return [*self.pandas_column(value), *self.pandas_index(value.index)]

    def polars_frame(self, value: Any) -> list[str]:
        buffer = io.BytesIO()
        value.rechunk().write_ipc(buffer, compression="uncompressed")
        return [hashlib.blake2b(buffer.getbuffer(), digest_size=16).hexdigest()]

    def polars_series(self, value: Any) -> list[str]:
        return self.polars_frame(value.to_frame())

    def arrow_table(self, value: Any) -> list[str]:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_table(value.combine_chunks())
        return [hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()]


_Table = Callable[[Digester, Any], list[str]]
_TABLES: dict[tuple[str, str], _Table] = {
    ("numpy", "ndarray"): Digester.array,
    ("pandas", "DataFrame"): Digester.pandas_frame,
    ("pandas", "Series"): Digester.pandas_series,
    ("polars", "DataFrame"): Digester.polars_frame,
    ("polars", "Series"): Digester.polars_series,
    ("pyarrow", "Table"): Digester.arrow_table,
}
