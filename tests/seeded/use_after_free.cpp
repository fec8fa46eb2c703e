// A task looks at a Python object that is gone: AddressSanitizer has to say so, which takes Python to
// allocate with malloc, or its silence about the other tests means little.
#include "support/runtime.h"

#include <interpool/executor.h>

#include <Python.h>

#include <cstdio>

int main() {
  using namespace interpool;
  const test::WithRuntime with_runtime;
  SubinterpreterExecutor pool(test::runtime(), {.pinned_workers = 1});
  const long size = pool.pinned(0)
                        .submit([] {
                          // Of a kind that Python keeps none of for later use.
                          PyObject* bytes = PyBytes_FromStringAndSize(nullptr, 100);
                          PyObject* const gone = bytes;
                          Py_DECREF(bytes);
                          return static_cast<long>(Py_SIZE(gone));
                        })
                        .get();
  std::printf("nobody has noticed: %ld\n", size);
}
