#include "hayate/job/run.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>

#include "hayate/base/file.h"
#include "hayate/base/limits.h"
#include "hayate/base/memory.h"
#include "hayate/base/process_tree.h"
#include "hayate/frame/writer.h"
#include "hayate/job/execute.h"
#include "hayate/job/gc.h"
#include "hayate/job/graph.h"
#include "hayate/job/history.h"
#include "hayate/job/run_log.h"
#include "hayate/job/store.h"
#include "hayate/job/store_lock.h"
#include "hayate/output/output.h"
#include "hayate/worker/channel.h"

namespace hayate::job {
namespace {

constexpr int kShutdownGraceMs = 5'000;

size_t At(int64_t index) { return static_cast<size_t>(index); }

const char* StateName(PlannedNode::State state) {
  switch (state) {
    case PlannedNode::State::kRun:
      return "run";
    case PlannedNode::State::kKept:
      return "kept";
    case PlannedNode::State::kUnused:
      return "unused";
  }
  return "unused";
}

// Before hours of work: that its results can be written where they are to go.
Status CheckOutputs(const Description& description, const Plan& plan) {
  for (const Output& output : description.outputs) {
    const PlannedNode& node = plan.nodes[At(description.Find(output.node))];
    if (node.state == PlannedNode::State::kUnused || output.is_load()) continue;
    ARROW_RETURN_NOT_OK(output::FormatOfPath(output.path).status());
    std::error_code ignored;
    if (std::filesystem::is_directory(output.path, ignored)) {
      return Fail(Fault::kUsage, "an output cannot be written there: it is a folder",
                  {.object = output.path, .line = output.line},
                  "Name a file in it, or remove the folder.");
    }
    const std::string folder = ParentFolder(output.path);
    ARROW_RETURN_NOT_OK(MakeDirectories(folder));
    if (access(folder.c_str(), W_OK | X_OK) != 0) {
      return FailErrno(errno, "an output cannot be written there", {.object = output.path});
    }
  }
  return Status::OK();
}

// A kept source whose files were only touched: the next plan knows them by their new times.
Status RefreshFiles(const Plan& plan) {
  for (const PlannedNode& node : plan.nodes) {
    if (node.state != PlannedNode::State::kKept || node.files.empty()) continue;
    frame::Manifest manifest = *node.manifests.front();
    std::vector<FileRecord> recorded = node.files;
    ForgetRacyTimes(node.listed_ns, &recorded);
    const Json files = FilesToJson(recorded);
    if (manifest.extra.value("files", Json()) == files) continue;
    manifest.extra["files"] = files;
    ARROW_RETURN_NOT_OK(frame::WriteManifest(node.dirs.front(), manifest));
  }
  return Status::OK();
}

// The nearer to its end of what the run may use by its user and by the kernel.
MemoryReading ReadMemoryOfRun(int64_t limit_bytes) {
  const MemoryReading kernel = ReadMemory();
  if (limit_bytes == 0) return kernel;
  const MemoryReading own{UseOfTree(getpid()).private_bytes, limit_bytes};
  return own.share() >= kernel.share() ? own : kernel;
}

class Run {
 public:
  Run(const RunOptions& options, observe::Progress* progress, RunRecord* record)
      : options_(options),
        progress_(progress),
        record_(record),
        store_(StoreRoot(options.session.job, options.store)) {}

  Status Begin() {
    begin_ = std::chrono::steady_clock::now();
    record_->job = options_.session.job;
    record_->store = store_.root();
    record_->started = UtcNow();
    record_->slots = options_.slots > 0 ? options_.slots : AvailableCores();
    ARROW_RETURN_NOT_OK(options_.Validate());
    ARROW_RETURN_NOT_OK(store_.Create());
    ARROW_ASSIGN_OR_RAISE(auto lock, StoreLock::Take(
                                         store_.lock_path(), options_.wait,
                                         [&](const std::string& who) {
                                           progress_->Say("hayate: another run holds the store (" +
                                                          who + "); waiting for it to end");
                                         },
                                         &record_->signal));
    lock_ = std::make_unique<StoreLock>(std::move(lock));
    record_->started = UtcNow();
    ARROW_ASSIGN_OR_RAISE(const auto runs, store_.Runs());
    record_->id = NewRunId(runs.empty() ? "" : runs.back());
    ARROW_RETURN_NOT_OK(MakeDirectories(store_.RunDir(record_->id)));
    ARROW_ASSIGN_OR_RAISE(log_, RunLog::Open(store_.RunDir(record_->id) + "/log"));
    SessionOptions session = options_.session;
    session.on_log = [log = log_.get()](const worker::LogLine& line) { log->Add(line); };
    ARROW_ASSIGN_OR_RAISE(session_, Session::Make(std::move(session)));
    return Status::OK();
  }

  Status Work() {
    ARROW_ASSIGN_OR_RAISE(description_, session_->Describe());
    for (const Parameter& param : description_.params) record_->set[param.name] = param.value;
    ARROW_ASSIGN_OR_RAISE(const Graph graph, Graph::Make(description_));
    PlanReads reads;
    reads.checksums = [&](const std::vector<source::Object>& objects) {
      return session_->ComputeChecksums(objects);
    };
    // What was read back after a start of the machine is on the disk: that is said at once, so that
    // it is read once.
    reads.verify = [&](const std::string& dir) -> Status {
      progress_->Say("hayate: the machine went down before " + dir +
                     " was on the disk; comparing it with its checksums");
      ARROW_RETURN_NOT_OK(session_->VerifyFrame(dir));
      return session_->SyncFrame(dir);
    };
    ARROW_ASSIGN_OR_RAISE(plan_, Plan::Make(description_, graph, store_, options_.plan, reads));
    for (const std::string& warning : plan_.warnings) Warn(warning);
    RecordPlan(graph);
    ARROW_RETURN_NOT_OK(Save());
    ARROW_RETURN_NOT_OK(WriteFileAtomically(store_.CodePath(record_->id),
                                            ToCanonicalText(description_.PlannedCode())));
    ARROW_RETURN_NOT_OK(CheckOutputs(description_, plan_));
    ARROW_RETURN_NOT_OK(RefreshFiles(plan_));
    ExecuteOptions execute;
    execute.slots = record_->slots;
    execute.begin = begin_;
    execute.memory = [limit = options_.memory_bytes] { return ReadMemoryOfRun(limit); };
    execute.on_log = [log = log_.get()](const std::string& text) { log->Say(text); };
    execute.on_warning = [this](const std::string& text) { Warn(text); };
    return Execute(execute, description_, graph, store_, session_->pool(), &plan_, record_,
                   progress_);
  }

  // Whatever the end: nothing of ours is left running, and the record says how it went.
  Status End(Status status) {
    if (session_) {
      record_->signal = session_->pool()->last_signal();
      const Status ended = session_->pool()->Shutdown(kShutdownGraceMs);
      if (!ended.ok()) Warn("the workers could not be ended in order: " + ended.message());
    }
    record_->ended = UtcNow();
    record_->wall_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    if (status.ok()) {
      record_->status = "done";
    } else {
      record_->status = FaultOf(status) == Fault::kInterrupted ? "interrupted" : "failed";
      record_->error = worker::ErrorToJson(status);
      if (log_) log_->Say(FormatForUser(status));
      RemoveHalfOutputs();
    }
    if (!log_) return status;
    const Status saved = Save();
    if (status.ok()) status = saved;
    const Status kept = AddToHistory(store_.history_path(), *record_);
    if (!kept.ok()) Warn("this run is missing from the history: " + kept.message());
    if (status.ok()) {
      const auto removed = CollectGarbage(store_, options_.keep_runs);
      if (!removed.ok()) Warn("old frames could not be removed: " + removed.status().message());
    }
    return status;
  }

 private:
  void RecordPlan(const Graph& graph) {
    for (const int64_t index : graph.order()) {
      const Node& node = description_.nodes[At(index)];
      const PlannedNode& planned = plan_.nodes[At(index)];
      NodeRecord& record = record_->nodes.emplace_back();
      record.name = node.name;
      record.kind = node.is_source() ? "source" : "stage";
      record.state = StateName(planned.state);
      record.reason = planned.reason;
      if (planned.state == PlannedNode::State::kUnused) continue;
      for (int64_t i = 0; i < node.num_outputs(); ++i) {
        record_->uses.push_back(planned.dirs[At(i)]);
        const auto& manifest = planned.manifests[At(i)];
        if (planned.state != PlannedNode::State::kKept || !manifest) continue;
        record_->frames[node.FrameName(i)] = planned.dirs[At(i)];
        record.bytes = std::max<int64_t>(record.bytes, 0) + manifest->bytes;
        if (manifest->is_table()) record.rows = std::max<int64_t>(record.rows, 0) + manifest->rows;
      }
      if (log_) log_->Say(node.name + ": " + record.state + ", " + record.reason);
    }
  }

  Status Save() const {
    return WriteFileAtomically(
        store_.RunDir(record_->id) + "/run.json",
        record_->ToJson().dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  // What workers that were ended or died have left in the user's folders.
  void RemoveHalfOutputs() {
    for (const Output& output : description_.outputs) {
      if (output.is_load() || !PathExists(ParentFolder(output.path))) continue;
      const Status removed = RemoveTemporaries(output.path);
      if (!removed.ok()) Warn(removed.message());
    }
  }

  void Warn(const std::string& text) {
    record_->warnings.push_back(text);
    progress_->Say("hayate: warning: " + text);
    if (log_) log_->Say("warning: " + text);
  }

  const RunOptions& options_;
  observe::Progress* progress_;
  RunRecord* record_;
  Store store_;
  std::chrono::steady_clock::time_point begin_;
  std::unique_ptr<StoreLock> lock_;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<Session> session_;
  Description description_;
  Plan plan_;
};

}  // namespace

Status RunOptions::Validate() const {
  if (slots < 0) return Fail(Fault::kUsage, "-j has to be at least 1", {}, "Give a number.");
  if (keep_runs < 1) {
    return Fail(Fault::kUsage, "--keep-runs has to be at least 1", {}, "Give a number.");
  }
  return Status::OK();
}

std::string StoreRoot(const std::string& job, const std::string& store) {
  if (store.empty()) return (std::filesystem::path(job).parent_path() / ".hayate").string();
  std::error_code error;  // the working directory is gone: what is made in it fails, and says so
  const auto absolute = std::filesystem::absolute(store, error);
  return error ? store : absolute.lexically_normal().string();
}

Status RunJob(const RunOptions& options, observe::Progress* progress, RunRecord* record) {
  Run run(options, progress, record);
  Status status;
  try {
    status = run.Begin();
    if (status.ok()) status = run.Work();
  } catch (const std::exception& error) {
    // Also then the workers are ended and the record says how it went.
    status = Fail(Fault::kInternal, std::string("the run broke off: ") + error.what());
  }
  return run.End(std::move(status));
}

}  // namespace hayate::job
