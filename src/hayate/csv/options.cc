#include "hayate/csv/options.h"

#include <arrow/type.h>

#include <string_view>

namespace hayate::csv {
namespace {

constexpr int64_t kMostBlockBytes = int64_t{1} << 28;

Status Wrong(const std::string& what, const std::string& remedy) {
  return Fail(Fault::kUsage, what, {}, remedy);
}

bool IsLineEnd(char c) { return c == '\n' || c == '\r'; }

// Reads `key` into `out` if it is there.
template <typename T>
Status ReadMember(const Json& json, const char* key, const std::string& name, T* out) {
  if (!json.contains(key)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(*out, Member<T>(json, key, name));
  return Status::OK();
}

Status ReadChar(const Json& json, const char* key, const std::string& name, char* out) {
  if (!json.contains(key)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto text, Member<std::string>(json, key, name));
  if (text.size() != 1) {
    return Wrong("the option " + std::string(key) + " is \"" + text + "\"",
                 "Give one ASCII character.");
  }
  *out = text[0];
  return Status::OK();
}

}  // namespace

Status ReadOptions::Validate() const {
  for (const char c : {delimiter, quote_char}) {
    if (IsLineEnd(c) || c == '\0' || static_cast<unsigned char>(c) >= 0x80) {
      return Wrong("the delimiter and the quote must be ASCII characters other than line ends",
                   "Use for example delimiter=\"\\t\".");
    }
  }
  if (delimiter == quote_char) {
    return Wrong("the delimiter and the quote are the same character", "Change one of them.");
  }
  if (header && !column_names.empty()) {
    return Wrong("column_names are given for files that have a header",
                 "Leave them out, or say header=False.");
  }
  if (!header && column_names.empty()) {
    return Wrong("files without a header need names for their columns", "Give column_names=[...].");
  }
  if (block_bytes < 1 || block_bytes > kMostBlockBytes) {
    return Wrong("block_bytes is " + std::to_string(block_bytes),
                 "Choose a size from 1 byte to 256 MiB.");
  }
  if (sample_bytes < 0 || sample_bytes > kMostBlockBytes) {
    return Wrong("sample_bytes is " + std::to_string(sample_bytes),
                 "Choose a size from 0 bytes to 256 MiB.");
  }
  for (const auto& [column, type_name] : schema) {
    const auto type = TypeFromName(type_name);
    if (!type.ok()) {
      const auto* detail = FaultDetail::Get(type.status());
      return Fail(Fault::kUsage, type.status().message(), {.column = column},
                  detail == nullptr ? "" : detail->remedy());
    }
  }
  return Status::OK();
}

Json ToJson(const ReadOptions& options) {
  return Json{{"delimiter", std::string(1, options.delimiter)},
              {"quote_char", std::string(1, options.quote_char)},
              {"header", options.header},
              {"column_names", options.column_names},
              {"null_values", options.null_values},
              {"true_values", options.true_values},
              {"false_values", options.false_values},
              {"schema", options.schema},
              {"columns", options.columns},
              {"block_bytes", options.block_bytes},
              {"sample_bytes", options.sample_bytes}};
}

Result<ReadOptions> ReadOptionsFromJson(const Json& json, const std::string& name) {
  if (!json.is_object()) {
    return Fail(Fault::kInternal, "the options of a CSV source are not an object",
                {.object = name});
  }
  ReadOptions options;
  ARROW_RETURN_NOT_OK(ReadChar(json, "delimiter", name, &options.delimiter));
  ARROW_RETURN_NOT_OK(ReadChar(json, "quote_char", name, &options.quote_char));
  ARROW_RETURN_NOT_OK(ReadMember(json, "header", name, &options.header));
  ARROW_RETURN_NOT_OK(ReadMember(json, "column_names", name, &options.column_names));
  ARROW_RETURN_NOT_OK(ReadMember(json, "null_values", name, &options.null_values));
  ARROW_RETURN_NOT_OK(ReadMember(json, "true_values", name, &options.true_values));
  ARROW_RETURN_NOT_OK(ReadMember(json, "false_values", name, &options.false_values));
  ARROW_RETURN_NOT_OK(ReadMember(json, "schema", name, &options.schema));
  ARROW_RETURN_NOT_OK(ReadMember(json, "columns", name, &options.columns));
  ARROW_RETURN_NOT_OK(ReadMember(json, "block_bytes", name, &options.block_bytes));
  ARROW_RETURN_NOT_OK(ReadMember(json, "sample_bytes", name, &options.sample_bytes));
  return options;
}

}  // namespace hayate::csv
