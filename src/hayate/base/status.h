#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hayate {

using arrow::Result;
using arrow::Status;

/// What kind of trouble a Status is about. Chosen where the error is made, carried in the Status,
/// never read back from a message.
enum class Fault {
  kUsage,        ///< wrong arguments, wrong job description: the user's call must change
  kInput,        ///< the data is not what was promised: corrupt, ragged, wrong type, missing file
  kUserCode,     ///< a stage function raised, returned None, returned what cannot be stored
  kWorkerDied,   ///< a worker was killed, crashed or left
  kStorage,      ///< the disk is full, read-only, or failed
  kBusy,         ///< another run holds the store
  kInterrupted,  ///< SIGINT or SIGTERM
  kInternal,     ///< a bug of ours
};

/// Stable, lower-case name of a fault ("input", "user_code", …): what crosses process borders.
std::string_view FaultName(Fault fault);
/// Inverse of FaultName; unknown names are kInternal.
Fault FaultFromName(std::string_view name);

/// The place an error is about. Unset members are not printed. Rows and lines count from 1, as
/// editors do; bytes count from 0, as files do.
struct Where {
  std::string object = {};           ///< path or URI
  std::optional<int64_t> byte = {};  ///< offset in `object`; for gzip, in the compressed bytes
  std::optional<int64_t> row = {};   ///< data row (the header is not counted)
  std::optional<int64_t> line = {};  ///< line of text or of code
  std::string column = {};
  std::string stage = {};
  std::optional<int64_t> partition = {};

  /// "data/a.csv.gz, row 812, column price"; empty when nothing is set.
  std::string ToString() const;
};

/// Carried by every Status that hayate makes itself.
class FaultDetail : public arrow::StatusDetail {
 public:
  FaultDetail(Fault fault, Where where, std::string remedy, std::string traceback = {})
      : fault_(fault),
        where_(std::move(where)),
        remedy_(std::move(remedy)),
        traceback_(std::move(traceback)) {}

  const char* type_id() const override { return "hayate::FaultDetail"; }
  std::string ToString() const override;

  Fault fault() const { return fault_; }
  const Where& where() const { return where_; }
  const std::string& remedy() const { return remedy_; }
  /// The user's own frames as Python prints them; empty where there are none.
  const std::string& traceback() const { return traceback_; }

  /// The detail of `status`, or nullptr if it did not come from hayate.
  static const FaultDetail* Get(const Status& status);

 private:
  Fault fault_;
  Where where_;
  std::string remedy_;
  std::string traceback_;
};

/// A Status that says what happened, where, and what to do about it.
/// `what` is one clause without a full stop; `remedy` is an imperative sentence, or empty.
[[nodiscard]] Status Fail(Fault fault, std::string what, Where where = {}, std::string remedy = {});

/// As Fail, for a failed system call: appends strerror(error_number), and chooses the remedy where
/// there is one (a full disk, no access, no memory, a failing device, …).
[[nodiscard]] Status FailErrno(int error_number, std::string what, Where where = {});

/// Fault of any Status: kStorage for IOError and kInternal for the rest where there is no detail.
Fault FaultOf(const Status& status);

/// The one shape in which people see an error, on several lines, ending with a newline:
///   hayate: error: <what>
///     where: <where>
///     fix:   <remedy>
///   <traceback of the user's code>
std::string FormatForUser(const Status& status);

/// Exit code of a run that ended with `status`: 0 done, 1 failed, 2 wrong use, 130 interrupted.
int ExitCodeOf(const Status& status);

}  // namespace hayate
