// call_cost N: N trivial calls, submitted together and then run, each checked. For a profiler that counts
// instructions: the difference of two runs, of N calls and of 2 N, is what N of them cost; see
// scripts/call-cost.
#include <interpool/interpool.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <vector>

int main(int argc, char** argv) {
  const long calls = argc == 2 ? std::strtol(argv[1], nullptr, 10) : 0;
  if (calls <= 0) {
    std::fprintf(stderr, "usage: call_cost N\n");
    return 2;
  }
  interpool::Runtime python;
  // No spinning: how long a thread watches for news is the machine's business.
  interpool::SubinterpreterExecutor pool(python, {.pinned_workers = 1,
                                                  .queue_capacity = static_cast<std::size_t>(calls) + 1,
                                                  .spin = std::chrono::microseconds(0)});
  const auto abs = pool.pinned(0).function<long(long)>("builtins:abs");
  abs(1).get();
  // All are queued before the first runs, so that both threads do the same in every run.
  std::promise<void> queued;
  auto gate = pool.pinned(0).submit([all = queued.get_future()]() mutable { all.get(); });
  std::vector<interpool::Future<long>> results;
  results.reserve(static_cast<std::size_t>(calls));
  for (long i = 0; i < calls; ++i) results.push_back(abs(-i));
  queued.set_value();
  gate.get();
  pool.pinned(0).submit([] {}).get();  // the caller sleeps until all have run
  for (long i = 0; i < calls; ++i) {
    if (results[static_cast<std::size_t>(i)].get() == i) continue;
    std::fprintf(stderr, "call %ld returned something else\n", i);
    return 1;
  }
}
