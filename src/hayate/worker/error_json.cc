#include "hayate/worker/channel.h"

namespace hayate::worker {
namespace {

template <typename T>
T Get(const Json& object, const char* key, T fallback) {
  return Member<T>(object, key, "an error").ValueOr(std::move(fallback));
}

std::optional<int64_t> GetNumber(const Json& object, const char* key) {
  const auto number = Member<int64_t>(object, key, "an error");
  return number.ok() ? std::optional<int64_t>(*number) : std::nullopt;
}

Status Rebuild(Fault fault, const std::string& what, Where where, std::string remedy,
               std::string traceback) {
  const Status plain = Fail(fault, what);
  return plain.WithDetail(std::make_shared<FaultDetail>(fault, std::move(where), std::move(remedy),
                                                        std::move(traceback)));
}

}  // namespace

Json ErrorToJson(const Status& status) {
  Json error = {{"fault", std::string(FaultName(FaultOf(status)))},
                {"what", status.message()},
                {"where", Json::object()},
                {"fix", ""},
                {"traceback", ""}};
  const FaultDetail* detail = FaultDetail::Get(status);
  if (detail == nullptr) return error;
  const Where& from = detail->where();
  Json& where = error["where"];
  if (!from.object.empty()) where["object"] = from.object;
  if (from.byte) where["byte"] = *from.byte;
  if (from.row) where["row"] = *from.row;
  if (from.line) where["line"] = *from.line;
  if (!from.column.empty()) where["column"] = from.column;
  if (!from.stage.empty()) where["stage"] = from.stage;
  if (from.partition) where["partition"] = *from.partition;
  error["fix"] = detail->remedy();
  error["traceback"] = detail->traceback();
  return error;
}

Status ErrorFromJson(const Json& error) {
  const auto what = Member<std::string>(error, "what", "an error");
  if (!what.ok()) {
    return Fail(Fault::kInternal, "a child failed and sent no error: " + ToCanonicalText(error));
  }
  const Json from = Get<Json>(error, "where", Json::object());
  Where where;
  where.object = Get<std::string>(from, "object", "");
  where.byte = GetNumber(from, "byte");
  where.row = GetNumber(from, "row");
  where.line = GetNumber(from, "line");
  where.column = Get<std::string>(from, "column", "");
  where.stage = Get<std::string>(from, "stage", "");
  where.partition = GetNumber(from, "partition");
  return Rebuild(FaultFromName(Get<std::string>(error, "fault", "internal")), *what,
                 std::move(where), Get<std::string>(error, "fix", ""),
                 Get<std::string>(error, "traceback", ""));
}

std::string TracebackOf(const Status& status) {
  const FaultDetail* detail = FaultDetail::Get(status);
  return detail == nullptr ? std::string() : detail->traceback();
}

Status AtStage(const Status& status, const std::string& stage, std::optional<int64_t> partition) {
  if (status.ok()) return status;
  const FaultDetail* detail = FaultDetail::Get(status);
  Where where = detail == nullptr ? Where{} : detail->where();
  if (where.stage.empty()) where.stage = stage;
  if (!where.partition) where.partition = partition;
  return Rebuild(FaultOf(status), status.message(), std::move(where),
                 detail == nullptr ? std::string() : detail->remedy(), TracebackOf(status));
}

}  // namespace hayate::worker
