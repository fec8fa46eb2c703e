// Running the hooks of a worker.
#pragma once

#include "base/log.h"
#include "interpool/executor.h"

namespace interpool::detail {

// Both on the worker's thread, attached to its interpreter.

/// Runs the start hooks. Not null: one failed, and those after it did not run.
Failure run_start_hooks(const WorkerHooks& hooks, Worker& worker) noexcept;
/// Runs the stop hooks. What they throw is logged; the others still run.
void run_stop_hooks(const WorkerHooks& hooks, Worker& worker, Logger& log) noexcept;

}  // namespace interpool::detail
