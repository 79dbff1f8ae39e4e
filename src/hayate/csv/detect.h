#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hayate/csv/dialect.h"

namespace hayate::csv {

/// What the start of a file tells of how it is written.
struct Detected {
  Dialect dialect;
  int64_t skip_rows = 0;  ///< lines before the header, or before the first record
  bool header = true;     ///< whether the first record names the columns
};

/// `text`: the start of a file, UTF-8, without a byte order mark; of a long one the first 128 KiB
/// are looked at. `whole`: nothing follows it; else its last line, which may be cut off, does not
/// count. Where nothing speaks for anything else it is RFC 4180 with a header.
Detected DetectDialect(std::string_view text, bool whole);

/// As options of hy.read_csv, to be written into a program: `delimiter=";", header=True`, and what
/// else is not as by default.
std::string Describe(const Detected& detected);

}  // namespace hayate::csv
