// Two tasks on two workers write one number, and nothing orders them: ThreadSanitizer has to say so, or its
// silence about the other tests means nothing.
#include "support/runtime.h"

#include <interpool/executor.h>

#include <atomic>
#include <cstdio>

int main() {
  using namespace interpool;
  const test::WithRuntime with_runtime;
  SubinterpreterExecutor pool(test::runtime(), {.pinned_workers = 2});
  int number = 0;
  std::atomic<int> inside = 0;
  const auto count = [&] {
    // Both at once: one after the other, they are ordered by the queues that their workers share. relaxed: so
    // that this orders nothing.
    inside.fetch_add(1, std::memory_order_relaxed);
    while (inside.load(std::memory_order_relaxed) < 2) {
    }
    for (int i = 0; i < 1000; ++i) ++number;
  };
  auto first = pool.pinned(0).submit(count);
  auto second = pool.pinned(1).submit(count);
  first.get();
  second.get();
  std::printf("nobody has noticed: %d\n", number);
}
