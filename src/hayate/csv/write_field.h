#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "hayate/base/status.h"

namespace hayate::csv {

/// Writes the fields of one column. One thread.
class FieldWriter {
 public:
  /// Fault::kUsage naming the column for a type that has no CSV text (nested ones).
  static Result<std::unique_ptr<FieldWriter>> Make(const std::shared_ptr<arrow::Array>& column,
                                                   const std::string& name, char delimiter);
  virtual ~FieldWriter() = default;

  /// Appends the field of a row; nothing at all for a null.
  virtual void Append(int64_t row, std::string* out) const = 0;
};

/// Appends `text` quoted where it must be: it is empty (null is the field without quotes), or holds
/// the delimiter, a quote or a line break.
void AppendText(std::string_view text, char delimiter, std::string* out);

}  // namespace hayate::csv
