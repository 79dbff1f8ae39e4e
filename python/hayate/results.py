"""What a stage function returned → the parts of its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from hayate import codecs
from hayate.convert import is_data_frame, one_chunk_per_column, to_table
from hayate.errors import StageError, UsageError, Where
from hayate.frames import write_table
from hayate.from_pandas import is_renumbered
from hayate.row_labels import agreeing


@dataclass(frozen=True)
class Results:
    """Stores the results of one task.

    Attributes:
        stage: its name, for errors.
        partition: of the task; None if everything is whole.
        line: file and line of the function.
        mode: of the task; kept with values, so that a single value is not read back as a list.
        outputs: name, directory and part number of each output, as in the task.
    """

    stage: str
    partition: int | None
    line: Where
    mode: str
    outputs: Sequence[dict[str, Any]]

    def write(self, result: Any) -> list[dict[str, Any]]:
        """Stores what one call returned; a summary per output.

        Raises:
            StageError: a result is None, or cannot be stored; names stage, partition and line.
        """
        summaries = []
        for value, output in zip(self._unpacked(result), self.outputs, strict=True):
            with self._storing():
                summaries.append(self._write_one(value, output, {"mode": self.mode}))
        return summaries

    def write_groups(
        self, results: Sequence[Any], first_rows: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Stores what the calls for each group returned, in that order; a summary per output."""
        unpacked = [self._unpacked(result) for result in results]
        summaries = []
        for at, output in enumerate(self.outputs):
            with self._storing():
                values = [one[at] for one in unpacked]
                summaries.append(self._write_group(values, output, first_rows))
        return summaries

    def write_no_groups(self, result: Any) -> list[dict[str, Any]]:
        """Stores that there is no group; `result`, of a call without rows, tells the columns."""
        summaries = []
        for value, output in zip(self._unpacked(result), self.outputs, strict=True):
            with self._storing():
                rows = [value] if is_data_frame(value) else []
                summaries.append(self._write_group(rows, output, [0] * len(rows)))
        return summaries

    def write_items(self, results: list[Any]) -> list[dict[str, Any]]:
        """Stores the results of a list of items as one value; None is a result like others."""
        (output,) = self.outputs
        with self._storing():
            part = codecs.write_value(
                results, output["dir"], output["part"], {"mode": self.mode}, codecs.CLOUDPICKLE
            )
        return [_summary(part, output)]

    def write_nothing(self) -> list[dict[str, Any]]:
        """Marks a partition without rows, for which nothing was called: a table without columns."""
        return [
            _summary(write_table(pa.table({}), one["dir"], one["part"], mode=self.mode), one)
            for one in self.outputs
        ]

    def _unpacked(self, result: Any) -> Sequence[Any]:
        count = len(self.outputs)
        names = [one["name"] for one in self.outputs]
        if count == 1:
            values: Sequence[Any] = [result]
        elif isinstance(result, dict) and set(result) == set(names):
            values = [result[name] for name in names]
        elif isinstance(result, (tuple, list)) and len(result) == count:
            values = result
        else:
            found = f"a {type(result).__name__}"
            if isinstance(result, (tuple, list)):
                found = f"{len(result)} values"
            elif isinstance(result, dict):
                found = f"a dict of {', '.join(map(str, result)) or 'nothing'}"
            raise self._error(
                f"stage {self.stage} returned {found} for its {count} outputs",
                f"Return a tuple, or a dict by name, with a value for each of {', '.join(names)}.",
            )
        for value, output in zip(values, self.outputs, strict=True):
            if value is None:
                subject = "" if count == 1 else f" for its output {output['name']}"
                raise self._error(
                    f"stage {self.stage} returned None{subject}",
                    "Return a data frame or a value; a function that works in place ends with "
                    "return df.",
                )
        return values

    def _write_one(
        self, value: Any, output: dict[str, Any], extra: dict[str, Any]
    ) -> dict[str, Any]:
        if is_data_frame(value):
            table = one_chunk_per_column(to_table(value))
            return _summary(write_table(table, output["dir"], output["part"], **extra), output)
        if isinstance(value, pd.Series) or type(value).__name__ == "Series":
            raise self._error(
                f"stage {self.stage} returned a Series",
                'Return a data frame: series.to_frame("name").',
            )
        return _summary(codecs.write_value(value, output["dir"], output["part"], extra), output)

    def _write_group(
        self, values: Sequence[Any], output: dict[str, Any], first_rows: Sequence[int]
    ) -> dict[str, Any]:
        frames = [is_data_frame(value) for value in values]
        if not any(frames):
            extra = {"first_rows": list(first_rows)}
            return self._write_one(list(values), output, {"mode": self.mode, **extra})
        if not all(frames):
            other = values[frames.index(False)]
            raise self._error(
                f"stage {self.stage} returned a data frame for some groups and a value of type "
                f"{type(other).__name__} for others",
                "Return the same kind of result for each group.",
            )
        table, counts = self._concatenated(values)
        groups = list(zip(first_rows, counts, strict=True))
        part = write_table(
            one_chunk_per_column(table),
            output["dir"],
            output["part"],
            groups=groups,
            mode=self.mode,
        )
        return _summary(part, output)

    def _concatenated(self, values: Sequence[Any]) -> tuple[pa.Table, list[int]]:
        if _are_alike(values):
            counted = [value for value in values if len(value)] or values
            numbered = any(is_renumbered(value.index) for value in counted)
            return to_table(pd.concat(values, ignore_index=numbered)), [
                len(value) for value in values
            ]
        tables = agreeing([to_table(value) for value in values])
        try:
            joined = pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise self._error(
                f"the groups' results have columns of types that do not go together: {error}",
                "Give each column one type, for example by .astype(…).",
            ) from error
        joined = joined.replace_schema_metadata(tables[0].schema.metadata).unify_dictionaries()
        return joined, [table.num_rows for table in tables]

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Adds to an error about a result whose result it is."""
        try:
            yield
        except UsageError as error:
            where = replace(self._where(), column=error.where.column)
            raise StageError(
                f"the result of stage {self.stage} cannot be stored: {error.what}", where, error.fix
            ) from error

    def _error(self, what: str, fix: str) -> StageError:
        return StageError(what, self._where(), fix)

    def _where(self) -> Where:
        return replace(self.line, stage=self.stage, partition=self.partition)


def _are_alike(values: Sequence[Any]) -> bool:
    """Whether pandas can put the results of groups together without changing any type."""
    first = values[0]
    if not all(isinstance(value, pd.DataFrame) for value in values):
        return False
    return all(
        value.columns.equals(first.columns)
        and value.columns.is_unique
        and list(value.dtypes) == list(first.dtypes)
        and value.index.names == first.index.names
        for value in values[1:]
    )


def _summary(part: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    schema = part.get("schema")
    return {
        "dir": output["dir"],
        "rows": part["rows"],
        "bytes": part["bytes"],
        "parts": 1,
        "table": schema is not None,
        "columns": schema["columns"] if schema else [],
    }
