// CallOptions: what a submission says about its task.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace interpool {

/// Options of the tasks submitted through a Submitter; see Submitter::with.
struct CallOptions {
  /// Shows up in errors and reports. Empty: the function's name.
  std::string name = {};
  /// The task must have started this long after submit(), or it settles with TimeoutError and never
  /// runs. It bounds the wait for a full queue as well. A task that has started runs to its end.
  std::optional<std::chrono::nanoseconds> timeout = {};
  /// The same as a point in time. Give one of the two.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
};

}  // namespace interpool
