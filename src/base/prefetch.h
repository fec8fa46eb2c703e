// Asking for memory before it is needed.
#pragma once

namespace interpool {

/// Asks for the cache line at `address`, to be written soon: without others that hold it, so that the first
/// write does not go round once more. Never fails, whatever the address.
inline void prefetch_to_write(const void* address) noexcept {
#if defined(__x86_64__)
  // The compiler's own would only ask to read, as it may not assume this instruction, which does nothing on
  // the processors of this kind that lack it (Intel's before 2014).
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace interpool
