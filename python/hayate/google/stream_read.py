"""A table through the Storage Read API: several streams at once, in bounded memory."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hayate.errors import HayateError, InputError, Where
from hayate.frames import write_table
from hayate.google.credentials import Credentials
from hayate.google.packages import package
from hayate.google.service_errors import from_exception, is_transient

#: More streams than this bring nothing: the service limits what one reader gets.
_MOST_STREAMS = 16
#: Failures of a stream in a row, without a row between them, that end the reading.
_MOST_FAILURES = 8
_FIRST_WAIT_S = 0.5
_MOST_WAIT_S = 30.0
#: Seconds without an answer after which a stream is opened again.
STALL_S = 120.0
_OPEN_TIMEOUT_S = 60.0


def connect(credentials: Credentials) -> Any:
    """The official client of the Storage Read API, below its own retries, which are silent."""
    client = _client(credentials)
    # Else the call for a stream returns only with its first answer, and until then there is nothing
    # that a stall could be ended by. This is how google-cloud-pubsub says it to google-api-core.
    client.transport.read_rows._prefetch_first_result_ = False
    return client


def _client(credentials: Credentials) -> Any:
    services = package("google.cloud.bigquery_storage_v1.services.big_query_read")
    if not credentials.endpoints.read:
        return services.BigQueryReadClient(credentials=credentials.google)
    channel = package("grpc").insecure_channel(
        credentials.endpoints.read, options=[("grpc.max_receive_message_length", -1)]
    )
    transports = package("google.cloud.bigquery_storage_v1.services.big_query_read.transports")
    return services.BigQueryReadClient(
        transport=transports.BigQueryReadGrpcTransport(channel=channel)
    )


@dataclass
class TableRead:
    """One reading of a table.

    Attributes:
        client: of connect().
        table: projectId, datasetId, tableId.
        project: pays for it.
        schema: of the result; what the service sends is cast to it.
        directory: of the frame; each stream is a part of it.
        say: is told of each retry.
        progress: called with rows, bytes, bytes of all, streams done, streams of all.
        keep_order: whether rows must come in the table's order: then there is one stream.
        threads: at most.
    """

    client: Any
    table: Mapping[str, str]
    project: str
    schema: pa.Schema
    directory: str
    say: Callable[[str], None]
    progress: Callable[[int, int, int, int, int], None]
    keep_order: bool
    threads: int = _MOST_STREAMS
    total_bytes: int = 0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    retries: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = self._bytes = self._streams_done = self._streams = 0
        self._stopped = threading.Event()
        self._wire_schema: pa.Schema | None = None
        self._calls: dict[str, Any] = {}
        # Stream → its call, and since when an answer is waited for.
        self._waiting: dict[str, tuple[Any, float]] = {}
        # Stream → its call that was ended for that.
        self._stalled: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Of the table."""
        return ".".join(self.table[part] for part in ("projectId", "datasetId", "tableId"))

    def run(self) -> int:
        """Reads all rows into parts; how many there were.

        Raises:
            HayateError: the service refuses, or a stream fails too often.
        """
        session = self._create_session()
        streams = [stream.name for stream in session.streams]
        self._streams = len(streams)
        if not streams:
            write_table(self.schema.empty_table(), self.directory, 0)
            return 0
        message = session.arrow_schema.serialized_schema
        self._wire_schema = pa.ipc.read_schema(pa.py_buffer(message))
        self._read_all(streams)
        return self._rows

    def _create_session(self) -> Any:
        types = package("google.cloud.bigquery_storage_v1.types")
        path = "projects/{projectId}/datasets/{datasetId}/tables/{tableId}".format(**self.table)
        lz4 = types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
        options = types.ReadSession.TableReadOptions(
            arrow_serialization_options=types.ArrowSerializationOptions(buffer_compression=lz4)
        )
        wanted = types.ReadSession(
            table=path, data_format=types.DataFormat.ARROW, read_options=options
        )
        request = types.CreateReadSessionRequest(
            parent=f"projects/{self.project}",
            read_session=wanted,
            max_stream_count=1 if self.keep_order else min(_MOST_STREAMS, 2 * self.threads),
        )
        for failures in range(1, _MOST_FAILURES + 1):
            try:
                return self.client.create_read_session(
                    request=request, retry=None, timeout=_OPEN_TIMEOUT_S
                )
            except Exception as error:
                self._failed("opening the table", failures, error)
        raise AssertionError("a failure too many raises")

    def _failed(self, doing: str, failures: int, error: Exception) -> None:
        """Says it and waits; raises what cannot be retried (any more)."""
        is_lost = isinstance(error, TimeoutError) or is_transient(error)
        if failures >= _MOST_FAILURES or not is_lost:
            what = "the Storage Read API refuses the table"
            raise from_exception(error, what, Where(object=self.name)) from None
        wait = min(_MOST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1)) * (0.5 + random.random() / 2)
        with self._lock:
            self.retries += 1
        self.say(
            f"{doing} failed ({type(error).__name__}); attempt {failures + 1} of "
            f"{_MOST_FAILURES} in {wait:.1f} s"
        )
        self.sleep(wait)

    def _read_all(self, streams: list[str]) -> None:
        waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        for number, stream in enumerate(streams):
            waiting.put((number, stream))
        errors: list[BaseException] = []

        def work() -> None:
            while not self._stopped.is_set():
                try:
                    number, stream = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    self._read_stream(number, stream)
                except BaseException as error:
                    with self._lock:
                        errors.append(error)
                    self._stopped.set()

        threads = [
            threading.Thread(target=work, name=f"hayate-read-{at}", daemon=True)
            for at in range(min(len(streams), self.threads))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
                    self._cancel_stalled()
                    self.progress(
                        self._rows, self._bytes, self.total_bytes, self._streams_done, self._streams
                    )
        finally:
            # After ^C the threads end at their next answer; nothing waits for that.
            self._stopped.set()
        if errors:
            raise errors[0]

    def _read_stream(self, number: int, stream: str) -> None:
        raised: list[Exception] = []

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from self._batches(stream)
            except Exception as error:
                # Arrow's C stream keeps of an exception only its text.
                raised.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(self.schema, batches())
        try:
            write_table(reader, self.directory, number)
        except HayateError:
            if raised:
                raise raised[0] from None
            raise
        with self._lock:
            self._streams_done += 1

    def _batches(self, stream: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stream; after a failure it goes on behind the last row that came."""
        offset = failures = 0
        while True:
            try:
                for answer in self._answers(stream, offset):
                    batch = self._batch(answer)
                    offset += batch.num_rows
                    failures = 0
                    with self._lock:
                        self._rows += batch.num_rows
                        self._bytes += len(answer.arrow_record_batch.serialized_record_batch)
                    yield batch
                return
            except HayateError:
                raise
            except Exception as error:
                failures += 1
                self._check_stopped()
                self._failed("reading a stream", failures, self._reason(stream, error))

    def _answers(self, stream: str, offset: int) -> Iterator[Any]:
        call = self.client.read_rows(read_stream=stream, offset=offset, retry=None, timeout=None)
        answers = iter(call)
        with self._lock:
            self._calls[stream] = call
        while True:
            with self._lock:
                self._waiting[stream] = call, self.clock()
            try:
                answer = next(answers, None)
            finally:
                with self._lock:
                    del self._waiting[stream]
            self._check_stopped()
            if answer is None:
                return
            yield answer

    def _cancel_stalled(self) -> None:
        """Ends calls that give nothing for long; a timeout of the call itself would end those that
        give rows for long as well."""
        with self._lock:
            late = [
                (stream, call)
                for stream, (call, since) in self._waiting.items()
                if self.clock() - since > STALL_S and self._stalled.get(stream) is not call
            ]
            self._stalled.update(late)
        for _, call in late:
            call.cancel()

    def _reason(self, stream: str, error: Exception) -> Exception:
        with self._lock:
            ended = self._stalled.pop(stream, None)
            # Neither is there where the stream could not be opened at all.
            was_stalled = ended is not None and ended is self._calls.get(stream)
        return TimeoutError(f"no rows for {STALL_S:.0f} s") if was_stalled else error

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise InputError("another stream has failed", Where(object=self.name))

    def _batch(self, answer: Any) -> pa.RecordBatch:
        content = answer.arrow_record_batch.serialized_record_batch
        try:
            batch = pa.ipc.read_record_batch(pa.py_buffer(content), self._wire_schema)
            columns = [batch.column(field.name).cast(field.type) for field in self.schema]
        except (pa.ArrowException, KeyError, OSError) as error:
            raise InputError(
                f"the Storage Read API sends rows that do not have the query's schema: {error}",
                Where(object=self.name),
                "Run it again, or use export=.",
            ) from None
        if answer.row_count != batch.num_rows:
            raise InputError(
                f"the Storage Read API says {answer.row_count} rows and sends {batch.num_rows}",
                Where(object=self.name),
                "Run it again, or use export=.",
            )
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)
