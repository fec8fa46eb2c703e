#include "python/function_table.h"

#include "interpool/error.h"

#include <fmt/format.h>

namespace interpool::detail {

namespace {

/// Neither part may be empty, nor any piece between dots, nor hold a NUL (names go to C as strings).
bool is_dotted_name(std::string_view name) noexcept {
  return !name.empty() && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string_view::npos && name.find(':') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace

bool is_function_name(std::string_view name) noexcept {
  const std::size_t colon = name.find(':');
  return colon != std::string_view::npos && is_dotted_name(name.substr(0, colon)) &&
         is_dotted_name(name.substr(colon + 1));
}

const FunctionEntry& FunctionTable::entry(std::string_view name) {
  const MutexLock lock(mutex_);
  if (const auto found = by_name_.find(name); found != by_name_.end()) return *found->second;
  if (!is_function_name(name)) {
    throw UsageError(fmt::format(
        "'{}' does not name a function: write 'module:function' or 'package.module:Class.method'", name));
  }
  const FunctionEntry& entry =
      entries_.emplace_back(FunctionEntry{static_cast<std::uint32_t>(entries_.size()), std::string(name)});
  by_name_.emplace(entry.name, &entry);
  return entry;
}

}  // namespace interpool::detail
