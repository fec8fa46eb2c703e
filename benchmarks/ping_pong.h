// The reference for a round trip: two threads that hand a number back and forth, and nothing else. The
// caller is one of them.
#pragma once

#include <cstddef>

namespace bench {

/// Nanoseconds per round trip of two threads that spin.
double spinning_ping_pong(std::size_t round_trips);
/// Nanoseconds per round trip of two threads that sleep in the kernel's futex.
double sleeping_ping_pong(std::size_t round_trips);

}  // namespace bench
