// Tasks lose what they have allocated, a Python object among it: LeakSanitizer has to say so.
#include "support/runtime.h"

#include <interpool/executor.h>

#include <Python.h>

#include <cstddef>
#include <cstdio>

int main() {
  using namespace interpool;
  const test::WithRuntime with_runtime;
  SubinterpreterExecutor pool(test::runtime(), {.pinned_workers = 1});
  std::size_t lost = 0;
  // Several, for where one was may still be found in a register or on a stack.
  for (int i = 0; i < 10; ++i) {
    lost +=
        pool.pinned(0)
            .submit([] { return PyBytes_FromStringAndSize(nullptr, 100) != nullptr ? std::size_t{1} : 0; })
            .get();
  }
  std::printf("lost: %zu\n", lost);
}
