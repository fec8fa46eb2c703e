// Work that should overlap.

#include "child_process.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace bench {

namespace {

/// Some 50 ms of Python.
long compute(interpool::Worker& worker) {
  return worker.eval<long>("sum(i * i % 7 for i in range(1_000_000))");
}

/// Two of them, each on its submitter, at once; nanoseconds per task.
double compute_on(const interpool::Submitter& first, const interpool::Submitter& second) {
  return nanoseconds_per(2, [&] {
    auto one = first.submit(compute);
    auto other = second.submit(compute);
    check(one.get() == other.get(), "the tasks computed different things");
  });
}

void cpu_rows(Suite& suite, interpool::Runtime& runtime) {
  enum : std::size_t { kTwoPinned, kOnePinned, kTwoPooled, kOnePooled };
  const std::vector<Comparison> comparisons = {
      {.id = "cpu.pinned",
       .what = "two tasks of Python on two pinned workers, against both on one",
       .side = kTwoPinned,
       .reference = kOnePinned,
       .unit = Unit::kRate,
       .goal = Goal::at_least(1.9, 1.95)},
      {.id = "cpu.pooled",
       .what = "the same on 2 interpreters with 2 pooled threads each, against 1 with 1",
       .side = kTwoPooled,
       .reference = kOnePooled,
       .unit = Unit::kRate,
       .goal = Goal::at_least(1.9, 1.95)},
  };
  if (!suite.wants_any(comparisons)) return;
  if (std::thread::hardware_concurrency() < 2) {
    for (const Comparison& comparison : comparisons) suite.skip(comparison, "needs two cores");
    return;
  }
  interpool::SubinterpreterExecutor pinned(runtime, {.pinned_workers = 2});
  interpool::SubinterpreterExecutor pooled(runtime, {.pooled = {.threads = 4, .interpreters = 2}});
  interpool::SubinterpreterExecutor single(runtime, {.pooled = {.threads = 1}});
  suite.compare({{"two workers", [&] { return compute_on(pinned.pinned(0), pinned.pinned(1)); }},
                 {"one worker", [&] { return compute_on(pinned.pinned(0), pinned.pinned(0)); }},
                 {"two interpreters", [&] { return compute_on(pooled, pooled); }},
                 {"one interpreter", [&] { return compute_on(single, single); }}},
                comparisons, suite.options().repetitions());
}

void sleep_rows(Suite& suite, interpool::Runtime& runtime) {
  const Comparison comparison = {
      .id = "sleep.overlap",
      .what = "four tasks that sleep 100 ms on 4 threads of one interpreter, against one of them",
      .side = 0,
      .reference = 1,
      .goal = Goal::at_most(1.5)};
  if (!suite.wants(comparison.id)) return;
  interpool::SubinterpreterExecutor pool(runtime, {.pooled = {.threads = 4, .interpreters = 1}});
  const auto sleep = pool.function<void(double)>("time:sleep");
  suite.compare({{"four sleeps",
                  [&] {
                    return nanoseconds_per(1, [&] {
                      std::array<interpool::Future<void>, 4> futures;
                      for (auto& future : futures) future = sleep(0.1);
                      for (auto& future : futures) future.get();
                    });
                  }},
                 {"one sleep", [&] { return nanoseconds_per(1, [&] { sleep(0.1).get(); }); }}},
                {comparison}, suite.options().few_repetitions());
}

void indexer_rows(Suite& suite) {
  const Comparison comparison = {
      .id = "indexer.workers",
      .what = "the indexer over the standard library, null store, --workers 2 against 1",
      .side = 0,
      .reference = 1,
      .goal = Goal::at_most(0.6)};
  if (!suite.wants(comparison.id)) return;
#ifdef BENCH_INDEXER
  const auto index_with = [](const char* workers) {
    return nanoseconds_per(1, [&] {
      ChildProcess indexer({BENCH_INDEXER, "index", BENCH_STANDARD_LIBRARY, "--workers", workers, "--store",
                            "null", "--quiet"},
                           /*discard_stderr=*/true);
      check(indexer.wait() == 0, "the indexer failed");
    });
  };
  suite.compare(
      {{"--workers 2", [&] { return index_with("2"); }}, {"--workers 1", [&] { return index_with("1"); }}},
      {comparison}, suite.options().quick ? 1 : 3);
#else
  suite.skip(comparison, "built without the examples, so there is no indexer");
#endif
}

}  // namespace

void parallel_rows(Suite& suite, interpool::Runtime& runtime) {
  cpu_rows(suite, runtime);
  sleep_rows(suite, runtime);
  indexer_rows(suite);
}

}  // namespace bench
