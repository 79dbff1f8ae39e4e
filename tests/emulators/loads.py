"""Load jobs: files of Cloud Storage into a table, all of it or nothing."""

from __future__ import annotations

import io
import shutil
import uuid
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from emulators.bqemulator import Bqemulator
from emulators.catalog import Catalog
from emulators.exported_files import Field
from emulators.exports import destination_of
from emulators.jobs import JobError
from emulators.object_store import ObjectStore
from emulators.sql import TableName

# A dataset of our own; as the service's anonymous ones it is hidden by its first letter.
STAGING = "_staging"
_REST_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "BIGNUMERIC": "NUMERIC"}


@dataclass
class Loader:
    """What runs load jobs."""

    emulator: Bqemulator
    catalog: Catalog
    storage: ObjectStore

    def run(self, load: dict[str, Any], project: str, data: bytes | None) -> dict[str, Any]:
        """Loads.

        Args:
            load: ``configuration.load`` of the job.
            project: the job's.
            data: what was uploaded with it, or None where it names objects.

        Returns:
            ``statistics.load``.

        Raises:
            JobError: it failed, and the table is as before.
        """
        target = TableName.of(load["destinationTable"], project)
        decorator = ""
        if "$" in target.table:
            table, decorator = target.table.split("$", 1)
            target = TableName(target.project, target.dataset, table)
        files = [data] if data is not None else self._read(load.get("sourceUris", []))
        existing = self._existing(target)
        rows, fields = _parse(files, load, existing)
        disposition = load.get("writeDisposition", "WRITE_APPEND")
        if existing is None and load.get("createDisposition") == "CREATE_NEVER":
            raise JobError("notFound", f"Not found: Table {target}")
        if existing is not None and disposition == "WRITE_EMPTY" and int(existing["numRows"]):
            raise JobError("duplicate", f"Already Exists: Table {target}")
        # All that can go wrong goes wrong before the table is touched.
        staged = self._stage(rows)
        try:
            if existing is None:
                self._create(target, fields, load)
            elif disposition == "WRITE_TRUNCATE" and not decorator and _differ(fields, existing):
                # The schema is replaced, too; what the table is partitioned by stays.
                self._delete(target)
                kept = {"timePartitioning": existing.get("timePartitioning")}
                self._create(target, fields, kept | load)
            try:
                self._move(rows.schema, fields, staged, target, decorator, disposition)
            except BaseException:
                if existing is None:
                    self._delete(target)
                raise
        finally:
            self._delete(staged)
        self.catalog.touch(target)
        return {
            "inputFiles": str(len(files)),
            "inputFileBytes": str(sum(map(len, files))),
            "outputRows": str(rows.num_rows),
            "outputBytes": str(rows.nbytes),
            "badRecords": "0",
        }

    def _read(self, uris: list[str]) -> list[bytes]:
        found = []
        for uri in uris:
            source = destination_of(uri)
            if not self.storage.has_bucket(source.bucket):
                raise JobError("notFound", f"Not found: Bucket {source.bucket}")
            present = self.storage.names(source.bucket, source.prefix)
            matching = [name for name in present if source.holds(name)]
            if "*" not in source.name:
                matching = [name for name in present if name == source.name]
            if not matching:
                raise JobError("notFound", f"Not found: Uris {uri}")
            found += [self.storage.read(source.bucket, name) for name in matching]
        return found

    def _existing(self, target: TableName) -> dict[str, Any] | None:
        try:
            return self.catalog.resource(target)
        except JobError as error:
            if error.reason == "notFound":
                self.catalog.dataset_location(target.project, target.dataset)
                return None
            raise

    def _create(self, target: TableName, fields: list[Field], load: dict[str, Any]) -> None:
        body = {"tableReference": target.reference(), "schema": {"fields": storable(fields)}}
        for member in ("timePartitioning", "clustering"):
            if load.get(member):
                body[member] = load[member]
        self.emulator.ask("POST", f"{target.project}/datasets/{target.dataset}/tables", body)
        self.catalog.declare(target, fields)
        self.catalog.touch(target)

    def _delete(self, target: TableName) -> None:
        path = f"{target.project}/datasets/{target.dataset}/tables/{target.table}"
        self.emulator.ask("DELETE", path)

    def _move(
        self,
        schema: pa.Schema,
        fields: list[Field],
        staged: TableName,
        target: TableName,
        decorator: str,
        disposition: str,
    ) -> None:
        """Moves staged rows into their table, in one transaction."""
        resource = self.catalog.resource(target)
        columns = {one["name"]: one for one in resource["schema"]["fields"]}
        mismatch = f"Provided Schema does not match Table {target}. "
        for one in fields:
            if one["name"] not in columns:
                raise JobError("invalid", f"{mismatch}Cannot add fields (field: {one['name']})")
            declared = columns[one["name"]]["type"]
            if one["type"] != declared and (one["type"], declared) not in _WIDENINGS:
                raise JobError(
                    "invalid",
                    f"{mismatch}Field {one['name']} has changed type from {declared} to "
                    f"{one['type']}",
                )
        condition = "TRUE"
        try:
            if decorator:
                condition = self._partition(resource, decorator, target)
                strangers = f"NOT IFNULL({condition}, FALSE)"
                counted = f"SELECT COUNT(*) FROM {staged.quoted} WHERE {strangers}"
                if self.emulator.rows(counted) != [["0"]]:
                    raise JobError(
                        "invalid",
                        "Some rows belong to different partitions rather than destination "
                        f"partition {decorator}",
                    )
            listed = ", ".join(f"`{name}`" for name in schema.names)
            values = ", ".join(_cast(columns[one.name], one) for one in schema)
            moved = f"SELECT {values} FROM {staged.quoted}"
            steps = [f"INSERT INTO {target.quoted} ({listed}) {moved};"]
            if disposition == "WRITE_TRUNCATE":
                steps.insert(0, f"DELETE FROM {target.quoted} WHERE {condition};")
            self.emulator.run(f"BEGIN TRANSACTION; {' '.join(steps)} COMMIT TRANSACTION;")
        except JobError as error:
            raise JobError("invalid", f"Error while reading data: {error.message}") from error

    def _stage(self, rows: pa.Table) -> TableName:
        """A table of our own with the rows, with the types that the file has."""
        staged = TableName(self.emulator.project, STAGING, f"t{uuid.uuid4().hex}")
        fields = storable(_fields_of(rows.schema))
        self.emulator.ask(
            "POST",
            f"{staged.project}/datasets/{STAGING}/tables",
            {"tableReference": staged.reference(), "schema": {"fields": fields}},
        )
        folder = self.emulator.folder()
        try:
            path = folder / "rows.parquet"
            pq.write_table(_narrow(rows), path)
            load = {
                "destinationTable": staged.reference(),
                "sourceUris": [self.emulator.uri(path)],
                "sourceFormat": "PARQUET",
                "writeDisposition": "WRITE_APPEND",
            }
            job = self.emulator.ask(
                "POST", f"{staged.project}/jobs", {"configuration": {"load": load}}
            )
        finally:
            shutil.rmtree(folder)
        error = job["status"].get("errorResult")
        if error:
            self._delete(staged)
            raise JobError(error["reason"], error["message"])
        return staged

    def _partition(self, resource: dict[str, Any], decorator: str, target: TableName) -> str:
        """Which rows are of a partition."""
        partitioning = resource.get("timePartitioning") or {}
        column = partitioning.get("field")
        if not column or not decorator.isdigit() or len(decorator) != 8:
            raise JobError(
                "invalid",
                f"Table {target} has no daily partition {decorator} by a column of its own.",
            )
        day = f"{decorator[:4]}-{decorator[4:6]}-{decorator[6:]}"
        return f"CAST(`{column}` AS DATE) = DATE '{day}'"


# Types of a file, and types of a column that takes them.
_WIDENINGS = {
    ("INTEGER", "FLOAT"),
    ("INTEGER", "NUMERIC"),
    ("INTEGER", "BIGNUMERIC"),
    ("NUMERIC", "BIGNUMERIC"),
    ("STRING", "JSON"),
    ("STRING", "GEOGRAPHY"),
    ("BYTES", "GEOGRAPHY"),
    ("DATETIME", "TIMESTAMP"),
}


def storable(fields: list[Field]) -> list[Field]:
    """A schema that bqemulator can make a table of."""
    return [
        {**field, "type": "NUMERIC"} if str(field["type"]).upper() == "BIGNUMERIC" else field
        for field in fields
    ]


def _parse(
    files: list[bytes], load: dict[str, Any], existing: dict[str, Any] | None
) -> tuple[pa.Table, list[Field]]:
    """The rows of the files, and the schema of the file, the job or the table."""
    kind = load.get("sourceFormat", "CSV").upper()
    given: list[Field] | None = (load.get("schema") or {}).get("fields")
    if given is None and existing is not None and not load.get("autodetect"):
        given = existing["schema"]["fields"]
    try:
        if kind == "PARQUET":
            tables = [pq.read_table(io.BytesIO(data)) for data in files]
        elif kind == "CSV":
            tables = [_csv(data, load, given) for data in files]
        elif kind == "NEWLINE_DELIMITED_JSON":
            tables = [pajson.read_json(io.BytesIO(data)) for data in files]
        else:
            raise JobError("invalid", f"This stand-in does not load {kind}.")
        rows = pa.concat_tables(tables, promote_options="default")
    except pa.ArrowInvalid as error:
        raise JobError("invalid", f"Error while reading data, error message: {error}") from error
    if kind == "PARQUET" or load.get("autodetect"):
        return rows, _fields_of(rows.schema)
    if given is None:
        raise JobError("invalid", "No schema specified on job or table.")
    return rows, [{**one, "type": _rest_type(one)} for one in given]


def _csv(data: bytes, load: dict[str, Any], given: list[Field] | None) -> pa.Table:
    skipped = int(load.get("skipLeadingRows") or 0)
    names = [field["name"] for field in given] if given else None
    return pacsv.read_csv(
        io.BytesIO(data),
        read_options=pacsv.ReadOptions(
            column_names=names, skip_rows=skipped if names else max(0, skipped - 1)
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=load.get("fieldDelimiter", ","), newlines_in_values=True
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names or ()},
            null_values=[load.get("nullMarker", "")],
            strings_can_be_null=True,
            # An unquoted empty field is NULL, a quoted one the empty string.
            quoted_strings_can_be_null=False,
        ),
    )


def _rest_type(field: Field) -> str:
    kind = str(field["type"]).upper()
    return _REST_TYPES.get(kind, kind)


def _fields_of(schema: pa.Schema) -> list[Field]:
    """The schema that the service takes a file for."""
    return [{**_field_type(one.type), "name": one.name} for one in schema]


def _field_type(kind: pa.DataType) -> Field:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        return {**_field_type(kind.value_type), "mode": "REPEATED"}
    if types.is_struct(kind):
        return {"type": "RECORD", "mode": "NULLABLE", "fields": _fields_of(pa.schema(list(kind)))}
    name = "STRING"
    if types.is_boolean(kind):
        name = "BOOLEAN"
    elif types.is_integer(kind):
        name = "INTEGER"
    elif types.is_floating(kind):
        name = "FLOAT"
    elif types.is_timestamp(kind):
        name = "TIMESTAMP" if kind.tz else "DATETIME"
    elif types.is_date(kind):
        name = "DATE"
    elif types.is_time(kind):
        name = "TIME"
    elif types.is_decimal(kind):
        name = "NUMERIC" if kind.scale <= 9 and kind.precision <= 38 else "BIGNUMERIC"
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        name = "BYTES"
    return {"type": name, "mode": "NULLABLE"}


def _narrow(rows: pa.Table) -> pa.Table:
    """The rows with what DuckDB can read: decimals of at most 38 digits."""
    columns = [
        column.cast(pa.decimal128(38, 9)) if pa.types.is_decimal256(column.type) else column
        for column in rows.columns
    ]
    return pa.table(columns, names=rows.column_names)


def _cast(field: Field, source: pa.Field) -> str:
    """The value of a staged column as the type of the target's column."""
    name, kind = f"`{field['name']}`", field["type"]
    if field.get("mode") == "REPEATED" or kind == "RECORD":
        return name
    if kind == "BYTES" and pa.types.is_string(source.type):
        return f"FROM_BASE64({name})"
    if kind == "GEOGRAPHY":
        from_text = pa.types.is_string(source.type)
        return f"ST_GEOGFROMTEXT({name})" if from_text else f"ST_GEOGFROMWKB({name})"
    if kind == "JSON":
        return f"PARSE_JSON({name})"
    return f"CAST({name} AS {_SQL_TYPES.get(kind, kind)})"


def _differ(fields: list[Field], existing: dict[str, Any]) -> bool:
    """Whether a schema is another than a table has."""
    known = existing["schema"]["fields"]
    return _names(fields) != _names(known)


def _names(fields: list[Field]) -> list[tuple[str, str]]:
    return [(field["name"], field["type"]) for field in fields]
