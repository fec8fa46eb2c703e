// Rest: what becomes of tasks whose result is no longer needed.
#pragma once

#include <cstdint>

namespace interpool {

/// What becomes of the other tasks of a group once one of them has decided the result of all.
enum class Rest : std::uint8_t {
  kRun,     ///< They go on.
  kCancel,  ///< Those that have not started are cancelled; those that run, run to their end.
};

}  // namespace interpool
