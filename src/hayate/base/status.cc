#include "hayate/base/status.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hayate {
namespace {

constexpr std::array<std::pair<Fault, std::string_view>, 8> kNames = {{
    {Fault::kUsage, "usage"},
    {Fault::kInput, "input"},
    {Fault::kUserCode, "user_code"},
    {Fault::kWorkerDied, "worker_died"},
    {Fault::kStorage, "storage"},
    {Fault::kBusy, "busy"},
    {Fault::kInterrupted, "interrupted"},
    {Fault::kInternal, "internal"},
}};

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;

// Arrow's own code that comes nearest, for callers that know only Arrow.
arrow::StatusCode CodeOf(Fault fault) {
  switch (fault) {
    case Fault::kUsage:
    case Fault::kInput:
      return arrow::StatusCode::Invalid;
    case Fault::kStorage:
      return arrow::StatusCode::IOError;
    case Fault::kInterrupted:
      return arrow::StatusCode::Cancelled;
    case Fault::kUserCode:
    case Fault::kWorkerDied:
    case Fault::kBusy:
    case Fault::kInternal:
      return arrow::StatusCode::UnknownError;
  }
  return arrow::StatusCode::UnknownError;
}

std::string RemedyOfErrno(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "Free some space there (hayate gc removes old frames) or choose another place, then "
             "run "
             "again: what was finished is kept.";
    case EACCES:
    case EPERM:
      return "Give this user access to it, or choose another place.";
    case EROFS:
      return "Choose a place that can be written to.";
    case ENOENT:
      return "Check the path.";
    case EEXIST:
      return "Remove what is there, or choose another place.";
    case ENAMETOOLONG:
      return "Choose a shorter name or path.";
    case EIO:
      return "The device or the network behind it fails: look into the kernel's log (dmesg), then "
             "run again there or choose another place.";
    case ENOMEM:
      return "Give the job more memory, or let it use fewer cores (-j, threads=).";
    case EMFILE:
    case ENFILE:
      return "Raise the limit of open files (ulimit -n).";
    default:
      return {};
  }
}

// An error of a caller's list ("file not found") is the input's fault; of a device, the storage's.
Fault FaultOfErrno(int error_number) {
  return error_number == ENOENT || error_number == ENOTDIR || error_number == EISDIR
             ? Fault::kInput
             : Fault::kStorage;
}

std::string Indented(const std::string& text, const std::string& indent) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

}  // namespace

std::string_view FaultName(Fault fault) {
  for (const auto& [value, name] : kNames) {
    if (value == fault) return name;
  }
  return "internal";
}

Fault FaultFromName(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return Fault::kInternal;
}

std::string Where::ToString() const {
  std::string text;
  const auto add = [&text](const std::string& piece) {
    if (!text.empty()) text += ", ";
    text += piece;
  };
  if (!stage.empty()) add("stage " + stage);
  if (partition) add("partition " + std::to_string(*partition));
  if (!object.empty()) add(object);
  if (line) add("line " + std::to_string(*line));
  if (row) add("row " + std::to_string(*row));
  if (!column.empty()) add("column " + column);
  if (byte) add("byte " + std::to_string(*byte));
  return text;
}

std::string FaultDetail::ToString() const {
  std::string text(FaultName(fault_));
  if (const std::string where = where_.ToString(); !where.empty()) text += " at " + where;
  if (!remedy_.empty()) text += "; " + remedy_;
  return text;
}

const FaultDetail* FaultDetail::Get(const Status& status) {
  return dynamic_cast<const FaultDetail*>(status.detail().get());
}

Status Fail(Fault fault, std::string what, Where where, std::string remedy) {
  return Status(CodeOf(fault), std::move(what),
                std::make_shared<FaultDetail>(fault, std::move(where), std::move(remedy)));
}

Status FailErrno(int error_number, std::string what, Where where) {
  return Fail(FaultOfErrno(error_number), std::move(what) + ": " + std::strerror(error_number),
              std::move(where), RemedyOfErrno(error_number));
}

Fault FaultOf(const Status& status) {
  if (const auto* detail = FaultDetail::Get(status)) return detail->fault();
  return status.IsIOError() ? Fault::kStorage : Fault::kInternal;
}

std::string FormatForUser(const Status& status) {
  std::string text = "hayate: error: " + status.message() + "\n";
  if (const auto* detail = FaultDetail::Get(status)) {
    if (const std::string where = detail->where().ToString(); !where.empty()) {
      text += "  where: " + Indented(where, "         ") + "\n";
    }
    if (!detail->remedy().empty()) {
      text += "  fix:   " + Indented(detail->remedy(), "         ") + "\n";
    }
    if (const std::string& traceback = detail->traceback(); !traceback.empty()) {
      text += traceback;
      if (traceback.back() != '\n') text += '\n';
    }
  }
  return text;
}

int ExitCodeOf(const Status& status) {
  if (status.ok()) return 0;
  switch (FaultOf(status)) {
    case Fault::kUsage:
      return kExitUsage;
    case Fault::kInterrupted:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

}  // namespace hayate
