// The context that a task's options have asked for.
#pragma once

#include "interpool/context_vars.h"
#include "interpool/detail/task.h"

namespace interpool::detail {

/// Throws UsageError unless each name is "module:NAME".
void check_context(const ContextVars& variables);

/// Runs a claimed task in a context of its own.
Failure run_in_context(TaskBase& task, Worker& worker) noexcept;

/// Runs a claimed task, attached. Only one whose options set something has a context of its own.
inline Failure run_task(TaskBase& task, Worker& worker) noexcept {
  const TaskDetails* details = task.details();
  if (details == nullptr || details->context.empty()) return task.run(&worker);
  return run_in_context(task, worker);
}

}  // namespace interpool::detail
