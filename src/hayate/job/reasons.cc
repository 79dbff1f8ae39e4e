#include "hayate/job/reasons.h"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace hayate::job {
namespace {

constexpr size_t kDigestDigits = 32;
constexpr size_t kMaxShownReasons = 2;
constexpr size_t kMaxValueBytes = 60;

enum class Change { kNew, kGone, kDiffers };

struct Difference {
  int rank = 0;  // least first
  std::string text;
};

bool IsDigest(const Json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() == kDigestDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string Shown(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : ToCanonicalText(value);
  if (text.size() > kMaxValueBytes) text = text.substr(0, kMaxValueBytes) + "…";
  return text;
}

bool HasPrefix(const std::string& text, const char* prefix, std::string* rest) {
  const std::string_view view(prefix);
  if (!text.starts_with(view)) return false;
  *rest = text.substr(view.size());
  return true;
}

const char* Verb(Change change) {
  switch (change) {
    case Change::kNew:
      return " is new";
    case Change::kGone:
      return " is gone";
    case Change::kDiffers:
      return " changed";
  }
  return " changed";
}

// "from → to" where both can be read.
std::string Values(const Json& before, const Json& now, Change change) {
  if (change != Change::kDiffers || IsDigest(before) || IsDigest(now)) return Verb(change);
  return ": " + Shown(before) + " → " + Shown(now);
}

Difference Describe(const std::string& component, const Json& before, const Json& now,
                    Change change) {
  std::string rest;
  if (component.ends_with("()")) {
    if (!HasPrefix(component, "module ", &rest)) rest = component;
    return {0, "code of " + rest + Verb(change)};
  }
  if (HasPrefix(component, "parameter ", &rest)) {
    return {1, component + Values(before, now, change)};
  }
  if (HasPrefix(component, "file ", &rest)) {
    return {2, "file " + std::filesystem::path(rest).filename().string() + Verb(change)};
  }
  if (component == "files") return {6, "the order of its files changed"};
  if (HasPrefix(component, "input ", &rest)) {
    return change == Change::kDiffers ? Difference{4, "its input " + rest + " changed"}
                                      : Difference{3, "its input " + rest + Verb(change)};
  }
  if (component == "mode") return {3, "how it is split or what it returns changed"};
  if (component == "options") return {3, "how its files are read changed"};
  if (component == "semantics") return {5, "this version of hayate reads files anew"};
  if (HasPrefix(component, "global ", &rest) || HasPrefix(component, "module ", &rest)) {
    return {1, component + Verb(change)};
  }
  return {5, component + Values(before, now, change)};
}

}  // namespace

std::string DescribeDifference(const Json& before, const Json& now) {
  std::vector<Difference> found;
  static const Json kNone;
  for (const auto& [component, value] : now.items()) {
    const auto old = before.find(component);
    if (old == before.end()) {
      found.push_back(Describe(component, kNone, value, Change::kNew));
    } else if (*old != value) {
      found.push_back(Describe(component, *old, value, Change::kDiffers));
    }
  }
  for (const auto& [component, value] : before.items()) {
    if (!now.contains(component)) {
      found.push_back(Describe(component, value, kNone, Change::kGone));
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Difference& a, const Difference& b) { return a.rank < b.rank; });
  // That files came or went says that their order changed.
  if (found.size() > 1) std::erase_if(found, [](const Difference& one) { return one.rank == 6; });
  std::string text;
  for (size_t i = 0; i < std::min(found.size(), kMaxShownReasons); ++i) {
    text += (i == 0 ? "" : "; ") + found[i].text;
  }
  if (found.size() > kMaxShownReasons) {
    text += "; and " + std::to_string(found.size() - kMaxShownReasons) + " more";
  }
  return text;
}

}  // namespace hayate::job
