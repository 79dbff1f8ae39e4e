#include "hayate/csv/options.h"

#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "hayate/csv/decode.h"

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

// The empty text is `none`, where that may be.
Status ReadChar(const Json& json, const char* key, const std::string& name, bool may_lack,
                char* out) {
  if (!json.contains(key)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto text, Member<std::string>(json, key, name));
  if (text.size() > 1 || (text.empty() && !may_lack)) {
    return Wrong("the option " + std::string(key) + " is \"" + text + "\"",
                 "Give one ASCII character.");
  }
  *out = text.empty() ? '\0' : text[0];
  return Status::OK();
}

std::string TextOfChar(char c) { return c == '\0' ? "" : std::string(1, c); }

constexpr std::array<std::string_view, 3> kOnErrorNames = {"fail", "null", "quarantine"};

Result<OnError> OnErrorFromName(const std::string& name) {
  const auto* const found = std::find(kOnErrorNames.begin(), kOnErrorNames.end(), name);
  if (found == kOnErrorNames.end()) {
    return Wrong("on_error is \"" + name + "\"", "Use fail, null or quarantine.");
  }
  return static_cast<OnError>(found - kOnErrorNames.begin());
}

// The characters that tell fields and records apart must be ones that do, and differ.
Status ValidateDialect(const ReadOptions& options) {
  const Dialect dialect = options.dialect();
  std::string special(1, options.delimiter);
  if (dialect.has_quote) special += options.quote_char;
  if (dialect.has_escape) special += options.escape_char;
  for (const char c : special) {
    if (IsLineEnd(c) || c == '\0' || static_cast<unsigned char>(c) >= 0x80) {
      return Wrong(
          "the delimiter, the quote and the escape must be ASCII characters other than "
          "line ends",
          "Use for example delimiter=\"\\t\".");
    }
    if (std::count(special.begin(), special.end(), c) > 1) {
      return Wrong("two of the delimiter, the quote and the escape are the same character",
                   "Change one of them.");
    }
  }
  if (options.skip_initial_space && special.find(' ') != std::string::npos) {
    return Wrong("skip_initial_space goes with a blank as delimiter, quote or escape",
                 "Leave out one of them.");
  }
  constexpr size_t kMostPrefixBytes = 32;
  const std::string& prefix = options.comment_prefix;
  if (prefix.size() > kMostPrefixBytes || prefix.find_first_of("\r\n ") != std::string::npos ||
      prefix.find_first_of(special) != std::string::npos) {
    return Wrong("comment_prefix is \"" + prefix + "\"",
                 "Use up to 32 characters other than blanks, line ends, the delimiter, the quote "
                 "and the escape.");
  }
  return Status::OK();
}

Status ValidateNumbers(const ReadOptions& options) {
  const std::string marks = {options.decimal_point, options.thousands};
  const bool known = std::string(".,'_ ").find(options.decimal_point) != std::string::npos &&
                     (options.thousands == '\0' ||
                      std::string(".,'_ ").find(options.thousands) != std::string::npos);
  if (known && options.decimal_point != options.thousands) return Status::OK();
  return Wrong("decimal_point and thousands are \"" + marks.substr(0, 1) + "\" and \"" +
                   TextOfChar(options.thousands) + "\"",
               "Use two different ones of . , ' _ and the blank.");
}

}  // namespace

Status ReadOptions::Validate() const {
  ARROW_RETURN_NOT_OK(ValidateDialect(*this));
  ARROW_RETURN_NOT_OK(ValidateNumbers(*this));
  ARROW_RETURN_NOT_OK(CheckEncoding(encoding));
  if (skip_rows < 0) {
    return Wrong("skip_rows is " + std::to_string(skip_rows), "Give 0 or more.");
  }
  if (detect && !column_names.empty()) {
    return Wrong("column_names are given where the header is to be found",
                 "Leave them out, or write down the options that are found.");
  }
  if (header && !column_names.empty()) {
    return Wrong("column_names are given for files that have a header",
                 "Leave them out, or say header=False.");
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

Dialect ReadOptions::dialect() const {
  return {.delimiter = static_cast<uint8_t>(delimiter),
          .quote = static_cast<uint8_t>(quote_char),
          .has_quote = quote_char != '\0',
          .escape = static_cast<uint8_t>(escape_char),
          .has_escape = escape_char != '\0',
          .skip_initial_space = skip_initial_space,
          .comment_prefix = comment_prefix};
}

Json ToJson(const ReadOptions& options) {
  return Json{{"delimiter", TextOfChar(options.delimiter)},
              {"quote_char", TextOfChar(options.quote_char)},
              {"escape_char", TextOfChar(options.escape_char)},
              {"skip_initial_space", options.skip_initial_space},
              {"comment_prefix", options.comment_prefix},
              {"skip_rows", options.skip_rows},
              {"detect", options.detect},
              {"encoding", options.encoding},
              {"replace_undecodable", options.replace_undecodable},
              {"decimal_point", TextOfChar(options.decimal_point)},
              {"thousands", TextOfChar(options.thousands)},
              {"on_error", kOnErrorNames[static_cast<size_t>(options.on_error)]},
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
  ARROW_RETURN_NOT_OK(ReadChar(json, "delimiter", name, false, &options.delimiter));
  ARROW_RETURN_NOT_OK(ReadChar(json, "quote_char", name, true, &options.quote_char));
  ARROW_RETURN_NOT_OK(ReadChar(json, "escape_char", name, true, &options.escape_char));
  ARROW_RETURN_NOT_OK(ReadMember(json, "skip_initial_space", name, &options.skip_initial_space));
  ARROW_RETURN_NOT_OK(ReadMember(json, "comment_prefix", name, &options.comment_prefix));
  ARROW_RETURN_NOT_OK(ReadMember(json, "skip_rows", name, &options.skip_rows));
  ARROW_RETURN_NOT_OK(ReadMember(json, "detect", name, &options.detect));
  ARROW_RETURN_NOT_OK(ReadMember(json, "encoding", name, &options.encoding));
  ARROW_RETURN_NOT_OK(ReadMember(json, "replace_undecodable", name, &options.replace_undecodable));
  ARROW_RETURN_NOT_OK(ReadChar(json, "decimal_point", name, false, &options.decimal_point));
  ARROW_RETURN_NOT_OK(ReadChar(json, "thousands", name, true, &options.thousands));
  std::string on_error(kOnErrorNames[0]);
  ARROW_RETURN_NOT_OK(ReadMember(json, "on_error", name, &on_error));
  ARROW_ASSIGN_OR_RAISE(options.on_error, OnErrorFromName(on_error));
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
