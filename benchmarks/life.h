// For the process that measures memory.
#pragma once

namespace bench {

/// How much the resident memory of this process grows per interpreter, the library's or a bare one. Once per
/// process.
double bytes_per_interpreter(bool bare);

}  // namespace bench
