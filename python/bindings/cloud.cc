#include "cloud.h"

#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/type.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"
#include "hayate/base/limits.h"
#include "hayate/cloud/fetcher.h"
#include "hayate/cloud/storage.h"
#include "hayate/ingest/export.h"
#include "hayate/source/source.h"
#include "interruptible.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace hayate::python {
namespace {

/// Calls Python from threads of the engine's own; the first exception of each kind of call is kept,
/// and raised where Python called the engine.
class PythonCalls {
 public:
  /// What `call` returns, or a Status whose exception is kept.
  template <typename T, typename Call>
  Result<T> Run(Call call) {
    const nb::gil_scoped_acquire gil;
    try {
      return call();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (raised_ == nullptr) raised_ = std::current_exception();
      return Fail(Fault::kInternal, "a callback raised");
    }
  }

  /// Raises what a call has raised since the last time. Needs the GIL.
  void Rethrow() {
    std::exception_ptr raised;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::swap(raised, raised_);
    }
    if (raised != nullptr) std::rethrow_exception(raised);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr raised_;
};

/// Texts from any thread, handed to Python by the one that waits.
class Notes {
 public:
  void Add(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    texts_.push_back(text);
  }

  /// Needs the GIL.
  void Tell(const nb::object& listener) {
    std::vector<std::string> texts;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      texts.swap(texts_);
    }
    if (listener.is_none()) return;
    for (const std::string& text : texts) listener(text);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

nb::dict ToDict(const source::Object& object) {
  nb::dict out;
  out["uri"] = object.uri;
  out["size_bytes"] = object.size_bytes;
  out["generation"] = object.generation;
  out["crc32c"] = object.crc32c ? nb::object(nb::int_(*object.crc32c)) : nb::none();
  out["updated_ns"] = object.mtime_ns;
  return out;
}

nb::object ToPython(const Json& json) {
  return nb::module_::import_("json").attr("loads")(ToCanonicalText(json));
}

/// Cloud Storage for Python's threads: calls may be ended by ^C, and say what they try again.
class Storage {
 public:
  Storage(std::string endpoint, nb::object token, nb::object on_retry)
      : endpoint_(std::move(endpoint)), token_(std::move(token)), on_retry_(std::move(on_retry)) {
    storage_ = Value(Connect());
  }

  ~Storage() {
    // Its thread may be waiting for the GIL, to ask for a token.
    const nb::gil_scoped_release release;
    storage_.reset();
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  /// Another connection with the same credentials. This must outlive it.
  Result<std::unique_ptr<cloud::CloudStorage>> Connect() {
    cloud::StorageOptions options{.endpoint = endpoint_};
    if (!token_.is_none()) {
      options.token = [this](bool renew) {
        return calls_.Run<std::string>([&] { return nb::cast<std::string>(token_(renew)); });
      };
    }
    options.on_retry = [this](const std::string& text) { notes_.Add(text); };
    return cloud::CloudStorage::Make(std::move(options));
  }

  template <typename T, typename Work>
  T Call(Work work) {
    // What ^C has ended here goes on with the next call: the cleaning up after it is one.
    struct Interruption {
      cloud::CloudStorage* const storage;
      bool happened = false;
      ~Interruption() {
        if (happened) storage->Resume();
      }
    } interruption{storage_.get()};
    const auto interrupt = [&] {
      interruption.happened = true;
      storage_->Stop();
    };
    auto result = RunInterruptible<T>([&](const StopFlag&) { return work(*storage_); },
                                      [&] { TellNotes(); }, interrupt);
    calls_.Rethrow();
    return Value(std::move(result));
  }

  void Stop() { storage_->Stop(); }
  void Resume() { storage_->Resume(); }
  void TellNotes() { notes_.Tell(on_retry_); }

  // For Python's collector of cycles: a callback often leads back to what holds this.
  static int Traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    const Storage* const storage = nb::inst_ptr<Storage>(self);
    Py_VISIT(storage->token_.ptr());
    Py_VISIT(storage->on_retry_.ptr());
    return 0;
  }
  static int Clear(PyObject* self) {
    Storage* const storage = nb::inst_ptr<Storage>(self);
    storage->token_ = nb::none();
    storage->on_retry_ = nb::none();
    return 0;
  }
  PythonCalls& calls() { return calls_; }

  nb::list List(const std::string& prefix) {
    nb::list out;
    for (const auto& object : Call<std::vector<source::Object>>(
             [&](cloud::CloudStorage& storage) { return storage.List(prefix); })) {
      out.append(ToDict(object));
    }
    return out;
  }

  nb::object Bucket(const std::string& name) {
    return ToPython(Call<Json>([&](cloud::CloudStorage& storage) { return storage.Bucket(name); }));
  }

  std::vector<std::string> Permissions(const std::string& bucket,
                                       const std::vector<std::string>& wanted) {
    return Call<std::vector<std::string>>(
        [&](cloud::CloudStorage& storage) { return storage.Permissions(bucket, wanted); });
  }

  nb::bytes Read(const std::string& uri) {
    const auto bytes =
        Call<std::string>([&](cloud::CloudStorage& storage) { return storage.Read(uri); });
    return nb::bytes(bytes.data(), bytes.size());
  }

  nb::dict Write(const std::string& uri, const nb::bytes& data, bool if_absent) {
    const std::string bytes(data.c_str(), data.size());
    return ToDict(Call<source::Object>(
        [&](cloud::CloudStorage& storage) { return storage.Write(uri, bytes, if_absent); }));
  }

  int64_t Delete(const std::vector<std::pair<std::string, int64_t>>& objects) {
    std::vector<source::Object> named;
    for (const auto& [uri, generation] : objects) {
      named.push_back({.uri = uri, .generation = generation});
    }
    return Call<int64_t>([&](cloud::CloudStorage& storage) { return storage.Delete(named); });
  }

 private:
  const std::string endpoint_;
  nb::object token_;
  nb::object on_retry_;
  PythonCalls calls_;
  Notes notes_;
  std::unique_ptr<cloud::CloudStorage> storage_;
};

/// An export to a bucket, of which Python knows how far it is.
class BucketExport : public ingest::Export {
 public:
  BucketExport(std::unique_ptr<cloud::CloudStorage> storage, std::string prefix,
               const nb::object& state, PythonCalls* calls)
      : storage_(std::move(storage)),
        fetcher_(storage_.get(), {}),
        prefix_(std::move(prefix)),
        state_(state),
        calls_(calls) {}

  Result<ingest::ExportState> Poll() override {
    return calls_->Run<ingest::ExportState>([&] {
      const auto said = nb::cast<nb::dict>(state_());
      ingest::ExportState state{.done = nb::cast<bool>(said["done"])};
      if (state.done) {
        state.files = nb::cast<int64_t>(said["files"]);
        state.rows = nb::cast<int64_t>(said["rows"]);
      }
      return state;
    });
  }

  Result<std::vector<source::Object>> List() override { return storage_->List(prefix_); }
  void Plan(const source::Object& object) override { fetcher_.Plan(object); }
  void Forget(const source::Object& object) override { fetcher_.Forget(object); }

  Result<std::unique_ptr<ByteStream>> Open(const source::Object& object) override {
    return fetcher_.Open(object);
  }

  void Stop() override {
    fetcher_.Stop();
    storage_->Stop();
  }

  int64_t retries() const { return storage_->retries(); }
  int64_t bytes_received() const { return fetcher_.bytes_received(); }
  std::chrono::nanoseconds waited() const { return fetcher_.waited(); }
  int connections() const { return fetcher_.connections(); }

 private:
  const std::unique_ptr<cloud::CloudStorage> storage_;
  cloud::Fetcher fetcher_;
  const std::string prefix_;
  const nb::object& state_;
  PythonCalls* const calls_;
};

std::shared_ptr<arrow::Schema> ToSchema(const nb::object& schema) {
  const auto capsule = nb::cast<nb::capsule>(schema.attr("__arrow_c_schema__")());
  return Value(arrow::ImportSchema(static_cast<ArrowSchema*>(capsule.data("arrow_schema"))));
}

double ShareOf(std::chrono::nanoseconds part, std::chrono::nanoseconds whole) {
  return whole.count() == 0
             ? 0
             : static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

struct Ingested {
  ingest::ExportResult result;
  int64_t retries = 0;
  int64_t bytes_received = 0;
  int connections = 0;
  double waited_share = 0;
};

nb::dict IngestExport(Storage& storage, const std::string& prefix, const std::string& dir,
                      const std::string& format, const nb::object& schema,
                      const std::string& empty_mark, int threads, const nb::object& state,
                      const nb::object& show) {
  ingest::ExportOptions options{.parquet = format == "parquet", .schema = ToSchema(schema)};
  if (!empty_mark.empty()) options.empty_mark = empty_mark[0];
  options.threads = threads > 0 ? threads : AvailableCores();
  std::mutex mutex;
  ingest::IngestProgress at;
  auto connection = Value(storage.Connect());
  auto source =
      std::make_unique<BucketExport>(std::move(connection), prefix, state, &storage.calls());
  const auto read = [&](const StopFlag& stop) -> Result<Ingested> {
    options.progress = [&](const ingest::IngestProgress& progress) {
      const std::lock_guard<std::mutex> lock(mutex);
      at = progress;
      return !stop.load();
    };
    // Gone with its thread before Python goes on.
    const std::unique_ptr<BucketExport> owned = std::move(source);
    ARROW_ASSIGN_OR_RAISE(auto result, ingest::IngestExport(owned.get(), options, dir));
    return Ingested{.result = result,
                    .retries = owned->retries(),
                    .bytes_received = owned->bytes_received(),
                    .connections = owned->connections(),
                    .waited_share = ShareOf(owned->waited(), result.reading * options.threads)};
  };
  const auto look = [&] {
    storage.TellNotes();
    if (show.is_none()) return;
    ingest::IngestProgress now;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      now = at;
    }
    show(now.rows, now.bytes_read, now.bytes_total, now.shards_done, now.shards_total);
  };
  BucketExport* const running = source.get();
  auto result = RunInterruptible<Ingested>(read, look, [&] { running->Stop(); });
  storage.calls().Rethrow();
  const Ingested done = Value(std::move(result));
  nb::dict out;
  out["files"] = done.result.files;
  out["rows"] = done.result.rows;
  out["bytes"] = done.result.bytes;
  out["read_again"] = done.result.read_again;
  out["bytes_received"] = done.bytes_received;
  out["retries"] = done.retries;
  out["connections"] = done.connections;
  out["waited_share"] = done.waited_share;
  return out;
}

}  // namespace

void BindCloud(nb::module_& module) {
  static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&Storage::Traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(&Storage::Clear)},
                                {0, nullptr}};
  nb::class_<Storage>(
      module, "CloudStorage", nb::type_slots(slots),
      "gs:// by the JSON API at `endpoint`. `token(renew)` gives an access token that is good for "
      "some minutes, another one where `renew` says that the last was refused; it is called from "
      "other threads. `on_retry` is told what is tried again.")
      .def(nb::init<std::string, nb::object, nb::object>(), "endpoint"_a, "token"_a.none(),
           "on_retry"_a.none())
      .def("list", &Storage::List, "uri_prefix"_a,
           nb::sig("def list(self, uri_prefix: str) -> list[dict[str, typing.Any]]"),
           "The objects whose URI begins so, by name: uri, size_bytes, generation, crc32c, "
           "updated_ns.")
      .def("bucket", &Storage::Bucket, "name"_a,
           nb::sig("def bucket(self, name: str) -> dict[str, typing.Any]"),
           "The bucket's resource.")
      .def("permissions", &Storage::Permissions, "bucket"_a, "wanted"_a,
           nb::sig("def permissions(self, bucket: str, wanted: collections.abc.Sequence[str]) -> "
                   "collections.abc.Sequence[str]"),
           "Those of `wanted` that the caller has on the bucket.")
      .def("read", &Storage::Read, "uri"_a, "A small object's bytes.")
      .def("write", &Storage::Write, "uri"_a, "data"_a, nb::kw_only(), "if_absent"_a = false,
           nb::sig("def write(self, uri: str, data: bytes, *, if_absent: bool = False) -> "
                   "dict[str, typing.Any]"),
           "Writes a small object; BusyError if it is there and must not be.")
      .def("stop", &Storage::Stop,
           "Ends all calls, those under way in other threads and those to come, until resume().")
      .def("resume", &Storage::Resume, "Lets calls through again.")
      .def("delete", &Storage::Delete, "objects"_a,
           "Deletes objects, each in its generation (0: any), in batches; a missing one is no "
           "error. Returns how many were there.");
  module.def(
      "ingest_export", &IngestExport, "storage"_a, "prefix"_a, "dir"_a, "format"_a, "schema"_a,
      "empty_mark"_a, "threads"_a, "state"_a, "progress"_a.none(),
      nb::sig(
          "def ingest_export(storage: CloudStorage, prefix: str, dir: str, format: str, "
          "schema: typing.Any, empty_mark: str, threads: int, state: collections.abc.Callable[[], "
          "dict[str, "
          "typing.Any]], progress: "
          "collections.abc.Callable[[int, int, int, int, int], None] | None) -> dict[str, "
          "typing.Any]"),
      "Reads the objects under `prefix` into the parts of a frame in `dir`, in bounded "
      "memory, while an export still writes them. `state()` is called some times a second "
      "from another thread and returns {'done': False} or {'done': True, 'files': n, "
      "'rows': n}; what it raises ends everything. `format`: csv or parquet. `schema`: all "
      "columns, as an Arrow schema. `empty_mark`: a character that is in front of empty strings "
      "and bytes in CSV, and of those that begin with it; empty: none. The frame is not committed. "
      "Returns files, rows, bytes, read_again, bytes_received, retries, connections, and of the "
      "threads' time the share in which they waited for bytes, waited_share.");
}

}  // namespace hayate::python
