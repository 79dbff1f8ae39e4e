#include "hayate/frame/part_reader.h"

#include <arrow/io/memory.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "hayate/base/file.h"
#include "hayate/frame/mapped_file.h"
#include "hayate/frame/unify.h"

namespace hayate::frame {
namespace {

constexpr const char* kRemake =
    "Remove the frame's directory, then run again: what is missing is made anew.";
constexpr std::string_view kMagic = "ARROW1";

std::string PathOf(const std::string& dir, const Part& part) {
  return (std::filesystem::path(dir) / part.file).string();
}

Status Damaged(const Part& part, const std::string& path, const std::string& what) {
  return Fail(Fault::kInput, "the part is damaged: " + what,
              {.object = path, .partition = part.number}, kRemake);
}

Status Explained(const Status& status, const Part& part, const std::string& path) {
  if (status.ok() || FaultDetail::Get(status) != nullptr) return status;
  return Damaged(part, path, status.message());
}

}  // namespace

Status CheckPart(const std::string& dir, const Part& part) {
  const std::string path = PathOf(dir, part);
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return Damaged(part, path, "its file is not there");
  if (!fd.valid()) return FailErrno(errno, "cannot open the part", {.object = path});
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return FailErrno(errno, "cannot stat", {.object = path});
  if (info.st_size != part.bytes) {
    return Damaged(part, path,
                   "it has " + std::to_string(info.st_size) + " bytes instead of " +
                       std::to_string(part.bytes));
  }
  if (part.codec != "arrow") return Status::OK();
  std::array<char, kMagic.size()> tail{};
  const ssize_t n = pread(fd.get(), tail.data(), tail.size(),
                          std::max<off_t>(0, info.st_size - static_cast<off_t>(tail.size())));
  if (n < 0) return FailErrno(errno, "cannot read the part", {.object = path});
  if (std::string_view(tail.data(), static_cast<size_t>(n)) != kMagic) {
    return Damaged(part, path, "it has no Arrow footer");
  }
  return Status::OK();
}

struct PartReader::State {
  Part part;
  std::string path;
  // Arrow's reader loads dictionaries at the first batch: one thread at a time. It only parses
  // metadata, the data stays in the mapping.
  std::mutex mutex;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader;
};

PartReader::PartReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartReader::~PartReader() = default;

Result<std::shared_ptr<PartReader>> PartReader::Open(const std::string& dir, const Part& part) {
  ARROW_RETURN_NOT_OK(CheckPart(dir, part));
  auto state = std::make_unique<State>();
  state->part = part;
  state->path = PathOf(dir, part);
  ARROW_ASSIGN_OR_RAISE(auto bytes, MapFile(state->path));
  const auto file = std::make_shared<arrow::io::BufferReader>(std::move(bytes));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  auto reader = arrow::ipc::RecordBatchFileReader::Open(file, options);
  ARROW_RETURN_NOT_OK(Explained(reader.status(), part, state->path));
  state->reader = *reader;
  return std::shared_ptr<PartReader>(new PartReader(std::move(state)));
}

int64_t PartReader::num_batches() const { return state_->reader->num_record_batches(); }

Result<std::shared_ptr<arrow::RecordBatch>> PartReader::Read(
    int64_t batch, const std::shared_ptr<arrow::Schema>& schema) const {
  if (batch < 0 || batch >= num_batches()) {
    return Fail(
        Fault::kInternal,
        "batch " + std::to_string(batch) + " of a part that has " + std::to_string(num_batches()),
        {.object = state_->path});
  }
  std::shared_ptr<arrow::RecordBatch> written;
  {
    const std::lock_guard lock(state_->mutex);
    auto read = state_->reader->ReadRecordBatch(static_cast<int>(batch));
    ARROW_RETURN_NOT_OK(Explained(read.status(), state_->part, state_->path));
    written = *std::move(read);
  }
  return ConformTo(*written, schema);
}

Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> PartReader::ReadAll(
    const std::shared_ptr<arrow::Schema>& schema) const {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t i = 0; i < num_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(batches.emplace_back(), Read(i, schema));
  }
  return batches;
}

}  // namespace hayate::frame
