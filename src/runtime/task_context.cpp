#include "runtime/task_context.h"

#include "python/context.h"
#include "runtime/worker_access.h"

#include <fmt/format.h>

namespace interpool::detail {

void check_context(const ContextVars& variables) {
  for (const auto& [name, value] : variables) {
    if (is_function_name(name)) continue;
    throw UsageError(fmt::format(
        "context: '{}' does not name a ContextVar: write 'module:NAME', where Python code has made it",
        name));
  }
}

Failure run_in_context(TaskBase& task, Worker& worker) noexcept {
  python::ContextScope scope;
  if (Failure failure = scope.enter(WorkerAccess::interpreter(worker), task.details()->context,
                                    [&task] { return task.name(); })) {
    return failure;
  }
  return task.run(&worker);
}

}  // namespace interpool::detail
