#include "runtime/worker_hooks.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace interpool::detail {

namespace {

template <class Hook>
Failure run_hook(const char* which, Worker& worker, Hook hook) noexcept {
  try {
    hook();
    return nullptr;
  } catch (...) {
    Failure cause = current_failure({});
    try {
      return std::make_shared<const WorkerError>(
          fmt::format("its {} hook failed: {}", which, cause->message()),
          ErrorContext{.task = {}, .interpreter = worker.interpreter_id()});
    } catch (...) {
      return cause;
    }
  }
}

}  // namespace

Failure run_start_hooks(const WorkerHooks& hooks, Worker& worker) noexcept {
  if (hooks.start) {
    if (Failure failure = run_hook("start", worker, [&] { hooks.start(worker); })) return failure;
  }
  if (hooks.python_start.empty()) return nullptr;
  return run_hook("start", worker, [&] { worker.call<void>(hooks.python_start); });
}

void run_stop_hooks(const WorkerHooks& hooks, Worker& worker, Logger& log) noexcept {
  const auto report = [&](const Failure& failure) {
    if (failure) log.warn("worker {} {}: {}", to_string(worker.lane()), worker.index(), failure->message());
  };
  if (!hooks.python_stop.empty())
    report(run_hook("stop", worker, [&] { worker.call<void>(hooks.python_stop); }));
  if (hooks.stop) report(run_hook("stop", worker, [&] { hooks.stop(worker); }));
}

}  // namespace interpool::detail
