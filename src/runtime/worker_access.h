// How the library makes a Worker and gets at what is inside it.
#pragma once

#include "interpool/worker.h"

namespace interpool::detail {

struct WorkerAccess {
  static Worker make(Lane lane, std::size_t index, InterpreterHandle& interpreter) noexcept {
    return Worker(lane, index, interpreter);
  }
  static InterpreterHandle& interpreter(Worker& worker) noexcept { return worker.interpreter_; }
};

}  // namespace interpool::detail
