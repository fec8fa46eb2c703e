// How the library makes a Worker and gets at what is inside it.
#pragma once

#include "interpool/worker.h"
#include "python/callback.h"

#include <memory>

namespace interpool::detail {

struct WorkerAccess {
  static Worker make(Lane lane, std::size_t index, InterpreterHandle& interpreter) noexcept {
    return Worker(lane, index, interpreter);
  }
  static InterpreterHandle& interpreter(Worker& worker) noexcept { return worker.interpreter_; }
};

/// What callbacks pass that go into Python now: of the executor whose task, hook or broadcast the calling
/// thread runs; null: it runs none.
std::shared_ptr<python::CallbackGate> current_gate();

}  // namespace interpool::detail
