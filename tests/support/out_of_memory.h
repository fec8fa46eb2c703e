// Memory that runs out where a test wants it to: for what C++ allocates, not Python.
#pragma once

namespace interpool::test {

/// While it lives, operator new fails on its thread after it has worked `after` times: once, or until the
/// end. Only in programs that are linked with out_of_memory.cpp. Memory of a larger alignment is not
/// affected.
class OutOfMemory {
 public:
  enum Until { kOnce, kTheEnd };
  OutOfMemory(Until until, int after);
  ~OutOfMemory();
  OutOfMemory(const OutOfMemory&) = delete;
  OutOfMemory& operator=(const OutOfMemory&) = delete;

  /// How often it has failed on this thread, ever.
  static int count();
};

}  // namespace interpool::test
