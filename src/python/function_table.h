// The Python functions that C++ has named.
#pragma once

#include "base/mutex.h"
#include "interpool/detail/call.h"

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace interpool::detail {

/// Whether it has the form "module:qualified.name".
[[nodiscard]] bool is_function_name(std::string_view name) noexcept;

/// Gives each "module:qualified.name" a number, under which every interpreter keeps the function it
/// has looked up. Entries live as long as the table. Thread-safe.
class FunctionTable {
 public:
  /// Throws UsageError when the name has another form.
  const FunctionEntry& entry(std::string_view name) INTERPOOL_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::deque<FunctionEntry> entries_ INTERPOOL_GUARDED_BY(mutex_);  // a deque: entries stay where they are
  std::unordered_map<std::string_view, const FunctionEntry*> by_name_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool::detail
