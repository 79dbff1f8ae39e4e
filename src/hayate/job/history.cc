#include "hayate/job/history.h"

#include <sqlite3.h>

#include <memory>

#include "hayate/base/file.h"

namespace hayate::job {
namespace {

// 1: the first. A database of another version is left alone.
constexpr int kVersion = 1;
constexpr int kBusyMs = 2'000;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, job TEXT, started TEXT, ended TEXT, status TEXT, wall_s REAL, slots INTEGER,
  parameters TEXT, error TEXT);
CREATE TABLE IF NOT EXISTS stages (
  run TEXT REFERENCES runs(id), name TEXT, kind TEXT, state TEXT, reason TEXT, tasks INTEGER,
  tasks_kept INTEGER, wall_s REAL, cpu_s REAL, user_cpu_s REAL, max_rss_bytes INTEGER,
  rows INTEGER, bytes INTEGER, PRIMARY KEY (run, name));
CREATE TABLE IF NOT EXISTS tasks (
  run TEXT REFERENCES runs(id), stage TEXT, kind TEXT, partition INTEGER, start_s REAL, end_s REAL,
  usage TEXT);
CREATE INDEX IF NOT EXISTS tasks_of_run ON tasks (run);
PRAGMA user_version = 1;
)";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct EndStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Database {
 public:
  static Result<Database> Open(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    Database database(raw, path);
    if (code != SQLITE_OK) return database.Error();
    sqlite3_busy_timeout(raw, kBusyMs);
    return database;
  }

  Status Execute(const char* sql) {
    return sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK ? Status::OK()
                                                                                    : Error();
  }

  // Runs one statement with `values` bound in order; `on_row` may be empty.
  Status Run(const char* sql, const std::vector<Json>& values,
             const std::function<void(sqlite3_stmt*)>& on_row = {}) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return Error();
    const std::unique_ptr<sqlite3_stmt, EndStatement> statement(raw);
    for (size_t i = 0; i < values.size(); ++i) {
      ARROW_RETURN_NOT_OK(Bind(raw, static_cast<int>(i) + 1, values[i]));
    }
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
      if (on_row) on_row(raw);
    }
    return code == SQLITE_DONE ? Status::OK() : Error();
  }

  Status Error() const {
    return Fail(Fault::kStorage,
                std::string("the history failed: ") + sqlite3_errmsg(handle_.get()),
                {.object = path_}, "Delete it if that goes on: it is history only.");
  }

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  Status Bind(sqlite3_stmt* statement, int at, const Json& value) {
    int code = SQLITE_OK;
    if (value.is_null()) {
      code = sqlite3_bind_null(statement, at);
    } else if (value.is_number_float()) {
      code = sqlite3_bind_double(statement, at, value.get<double>());
    } else if (value.is_number()) {
      code = sqlite3_bind_int64(statement, at, value.get<int64_t>());
    } else {
      const std::string text =
          value.is_string() ? value.get<std::string>() : ToCanonicalText(value);
      code = sqlite3_bind_text(statement, at, text.c_str(), static_cast<int>(text.size()),
                               SQLITE_TRANSIENT);
    }
    return code == SQLITE_OK ? Status::OK() : Error();
  }

  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  std::string path_;
};

Status Insert(Database* database, const RunRecord& record) {
  ARROW_RETURN_NOT_OK(
      database->Run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    {record.id, record.job, record.started, record.ended, record.status,
                     record.wall_s, record.slots, ToCanonicalText(record.set),
                     record.error.is_null() ? Json() : Json(ToCanonicalText(record.error))}));
  for (const NodeRecord& node : record.nodes) {
    ARROW_RETURN_NOT_OK(database->Run(
        "INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {record.id, node.name, node.kind, node.state, node.reason, node.tasks, node.tasks_kept,
         node.wall_s(), node.cpu_s, node.user_cpu_s, node.max_rss_bytes, node.rows, node.bytes}));
  }
  for (const TaskRecord& task : record.tasks) {
    ARROW_RETURN_NOT_OK(database->Run(
        "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)",
        {record.id, task.node, task.kind, task.partition ? Json(*task.partition) : Json(),
         task.start_s, task.end_s, ToCanonicalText(task.usage)}));
  }
  return Status::OK();
}

Result<int> Version(Database* database) {
  int version = 0;
  ARROW_RETURN_NOT_OK(database->Run(
      "PRAGMA user_version", {}, [&](sqlite3_stmt* row) { version = sqlite3_column_int(row, 0); }));
  return version;
}

}  // namespace

Status AddToHistory(const std::string& path, const RunRecord& record) {
  ARROW_ASSIGN_OR_RAISE(auto database,
                        Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  ARROW_ASSIGN_OR_RAISE(const int version, Version(&database));
  if (version != 0 && version != kVersion) {
    return Fail(Fault::kStorage, "the history is of another version of hayate", {.object = path},
                "Delete it to start a new one.");
  }
  // A crash may cost the last night's history, not this run's time.
  ARROW_RETURN_NOT_OK(database.Execute("PRAGMA synchronous = OFF"));
  if (version == 0) ARROW_RETURN_NOT_OK(database.Execute(kSchema));
  ARROW_RETURN_NOT_OK(database.Execute("BEGIN IMMEDIATE"));
  const Status inserted = Insert(&database, record);
  const Status ended = database.Execute(inserted.ok() ? "COMMIT" : "ROLLBACK");
  return inserted.ok() ? ended : inserted;
}

Result<std::map<std::string, double>> LastSeconds(const std::string& path, const std::string& job) {
  std::map<std::string, double> seconds;
  if (!PathExists(path)) return seconds;
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(path, SQLITE_OPEN_READONLY));
  ARROW_ASSIGN_OR_RAISE(const int version, Version(&database));
  if (version != kVersion) return seconds;
  ARROW_RETURN_NOT_OK(database.Run(
      "SELECT name, stages.wall_s FROM stages JOIN runs ON runs.id = stages.run "
      "WHERE job = ? AND state = 'run' AND tasks > 0 AND tasks_kept = 0 AND status = 'done' "
      "ORDER BY started",
      {job}, [&](sqlite3_stmt* row) {
        const auto* name = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
        if (name != nullptr) seconds[name] = sqlite3_column_double(row, 1);
      }));
  return seconds;
}

}  // namespace hayate::job
