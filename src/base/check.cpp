#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace interpool {

void fail_check(const char* kind, const char* condition, const char* message, const char* file, int line) {
  // Neither logger nor fmt: this may run in any state of the process.
  std::fprintf(stderr, "interpool: %s: %s (%s) at %s:%d\n", kind, message, condition, file, line);
  std::abort();
}

}  // namespace interpool
