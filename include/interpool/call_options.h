// CallOptions: what a submission says about its task.
#pragma once

#include <interpool/context_vars.h>

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
  /// ContextVars that are set while the task runs. It then has a copy of its worker's context to itself: what
  /// it sets is gone after it. The values are owned by the task, and die as its arguments do. Where one
  /// cannot be set the task fails without having run, by what looking the variable up raised, with
  /// UsageError if it is no ContextVar, or with ConversionError at context['module:NAME'] if the value does
  /// not convert.
  ContextVars context = {};
};

}  // namespace interpool
