// Interpreters: their creation, their memory, their end.

#include "bare_interpreter.h"
#include "child_process.h"
#include "life.h"
#include "suite.h"
#include "timing.h"

#include <interpool/interpool.h>

#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace bench {

namespace {

constexpr std::size_t kInterpreters = 8;

struct LifeTimes {
  double first_task = 0;
  double end = 0;
};

/// From nothing to a first result from each of `count` workers, and back.
LifeTimes life_of_workers(interpool::Runtime& runtime, std::size_t count) {
  LifeTimes times;
  std::unique_ptr<interpool::SubinterpreterExecutor> pool;
  times.first_task = nanoseconds_per(count, [&] {
    pool = std::make_unique<interpool::SubinterpreterExecutor>(
        runtime, interpool::ExecutorOptions{.pinned_workers = count});
    std::vector<interpool::Future<long>> futures;
    futures.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      futures.push_back(pool->pinned(i).call<long>("builtins:abs", -1L));
    for (auto& future : futures) check(future.get() == 1, "abs(-1) is not 1");
  });
  times.end = nanoseconds_per(count, [&] { pool->stop({.drain = {}}); });
  return times;
}

/// The same with `count` threads that use the plain C API.
LifeTimes life_of_threads(std::size_t count) {
  LifeTimes times;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t ready = 0;
  bool may_end = false;
  std::vector<std::thread> threads;
  times.first_task = nanoseconds_per(count, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        PyThreadState* state = new_interpreter();
        PyObject* abs = new_abs();
        const long one = call_abs(abs, -1);
        Py_DECREF(abs);
        PyEval_SaveThread();
        {
          std::unique_lock lock(mutex);
          if (one == 1) ++ready;
          changed.notify_all();
          changed.wait(lock, [&] { return may_end; });
        }
        PyEval_RestoreThread(state);
        Py_EndInterpreter(state);
      });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready == count; });
  });
  times.end = nanoseconds_per(count, [&] {
    {
      const std::lock_guard lock(mutex);
      may_end = true;
      changed.notify_all();
    }
    for (std::thread& thread : threads) thread.join();
  });
  return times;
}

std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

double bytes_per_interpreter(bool bare) {
  constexpr std::size_t kCount = 16;
  interpool::Runtime runtime;
  // The first one brings in code and data that all others share.
  std::vector<std::unique_ptr<interpool::SubinterpreterExecutor>> pools;
  std::vector<std::unique_ptr<BareInterpreter>> interpreters;
  const auto make = [&](std::size_t count) {
    if (bare) {
      for (std::size_t i = 0; i < count; ++i) {
        interpreters.push_back(std::make_unique<BareInterpreter>());
        interpreters.back()->run([] { return bare_call_loop(1); });
      }
      return;
    }
    pools.push_back(std::make_unique<interpool::SubinterpreterExecutor>(
        runtime, interpool::ExecutorOptions{.pinned_workers = count}));
    for (std::size_t i = 0; i < count; ++i) pools.back()->pinned(i).call<long>("builtins:abs", -1L).get();
  };
  make(1);
  const std::size_t before = resident_bytes();
  make(kCount);
  return static_cast<double>(resident_bytes() - before) / kCount;
}

void life_rows(Suite& suite, interpool::Runtime& runtime) {
  enum : std::size_t { kFirst, kBareFirst, kEnd, kBareEnd, kMemory, kBareMemory };
  const std::vector<Comparison> comparisons = {
      {.id = "life.first_task",
       .what = "the first task on each of 8 fresh workers, against 8 threads with the C API; per interpreter",
       .side = kFirst,
       .reference = kBareFirst},
      {.id = "life.end",
       .what = "the end of 8 idle workers, against 8 Py_EndInterpreter in parallel; per interpreter",
       .side = kEnd,
       .reference = kBareEnd},
      {.id = "life.memory",
       .what = "resident memory per interpreter and worker, against a bare interpreter and thread",
       .side = kMemory,
       .reference = kBareMemory,
       .unit = Unit::kBytes},
  };
  if (!suite.wants_any(comparisons)) return;
  LifeTimes workers;
  LifeTimes threads;
  const auto memory_of = [&](const char* whose) {
    ChildProcess self({suite.options().self, "--memory-of", whose});
    return std::stod(self.read_line());
  };
  // The end of a round's interpreters is measured right after their beginning, in one go.
  const auto live = [&](LifeTimes& times, const std::function<LifeTimes()>& life) {
    times = life();
    return times.first_task;
  };
  const auto live_workers = [&] {
    return live(workers, [&] { return life_of_workers(runtime, kInterpreters); });
  };
  const auto live_threads = [&] { return live(threads, [&] { return life_of_threads(kInterpreters); }); };
  const bool first_wanted = suite.wants(comparisons[0].id);
  const std::vector<Side> sides = {
      {"interpool", live_workers},
      {"Py_NewInterpreterFromConfig", live_threads},
      {"interpool", [&] { return first_wanted ? workers.end : (live_workers(), workers.end); }},
      {"Py_EndInterpreter", [&] { return first_wanted ? threads.end : (live_threads(), threads.end); }},
      {"interpool", [&] { return memory_of("interpool"); }},
      {"bare interpreter", [&] { return memory_of("bare"); }},
  };
  suite.compare(sides, comparisons, suite.options().few_repetitions());
}

}  // namespace bench
