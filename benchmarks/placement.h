// Which core a thread runs on.
#pragma once

#include <cstddef>

#include <sched.h>

namespace bench {

/// The two ends of a conversation.
enum class End : std::size_t { kCaller, kWorker };

/// Keeps the calling thread on the core for that end: the first or the second one that the process may use.
/// Does nothing where there is just one. A scheduler that puts both ends on one core now and then, or one of
/// them on the core of another program, changes a round trip tenfold; both sides of a row are placed alike.
void place_this_thread(End end);

/// Places the calling thread for the length of a scope. Threads and processes that are started meanwhile
/// inherit the place.
class PlacedCaller {
 public:
  PlacedCaller();
  ~PlacedCaller();
  PlacedCaller(const PlacedCaller&) = delete;
  PlacedCaller& operator=(const PlacedCaller&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace bench
