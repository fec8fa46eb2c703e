#include "support/out_of_memory.h"

#include <cstdlib>
#include <new>

namespace {

struct Shortage {
  bool active = false;
  bool once = false;
  int after = 0;
  int count = 0;
};
thread_local constinit Shortage shortage;

bool fails() {
  if (!shortage.active) return false;
  if (shortage.after > 0) {
    --shortage.after;
    return false;
  }
  ++shortage.count;
  if (shortage.once) shortage.active = false;
  return true;
}

}  // namespace

// NOLINTBEGIN(*-no-malloc,misc-new-delete-overloads)
void* operator new(std::size_t size) {
  if (!fails()) {
    if (void* memory = std::malloc(size)) return memory;
  }
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return fails() ? nullptr : std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
// NOLINTEND(*-no-malloc,misc-new-delete-overloads)

namespace interpool::test {

OutOfMemory::OutOfMemory(Until until, int after) {
  shortage = {.active = true, .once = until == kOnce, .after = after, .count = shortage.count};
}
OutOfMemory::~OutOfMemory() { shortage.active = false; }
int OutOfMemory::count() { return shortage.count; }

}  // namespace interpool::test
