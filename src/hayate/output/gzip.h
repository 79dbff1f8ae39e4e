#pragma once

#include <string>
#include <string_view>

#include "hayate/base/status.h"

namespace hayate::output {

/// `text` as one whole gzip member (RFC 1952), by ISA-L. Members may follow each other in a file.
/// Memory: about that of the text.
Result<std::string> GzipMember(std::string_view text);

}  // namespace hayate::output
