#pragma once

#include <string>
#include <string_view>

namespace hayate::csv {

/// A value as messages show it: in quotes, at most some 60 bytes, what cannot be printed escaped.
std::string Printable(std::string_view value);

}  // namespace hayate::csv
