#include "placement.h"

#include <vector>

namespace bench {

namespace {

/// Of the whole process: asked once, before any thread has been placed.
std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace

void place_this_thread(End end) {
  static const std::vector<int> cores = usable_cores();
  if (cores.size() < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cores[static_cast<std::size_t>(end)]), &set);
  sched_setaffinity(0, sizeof(set), &set);
}

PlacedCaller::PlacedCaller() {
  sched_getaffinity(0, sizeof(before_), &before_);
  place_this_thread(End::kCaller);
}

PlacedCaller::~PlacedCaller() { sched_setaffinity(0, sizeof(before_), &before_); }

}  // namespace bench
