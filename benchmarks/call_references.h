// What the library's calls are compared with, in the rows of calls and of round trips.
#pragma once

#include "afternoon_executor.h"
#include "bare_interpreter.h"
#include "child_process.h"
#include "placement.h"
#include "suite.h"

#include <interpool/executor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// The sum of abs(-i) for each i below `count`, or the calls have computed something else: an error.
void check_sum(long sum, std::size_t count);

/// The references, each with its worker in the place of a worker, and the calling thread in that of a caller
/// as long as this lives. Make it after the executors that are measured.
class CallReferences {
 public:
  /// The `workers` that are measured are placed too, each a pinned one. CPython's own executor is started
  /// only if its row, `interpreter_pool`, is wanted.
  CallReferences(const Suite& suite, const std::vector<interpool::Submitter>& workers,
                 Comparison interpreter_pool);

  /// The bare call loop in its interpreter: nanoseconds per call.
  double bare_loop(std::size_t count);
  /// The same while another interpreter does the same on the caller's core. Calls in flight keep both cores
  /// busy, and cores that are hyperthreads of one are slower then.
  double bare_loop_beside_another(std::size_t count);
  AfternoonExecutor& afternoon() noexcept { return afternoon_; }
  /// There is one when a side of compare_interpreter_pool() runs.
  InterpreterPool& interpreter_pool() noexcept { return *interpreter_pool_; }

  /// The row against CPython's own executor; where there is none, the row says why.
  void compare_interpreter_pool(Suite& suite, const std::vector<Side>& sides) const;

 private:
  BareInterpreter bare_;
  BareInterpreter other_;
  AfternoonExecutor afternoon_;
  Comparison interpreter_pool_row_;
  std::string no_interpreter_pool_;  // why there is none
  std::unique_ptr<InterpreterPool> interpreter_pool_;
  PlacedCaller placed_;  // last: what is started while it is there inherits its place
};

}  // namespace bench
