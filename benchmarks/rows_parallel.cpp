// Work that should overlap.

#include "bare_interpreter.h"
#include "child_process.h"
#include "placement.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr const char* kSum = "sum(i * i % 7 for i in range(20_000))";  // some 2 ms

/// The same as Computing in a bare interpreter.
class BareComputing {
 public:
  BareComputing(BareInterpreter& interpreter, End end)
      : rounds_(std::async(std::launch::async, [&interpreter, stop = stop_, end] {
          return interpreter.run([&] {
            place_this_thread(end);
            double rounds = 0;
            for (; !*stop; ++rounds) check(eval_int(kSum) > 0, "the sum is wrong");
            return rounds;
          });
        })) {}
  std::size_t end() {
    *stop_ = true;
    return static_cast<std::size_t>(rounds_.get());
  }

 private:
  std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
  std::future<double> rounds_;
};

/// A task that computes in Python until it is told to end; returns how often it has.
class Computing {
 public:
  /// Begins; on the core of `end` if that is given.
  explicit Computing(const interpool::Submitter& submitter, std::optional<End> end = {}) {
    rounds_ = submitter.submit([stop = stop_, end](interpool::Worker& worker) {
      if (end) place_this_thread(*end);
      std::size_t rounds = 0;
      for (; !*stop; ++rounds) check(worker.eval<long>(kSum) > 0, "the sum is wrong");
      return rounds;
    });
  }
  std::size_t end() {
    *stop_ = true;
    return rounds_.get();
  }

 private:
  std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
  interpool::Future<std::size_t> rounds_;
};

/// Lets the tasks that `begin` makes compute for a while; nanoseconds per round of all of them together.
template <class Begin>
double compute_for(std::chrono::milliseconds time, Begin begin) {
  const Clock::time_point start = Clock::now();
  auto tasks = begin();
  std::this_thread::sleep_until(start + time);
  std::size_t rounds = 0;
  for (auto& task : tasks) rounds += task.end();
  return nanoseconds_since(start) / static_cast<double>(rounds);
}

constexpr std::chrono::milliseconds kComputing{200};

/// Each of the two alone, for half the time, on the cores that two at once use: cores are often not alike, as
/// other guests of a host slow them down.
template <class First, class Second>
double compute_in_turn(First first, Second second) {
  const double one = compute_for(kComputing / 2, [&] { return std::array{first(End::kCaller)}; });
  const double other = compute_for(kComputing / 2, [&] { return std::array{second(End::kWorker)}; });
  return 2 / (1 / one + 1 / other);  // the mean of their rates
}

void cpu_rows(Suite& suite, interpool::Runtime& runtime) {
  enum : std::size_t { kTwoPinned, kOnePinned, kTwoPooled, kOnePooled, kTwoBare, kOneBare };
  const std::vector<Comparison> comparisons = {
      {.id = "cpu.pinned",
       .what = "two tasks that compute in Python on two pinned workers, against each of them alone",
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
      {.id = "cpu.pinned/bare",
       .what = "two pinned workers, against two bare interpreters on two threads",
       .side = kTwoPinned,
       .reference = kTwoBare,
       .unit = Unit::kRate,
       .goal = Goal::at_least(0.95)},
      {.id = "cpu.machine",
       .what = "two bare interpreters, against each alone: what these cores give at once",
       .side = kTwoBare,
       .reference = kOneBare,
       .unit = Unit::kRate},
  };
  if (!suite.wants_any(comparisons)) return;
  if (std::thread::hardware_concurrency() < 2) {
    for (const Comparison& comparison : comparisons) suite.skip(comparison, "needs two cores");
    return;
  }
  interpool::SubinterpreterExecutor pinned(runtime, {.pinned_workers = 2});
  interpool::SubinterpreterExecutor pooled(runtime, {.pooled = {.threads = 4, .interpreters = 2}});
  interpool::SubinterpreterExecutor first(runtime, {.pooled = {.threads = 1}});
  interpool::SubinterpreterExecutor second(runtime, {.pooled = {.threads = 1}});
  const interpool::Submitter pinned_first = pinned.pinned(0);
  const interpool::Submitter pinned_second = pinned.pinned(1);
  BareInterpreter bare_first;
  BareInterpreter bare_second;
  const auto on = [](const interpool::Submitter& submitter) {
    return [&submitter](End end) { return Computing(submitter, end); };
  };
  const auto bare_on = [](BareInterpreter& bare) {
    return [&bare](End end) { return BareComputing(bare, end); };
  };
  const auto at_once = [](auto first_task, auto second_task) {
    return compute_for(kComputing,
                       [&] { return std::array{first_task(End::kCaller), second_task(End::kWorker)}; });
  };
  suite.compare(
      {{"two workers", [&] { return at_once(on(pinned_first), on(pinned_second)); }},
       {"one worker", [&] { return compute_in_turn(on(pinned_first), on(pinned_second)); }},
       {"two interpreters",
        [&] {
          return compute_for(kComputing, [&] { return std::array{Computing(pooled), Computing(pooled)}; });
        }},
       {"one interpreter", [&] { return compute_in_turn(on(first), on(second)); }},
       {"two bare interpreters", [&] { return at_once(bare_on(bare_first), bare_on(bare_second)); }},
       {"one bare interpreter", [&] { return compute_in_turn(bare_on(bare_first), bare_on(bare_second)); }}},
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
