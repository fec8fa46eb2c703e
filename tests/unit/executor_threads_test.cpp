// The worker threads themselves: how much stack they have, and which CPUs they run on.
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace interpool::test {
namespace {

std::size_t stack_of_this_thread() {
  pthread_attr_t attributes;
  EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
  std::size_t size = 0;
  EXPECT_EQ(pthread_attr_getstacksize(&attributes, &size), 0);
  pthread_attr_destroy(&attributes);
  return size;
}

std::set<int> cpus_of_this_thread() {
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::set<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
  }
  return cpus;
}

std::string refused(ExecutorOptions options) {
  options.pinned_workers = 1;
  return error_of<UsageError>([&] {
           const SubinterpreterExecutor pool(runtime(), options);
           return 0;
         })
      .message();
}

TEST(WorkerThreads, HaveTheStackAskedFor) {
  constexpr std::size_t kSize = std::size_t{3} << 20U;
  SubinterpreterExecutor pool(runtime(),
                              {.pinned_workers = 1, .pooled = {.threads = 1}, .stack_size = kSize - 5});
  for (const Submitter& worker : {pool.pinned(0), Submitter(pool)}) {
    const std::size_t size = get(worker.submit([] { return stack_of_this_thread(); }));
    EXPECT_EQ(size, kSize);  // in whole pages
  }
}

TEST(WorkerThreads, RunPythonOnTheSmallestStackThatIsAllowed) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .stack_size = std::size_t{256} << 10U});
  get(pool.pinned(0).submit(
      [](Worker& python) { python.exec("import json, re, asyncio, dataclasses, email.message"); }));
  EXPECT_EQ(get(pool.pinned(0).call<std::string>("json:dumps", std::vector<int>{1, 2})), "[1, 2]");
}

TEST(WorkerThreads, RecurseAsDeepAsTheirStackAllows) {
  if (runtime().python_version() < "3.14") GTEST_SKIP() << "this Python counts calls";
  constexpr const char* kNested = "__import__('json').loads('[' * 50_000 + ']' * 50_000) is not None";
  const auto run = [&](std::size_t megabytes) {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .stack_size = megabytes << 20U});
    return get(pool.pinned(0).submit([&](Worker& python) {
      try {
        return python.eval<std::string>(std::string("'deep' if ") + kNested + " else ''");
      } catch (const PythonError& error) {
        return error.type();
      }
    }));
  };
  EXPECT_EQ(run(1), "RecursionError");
  EXPECT_EQ(run(256), "deep");
}

TEST(WorkerThreads, RunOnTheCpusAskedFor) {
  const std::set<int> all = cpus_of_this_thread();
  const int first = *all.begin();
  const int last = *all.rbegin();
  SubinterpreterExecutor pool(
      runtime(),
      {.pinned_workers = 4, .pooled = {.threads = 1}, .cpu_affinity = {{first}, {first, last}, {last}}});
  const auto cpus_of = [](const Submitter& worker) {
    return get(worker.submit([] { return cpus_of_this_thread(); }));
  };
  EXPECT_EQ(cpus_of(pool.pinned(0)), std::set<int>({first}));
  EXPECT_EQ(cpus_of(pool.pinned(1)), std::set<int>({first, last}));
  EXPECT_EQ(cpus_of(pool.pinned(2)), std::set<int>({last}));
  EXPECT_EQ(cpus_of(pool.pinned(3)), std::set<int>({first}));  // from the front again
  EXPECT_EQ(cpus_of(pool), std::set<int>({first, last}));      // the fifth
  EXPECT_EQ(cpus_of(pool.main()), all);
}

TEST(WorkerThreads, AreCheckedWhenTheExecutorIsMade) {
  EXPECT_EQ(refused({.stack_size = 100'000}),
            "stack_size: 100000 bytes are too few for Python; give 262144 or more, or 0");
  EXPECT_EQ(refused({.cpu_affinity = {{*cpus_of_this_thread().begin()}, {}}}),
            "cpu_affinity[1] is empty: the workers that it is for could run nowhere");
  for (const int cpu : {-1, 1023, 1'000'000}) {
    EXPECT_EQ(refused({.cpu_affinity = {{cpu}}}), "cpu_affinity[0]: there is no CPU " + std::to_string(cpu) +
                                                      ", or this process may not run on it");
  }
}

TEST(WorkerThreads, ThatCannotBeStartedAreAWorkerError) {
  // More stack than there is address space.
  const auto error = error_of<WorkerError>([] {
    const SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .stack_size = std::size_t{1} << 62U});
    return 0;
  });
  EXPECT_EQ(error.message().find("only 0 of 1 worker threads could be started: "), 0U) << error.message();
}

}  // namespace
}  // namespace interpool::test
