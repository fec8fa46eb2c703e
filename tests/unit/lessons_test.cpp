// Defects that others of this kind have had, or that this design invites: one test each, named after the
// defect. tests/mutants has a patch for each that puts the defect in; scripts/mutants shows that the test
// fails.
//
// They fail by an assertion and not by a hang, so what is waited for is asserted to come.
#include "base/keep.h"
#include "python/thread_state.h"
#include "runtime/admission.h"
#include "runtime/executor_core.h"
#include "runtime/interpreter_group.h"
#include "runtime/runtime_core.h"
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <Python.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {

/// An argument that tells where it was made into a Python object, and where it died.
struct TracedArgument {
  struct Trace {
    std::atomic<std::int64_t> interpreter = -1;
    std::atomic<std::thread::id> encoded_on;
    std::atomic<std::thread::id> died_on;
    std::atomic<std::int64_t> died_in = -1;  // the interpreter whose GIL was held
    Event died;
  };

  explicit TracedArgument(Trace& to) : trace(&to) {}
  TracedArgument(TracedArgument&& other) noexcept : trace(std::exchange(other.trace, nullptr)) {}
  TracedArgument(const TracedArgument&) = delete;
  TracedArgument& operator=(const TracedArgument&) = delete;
  TracedArgument& operator=(TracedArgument&&) = delete;
  ~TracedArgument() {
    if (trace == nullptr) return;
    trace->died_on = std::this_thread::get_id();
    if (python::current_thread_state() != nullptr) {
      trace->died_in = PyInterpreterState_GetID(PyInterpreterState_Get());
    }
    trace->died.set();
  }

  Trace* trace;
};

}  // namespace interpool::test

template <>
struct interpool::Converter<interpool::test::TracedArgument> {
  static void encode(Encoder& out, const test::TracedArgument& argument) {
    argument.trace->interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    argument.trace->encoded_on = std::this_thread::get_id();
    out.put_int(7);
  }
};

namespace interpool::test {
namespace {

using namespace std::chrono_literals;

/// How long to wait for what must come; scripts/mutants makes it shorter.
std::chrono::milliseconds patience() {
  static const std::chrono::milliseconds time = [] {
    const char* text = std::getenv("INTERPOOL_TEST_PATIENCE_MS");
    return text == nullptr ? std::chrono::milliseconds(kPatience)
                           : std::chrono::milliseconds(std::atoi(text));
  }();
  return time;
}

/// What a wait for patience() has come to. Says so if it was in vain: scripts/mutants tells failures that a
/// slow machine might bring about from others.
bool in_time(bool came) {
  if (!came) {
    std::printf("out of patience\n");
    std::fflush(stdout);
  }
  return came;
}
template <class Condition>
bool comes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return in_time(false);
    std::this_thread::sleep_for(1ms);
  }
  return true;
}
bool happens(const Event& event) {
  return comes_true([&] { return event.is_set(); });
}
template <class T>
bool settles(const Future<T>& future) {
  return in_time(future.wait_for(patience()));
}

detail::RuntimeCore& runtime_core() { return *detail::RuntimeAccess::core(runtime()); }

/// The code of a result's error; none for a value. A null failure is an error without a code.
template <class T>
std::optional<ErrorCode> code_of(const Result<T>& result) {
  const Failure failure = result.failure();
  return failure ? std::optional(failure->code()) : std::nullopt;
}

/// Runs `action` on a thread of its own, so that the test can look after it when it hangs.
class Aside {
 public:
  template <class F>
  explicit Aside(F action)
      : thread_([this, action = std::move(action)]() mutable {
          action();
          done_.set();
        }) {}
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  ~Aside() { thread_.join(); }

  [[nodiscard]] bool ends() const { return happens(done_); }

 private:
  Event done_;
  std::thread thread_;
};

/// Takes its time to die: until it is told that it may.
class SlowToDie {
 public:
  SlowToDie(std::shared_ptr<Event> dying, std::shared_ptr<Event> may_die)
      : dying_(std::move(dying)), may_die_(std::move(may_die)) {}
  SlowToDie(SlowToDie&&) noexcept = default;
  SlowToDie(const SlowToDie&) = delete;
  SlowToDie& operator=(const SlowToDie&) = delete;
  SlowToDie& operator=(SlowToDie&&) = delete;
  ~SlowToDie() {
    if (!dying_) return;
    dying_->set();
    (void)(happens(*may_die_) ||
           happens(*may_die_));  // longer than anybody waits for what is stuck behind it
  }

 private:
  std::shared_ptr<Event> dying_;
  std::shared_ptr<Event> may_die_;
};

/// For a byte between this test and Python code in it, which has released the GIL while it waits for one.
/// Outlives the Python code: what was written can be seen before the call that writes it is back.
class Signal {
 public:
  Signal() { EXPECT_EQ(pipe(ends_.data()), 0); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void set() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  [[nodiscard]] bool is_set() const {
    pollfd end{.fd = ends_[0], .events = POLLIN, .revents = 0};
    return poll(&end, 1, 0) == 1;
  }
  [[nodiscard]] std::string python_sets() const { return "os.write(" + std::to_string(ends_[1]) + ", b'x')"; }
  [[nodiscard]] std::string python_waits() const { return "os.read(" + std::to_string(ends_[0]) + ", 1)"; }

 private:
  std::array<int, 2> ends_{};
};

/// Whether a thread of this process sleeps.
bool sleeps(pid_t thread) {
  std::ifstream in("/proc/self/task/" + std::to_string(thread) + "/stat");
  const std::string stat(std::istreambuf_iterator<char>(in), {});
  const std::size_t name_end = stat.rfind(')');  // "tid (name) S …"
  return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] == 'S';
}

/// How often the threads with this beginning of a name have been on a processor, and for how long.
std::map<std::string, std::string> activity_of(const std::string& prefix) {
  std::map<std::string, std::string> activity;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const auto read = [&](const char* file) {
      std::ifstream in(entry.path() / file);
      return std::string(std::istreambuf_iterator<char>(in), {});
    };
    if (!read("comm").starts_with(prefix)) continue;
    std::string& seen = activity[entry.path().filename().string()];
    seen = read("schedstat");  // nanoseconds on a processor, waiting for one, and time slices
    const std::string status = read("status");
    const std::size_t switches = status.find("voluntary_ctxt_switches");
    if (switches != std::string::npos) seen += status.substr(switches);
  }
  return activity;
}

class Lessons : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(all_interpreters_ended()); }
  void TearDown() override {
    // A thread that a test has given up ends its interpreter when it comes back.
    EXPECT_TRUE(all_interpreters_ended());
    take_log();
  }

 private:
  static bool all_interpreters_ended() {
    return comes_true([] { return runtime().interpreter_count() == 0; });
  }
};

// ---- What an earlier executor of this kind got wrong. --------------------------------------------

TEST_F(Lessons, PromiseOfMovedFutureLosesResult) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const auto let_go = std::make_shared<Event>();
  auto running = pool.submit([=] { happens(*let_go); });
  auto queued = pool.submit([] { return 1; });
  std::vector<Future<int>> elsewhere;
  elsewhere.push_back(std::move(queued));
  Future<int> assigned;
  assigned = std::move(elsewhere.front());
  let_go->set();
  ASSERT_TRUE(settles(assigned));
  const Result<int> result = assigned.result();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 1);
  ASSERT_TRUE(settles(running));
}

TEST_F(Lessons, GetDoesNotWait) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  std::atomic<bool> asked = false;
  Future<std::int64_t> future = pool.submit([&](Worker& worker) {
    while (!asked) std::this_thread::yield();
    // Long enough that it cannot be there for who does not wait.
    return worker.eval<std::int64_t>("sum(range(1_000_000))");
  });
  asked = true;
  const Result<std::int64_t> result = future.result();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 499'999'500'000);
}

TEST_F(Lessons, ThreadStateSharedByThreads) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  struct Seen {
    std::thread::id thread;
    PyThreadState* state = nullptr;
    unsigned long state_thread = 0;
    std::int64_t interpreter = -1;
  };
  const auto look = [](Worker& worker) {
    PyThreadState* state = PyThreadState_Get();
    return Seen{std::this_thread::get_id(), state, state->thread_id, worker.interpreter_id()};
  };
  Event first_inside;
  Event second_done;
  // The first gives up the GIL in the middle, so that the second comes in on the other thread.
  Future<Seen> first = pool.submit([&](Worker& worker) {
    const Seen seen = look(worker);
    PyThreadState* state = PyEval_SaveThread();
    first_inside.set();
    happens(second_done);
    PyEval_RestoreThread(state);
    return seen;
  });
  ASSERT_TRUE(happens(first_inside));
  Future<std::pair<Seen, unsigned long>> second =
      pool.submit([&](Worker& worker) { return std::pair(look(worker), PyThread_get_thread_ident()); });
  const bool second_settles = settles(second);
  second_done.set();
  ASSERT_TRUE(second_settles);
  const auto [b, b_ident] = second.get();
  const Seen a = first.get();
  EXPECT_EQ(a.interpreter, b.interpreter);
  ASSERT_NE(a.thread, b.thread);
  EXPECT_NE(a.state, b.state);
  EXPECT_EQ(b.state_thread, b_ident);
}

TEST_F(Lessons, ThreadStateMadeAnewForEachTask) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .spin = 0us});
  const pid_t thread = pool.pinned(0)
                           .submit([](Worker& worker) {
                             worker.exec("import threading\nlocal = threading.local()\nlocal.value = 42");
                             return gettid();
                           })
                           .get();
  EXPECT_TRUE(comes_true([&] { return sleeps(thread); }));
  auto kept = pool.pinned(0).submit(
      [](Worker& worker) { return worker.eval<std::optional<int>>("getattr(local, 'value', None)"); });
  ASSERT_TRUE(settles(kept));
  EXPECT_EQ(kept.result().value(), 42) << "what Python keeps per thread is gone with the next task";
}

TEST_F(Lessons, ArgumentsMadeUnderAnotherGil) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  TracedArgument::Trace trace;
  Future<std::int64_t> future = pool.pinned(0).call<std::int64_t>("builtins:abs", TracedArgument(trace));
  ASSERT_TRUE(settles(future));
  EXPECT_TRUE(trace.died.is_set()) << "an argument outlived its task";
  ASSERT_EQ(future.get(), 7);
  const auto [interpreter, thread] =
      pool.pinned(0)
          .submit(
              [](Worker& worker) { return std::pair(worker.interpreter_id(), std::this_thread::get_id()); })
          .get();
  EXPECT_EQ(trace.interpreter, interpreter);
  EXPECT_EQ(trace.encoded_on.load(), thread);
  EXPECT_EQ(trace.died_on.load(), thread);
  EXPECT_EQ(trace.died_in, interpreter);
}

TEST_F(Lessons, DrainWaitsThoughAllIsDone) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  pool.pinned(0).call<int>("builtins:abs", -3).get();
  ExecutorReport report;
  {
    const Aside stop([&] { report = pool.stop({.drain = 2 * patience(), .timeout = 2 * patience()}); });
    EXPECT_TRUE(stop.ends()) << "it was drained at once";
  }
  EXPECT_TRUE(report.drained);
}

TEST_F(Lessons, ShutdownIgnoresTimeout) {
  SubinterpreterExecutor pool(runtime(), {.name = "stuck", .pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  ExecutorReport report;
  {
    const Aside stop([&] { report = pool.stop({.timeout = 1ms}); });
    const bool ends = stop.ends();
    const bool settled = busy.future().ready();
    busy.release();
    ASSERT_TRUE(ends) << "stop() waited for the task";
    EXPECT_TRUE(settled);
  }
  EXPECT_FALSE(report.drained);
  EXPECT_EQ(report.abandoned.size(), 1U);
  EXPECT_EQ(code_of(busy.future().result()), ErrorCode::kAbandoned);
}

TEST_F(Lessons, ShutdownLeavesQueuedUnresolved) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "full", .pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}});
  BusyTask pinned_busy(pool.pinned(0));
  BusyTask pooled_busy(pool);
  // The main lane is busy for another executor, so that this one gives up no task there.
  SubinterpreterExecutor other(runtime(), {.pinned_workers = 1});
  BusyTask main_busy(other.main());
  std::atomic<int> ran = 0;
  std::vector<Future<void>> queued;
  for (const Submitter& submitter : {pool.pinned(0), Submitter(pool), pool.main()}) {
    for (int i = 0; i < 3; ++i) queued.push_back(submitter.submit([&ran] { ++ran; }));
  }
  ExecutorReport report;
  {
    const Aside stop([&] { report = pool.stop({.timeout = 1ms}); });
    const bool ends = stop.ends();
    std::size_t unresolved = 0;
    for (const auto& future : queued) unresolved += future.ready() ? 0 : 1;
    for (BusyTask* busy : {&pinned_busy, &pooled_busy, &main_busy}) busy->release();
    EXPECT_EQ(unresolved, 0U);
    ASSERT_TRUE(ends);
  }
  for (auto& future : queued) {
    ASSERT_TRUE(settles(future));
    EXPECT_EQ(code_of(future.result()), ErrorCode::kCancelled);
  }
  EXPECT_EQ(report.cancelled.size(), queued.size());
  EXPECT_EQ(report.abandoned.size(), 2U);
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
  EXPECT_TRUE(settles(other.main().submit([] {})));
  EXPECT_EQ(ran, 0);
}

TEST_F(Lessons, AdmissionAfterDrainBegan) {
  // The door is closed in the middle of a rush; once it is, the number of those inside stands.
  constexpr int kThreads = 3;
  constexpr int kSpins = 200;
  std::optional<detail::Admission> admission;
  std::atomic<int> round = 0;
  std::atomic<int> turned_away = 0;
  // On one processor a round lasts as long as a time slice, and finds nothing.
  cpu_set_t ours;
  const int processors = sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : 1;
  const int rounds = processors > 1 ? 500 : 20;
  const auto guest = [&] {
    for (int next = 1; next <= rounds; ++next) {
      for (int spins = 0; round.load(std::memory_order_acquire) < next; ++spins) {
        if (spins > kSpins) std::this_thread::yield();  // there may be fewer processors than threads
      }
      while (admission->try_enter()) {
      }
      turned_away.fetch_add(1);
    }
  };
  std::vector<std::thread> guests;
  const int count = std::clamp(processors - 1, 1, kThreads);  // as many as can run at once
  for (int i = 0; i < count; ++i) guests.emplace_back(guest);
  int late_rounds = 0;
  for (int next = 1; next <= rounds; ++next) {
    admission.emplace();
    turned_away = 0;
    round.store(next, std::memory_order_release);
    for (int spins = 0; admission->in_flight() == 0; ++spins) {
      if (spins > kSpins) std::this_thread::yield();
    }
    for (int wait = next % 64; wait > 0; --wait) spin_pause();
    admission->close();
    const std::uint32_t at_close = admission->in_flight();
    for (int spins = 0; turned_away < count; ++spins) {
      if (spins > kSpins) std::this_thread::yield();
    }
    if (admission->in_flight() != at_close) ++late_rounds;
  }
  for (std::thread& thread : guests) thread.join();
  EXPECT_EQ(late_rounds, 0) << "rounds in which somebody was admitted after close() had returned";
}

TEST_F(Lessons, TaskAcceptedAfterDrain) {
  // The same from outside: what drain() has not seen was not accepted.
  for (int round = 0; round < 20; ++round) {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    std::atomic<bool> submitting = false;
    std::uint64_t accepted = 0;
    std::thread submitter([&, in = pool.pinned(0)] {
      try {
        for (;;) {
          auto future = in.submit([] {});
          ++accepted;
          submitting = true;
        }
      } catch (const ShutdownError&) {
      }
    });
    EXPECT_TRUE(comes_true([&] { return submitting.load(); }));
    EXPECT_TRUE(in_time(pool.drain(patience())));
    const TaskCounts drained = pool.counts();
    submitter.join();
    EXPECT_EQ(drained.accepted, accepted);
    EXPECT_EQ(drained.completed, accepted);
    EXPECT_EQ(pool.in_flight(), 0U);
  }
}

TEST_F(Lessons, CountersNeverIncremented) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "counts", .pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}});
  const std::array<Submitter, 3> lanes = {pool.pinned(0), Submitter(pool), pool.main()};
  TaskCounts expected;
  const auto check = [&](int line) {
    const TaskCounts counts = pool.counts();
    EXPECT_EQ(counts.accepted, expected.accepted) << "line " << line;
    EXPECT_EQ(counts.completed, expected.completed) << "line " << line;
    EXPECT_EQ(counts.failed, expected.failed) << "line " << line;
    EXPECT_EQ(counts.cancelled, expected.cancelled) << "line " << line;
    EXPECT_EQ(counts.timed_out, expected.timed_out) << "line " << line;
    EXPECT_EQ(counts.abandoned, expected.abandoned) << "line " << line;
  };
  for (const Submitter& lane : lanes) {
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(settles(lane.submit([] {})));
      ++expected.accepted;
      ++expected.completed;
      check(__LINE__);
    }
    ASSERT_TRUE(settles(lane.call<int>("builtins:int", "x")));
    ++expected.accepted;
    ++expected.failed;
    check(__LINE__);
    BusyTask busy(lane);
    ++expected.accepted;
    Future<void> cancelled = lane.submit([] {});
    EXPECT_TRUE(cancelled.cancel());
    ++expected.accepted;
    ++expected.cancelled;
    check(__LINE__);
    ASSERT_TRUE(settles(lane.with({.timeout = 1ms}).submit([] {})));
    ++expected.accepted;
    ++expected.timed_out;
    check(__LINE__);
    busy.release();
    ASSERT_TRUE(settles(busy.future()));
    ++expected.completed;
    check(__LINE__);
  }
  BusyTask busy(pool.pinned(0));
  const ExecutorReport report = pool.stop({.timeout = 1ms});
  ++expected.accepted;
  ++expected.abandoned;
  check(__LINE__);
  EXPECT_EQ(report.tasks.settled(), report.tasks.accepted);
}

TEST_F(Lessons, WorkersPoll) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "quiet", .pinned_workers = 1, .pooled = {.threads = 2, .interpreters = 1}});
  {
    // All of them have an interpreter, and have worked.
    BusyTask pinned(pool.pinned(0));
    Meeting all_in(2);
    std::vector<Future<void>> pooled;
    for (int i = 0; i < 2; ++i) {
      pooled.push_back(pool.submit([&](Worker&) {
        PyThreadState* state = PyEval_SaveThread();
        all_in.arrive_and_wait();
        PyEval_RestoreThread(state);
      }));
    }
    for (auto& future : pooled) ASSERT_TRUE(settles(future));
  }
  // The clock of this test: a task that waits behind another one until its deadline.
  SubinterpreterExecutor clock(runtime(), {.name = "clock", .pinned_workers = 1});
  BusyTask behind(clock.pinned(0));
  const auto window = [&] { clock.pinned(0).with({.timeout = 50ms}).submit([] {}).wait(); };
  // They go to sleep at some time; from then on nothing happens in them any more.
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after = activity_of("quiet-");
  ASSERT_EQ(after.size(), 3U);
  bool quiet = false;
  for (int i = 0; i < 40 && !quiet; ++i) {
    before = after;
    window();
    after = activity_of("quiet-");
    quiet = before == after;
  }
  EXPECT_TRUE(quiet) << "an idle worker was on a processor in each of 40 windows of 50 ms";
}

TEST_F(Lessons, FailedInitializerBreaksPool) {
  std::string folder = (std::filesystem::temp_directory_path() / "interpool-lesson-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto write_module = [&](const char* code) {
    std::ofstream(std::filesystem::path(folder) / "interpool_lesson.py") << code;
  };
  write_module("raise RuntimeError('not today')\n");
  setenv("INTERPOOL_TEST_MODULES", folder.c_str(), 1);
  {
    SubinterpreterExecutor pool(
        runtime(),
        {.name = "flaky", .pinned_workers = 1, .preload = {"interpool_flaky_path", "interpool_lesson"}});
    std::atomic<bool> ran = false;
    for (int i = 0; i < 2; ++i) {
      Future<void> fails = pool.pinned(0).submit([&] { ran = true; });
      ASSERT_TRUE(settles(fails));
      EXPECT_EQ(code_of(fails.result()), ErrorCode::kWorker);
    }
    EXPECT_FALSE(ran) << "a task ran in an interpreter that had not been set up";
    write_module("from __future__ import annotations  # of another size than before\n");
    Future<int> next = pool.pinned(0).submit([] { return 1; });
    ASSERT_TRUE(settles(next));
    const Result<int> result = next.result();
    EXPECT_TRUE(result.has_value()) << "the set-up was not tried again: " << result.failure()->message();
  }
  std::filesystem::remove_all(folder);
}

TEST_F(Lessons, NamesOfUnstartedTasksLost) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "names", .pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}});
  std::vector<std::unique_ptr<BusyTask>> busy;
  std::vector<Future<int>> queued;
  std::vector<std::string> names;
  for (const Submitter& lane : {pool.pinned(0), Submitter(pool), pool.main()}) {
    busy.push_back(std::make_unique<BusyTask>(lane));
    names.push_back("named " + std::to_string(names.size()));
    queued.push_back(lane.with({.name = names.back()}).submit([] { return 1; }));
    names.emplace_back("builtins:abs");
    queued.push_back(lane.call<int>("builtins:abs", -1));
  }
  ExecutorReport report;
  {
    const Aside stop([&] { report = pool.stop({.timeout = patience()}); });
    for (const auto& future : queued) EXPECT_TRUE(settles(future));
    for (const auto& task : busy) task->release();
  }
  std::ranges::sort(names);
  std::ranges::sort(report.cancelled);
  EXPECT_EQ(report.cancelled, names);
  std::vector<std::string> in_errors;
  for (auto& future : queued) in_errors.push_back(future.result().error().task());
  std::ranges::sort(in_errors);
  EXPECT_EQ(in_errors, names);
}

TEST_F(Lessons, ReportClaimsDrained) {
  const auto stop = [](SubinterpreterExecutor& pool, BusyTask& busy) {
    // It has found by then that not all has settled in the time for draining, and waits for the rest.
    ExecutorReport report;
    SleepingThread stopper([&] { report = pool.stop({.timeout = patience()}); });
    stopper.wait_until_asleep();
    busy.release();
    stopper.join();
    return report;
  };
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    BusyTask busy(pool.pinned(0));
    EXPECT_TRUE(stop(pool, busy).drained) << "all that was accepted has run";
  }
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    BusyTask busy(pool.pinned(0));
    Future<void> queued = pool.pinned(0).submit([] {});
    const ExecutorReport report = stop(pool, busy);
    EXPECT_EQ(report.tasks.cancelled, 1U);
    EXPECT_FALSE(report.drained) << "a task was cancelled";
  }
  {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
    BusyTask busy(pool.pinned(0));
    const ExecutorReport report = pool.stop({.timeout = 1ms});
    busy.release();
    EXPECT_EQ(report.tasks.abandoned, 1U);
    EXPECT_FALSE(report.drained) << "a task was abandoned";
  }
  // A third party is settling a task and does not come to an end with it.
  const auto dying = std::make_shared<Event>();
  const auto may_die = std::make_shared<Event>();
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  auto late = pool.pinned(0).with({.timeout = 1ms}).submit([work = SlowToDie(dying, may_die)] {});
  EXPECT_TRUE(happens(*dying));
  busy.release();
  ASSERT_TRUE(settles(busy.future()));
  const ExecutorReport report = pool.stop({.timeout = 1ms});
  may_die->set();
  EXPECT_TRUE(report.cancelled.empty());
  EXPECT_TRUE(report.abandoned.empty());
  EXPECT_FALSE(report.drained) << "a task had not settled";
  ASSERT_TRUE(settles(late));
}

// ---- What this design could get wrong. -------------------------------------------------------------

/// A task for a queue that no worker takes from.
struct IdleTask final : detail::TaskBase {
  IdleTask() : TaskBase(nullptr) {}
  Failure run(Worker* /*worker*/) noexcept override { return nullptr; }
  void drop_work() noexcept override {}
  void drop_value() noexcept override {}
};

TEST_F(Lessons, LostWakeup) {
  {
    // The task comes in when the worker is awake and has found nothing, so nobody is woken for it.
    const detail::Admission admission;
    detail::Timekeeper timekeeper;
    detail::TaskQueue queue;
    Parker parker;
    const auto seat = queue.add_seat(runtime_core().main_worker(), parker, 0);
    queue.stand_up(seat);
    EXPECT_EQ(queue.take(seat), nullptr);
    EXPECT_EQ(queue.push(*new IdleTask, 1, admission, timekeeper), detail::TaskQueue::Push::kDone);
    EXPECT_FALSE(queue.sit_down(seat)) << "a worker went to sleep beside a task";
    EXPECT_NE(queue.take(seat), nullptr);
    queue.put_down(seat);
  }
  // Each task comes in about when the worker that has run the one before sits down: we stay awake until that
  // one has settled, and go on a little later, by another time in each round.
  for (const std::chrono::microseconds spin : {0us, 5us}) {
    SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1, .queue_capacity = 8, .spin = spin});
    const Submitter pinned = pool.pinned(0);
    for (int i = 0; i < 10'000; ++i) {
      Future<int> future = i % 2 == 0 ? pinned.submit([i] { return i; }) : pool.submit([i] { return i; });
      for (int polls = 0; polls < 100'000 && !future.ready(); ++polls) spin_pause();
      ASSERT_TRUE(settles(future)) << "task " << i << " was never taken";
      ASSERT_EQ(future.get(), i);
      for (int wait = i % 64; wait > 0; --wait) spin_pause();
    }
  }
}

TEST_F(Lessons, TaskStrandedBehindRunningOne) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 2}});
  BusyTask one(pool);
  BusyTask two(pool);
  ASSERT_NE(one.interpreter(), two.interpreter());
  const auto let_go = std::make_shared<Event>();
  const auto started = std::make_shared<Event>();
  Future<void> long_one = pool.submit([=] {
    started->set();
    happens(*let_go);
  });
  std::vector<Future<void>> short_ones;
  for (int i = 0; i < 3; ++i) short_ones.push_back(pool.submit([] {}));
  one.release();
  EXPECT_TRUE(happens(*started));
  // All of the rest is the second worker's.
  two.release();
  std::size_t done = 0;
  for (const auto& future : short_ones) done += settles(future) ? 1 : 0;
  EXPECT_FALSE(long_one.ready());
  let_go->set();
  EXPECT_EQ(done, short_ones.size()) << "tasks waited for a running one while a worker was idle";
}

TEST_F(Lessons, SleepingWorkerNotCalledForTheRest) {
  // One worker sleeps and the other one sleeps, too, or searches, so that nobody is woken by a submission:
  // whoever takes the first task has to call somebody for the others.
  for (const std::chrono::microseconds spin : {0us, 50'000us}) {
    SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 2}, .spin = spin});
    {
      BusyTask one(pool);
      BusyTask two(pool);
    }
    for (int round = 0; round < 50; ++round) {
      const auto let_go = std::make_shared<Event>();
      Future<void> long_one = pool.submit([=] { happens(*let_go); });
      std::vector<Future<void>> short_ones;
      for (int i = 0; i < 2; ++i) short_ones.push_back(pool.submit([] {}));
      bool all = true;
      for (const auto& future : short_ones) all = all && settles(future);
      let_go->set();
      ASSERT_TRUE(all) << "round " << round;
      ASSERT_TRUE(settles(long_one));
    }
  }
}

TEST_F(Lessons, SearcherThatHasFoundWorkHoldsBackOthers) {
  // A worker that searches finds a task, and then has to wait for its interpreter's GIL, which some thread
  // holds: what comes in meanwhile is for the worker that sleeps.
  SubinterpreterExecutor pool(
      runtime(), {.pooled = {.threads = 2, .interpreters = 2}, .queue_capacity = 1'000'000, .spin = 1s});
  struct Busy {
    std::atomic<PyInterpreterState*> interpreter = nullptr;
    std::atomic<pid_t> thread = 0;
    Event started;
    Event let_go;
  };
  for (int round = 0; round < 3; ++round) {
    std::array<Busy, 2> busy;
    std::vector<Future<void>> blockers;
    for (Busy& task : busy) {
      blockers.push_back(pool.submit([&task] {
        task.interpreter = PyInterpreterState_Get();
        task.thread = gettid();
        task.started.set();
        happens(task.let_go);
      }));
      EXPECT_TRUE(happens(task.started));
    }
    Event held;
    Event release;
    bool all_done = false;
    {
      const Aside holder([&] {
        python::ThreadState state(busy[0].interpreter);
        state.attach();
        held.set();
        release.wait();  // longer than others are patient
        state.detach();
        state.destroy();
      });
      // The first one searches, and then there is no searching for the second one.
      busy[0].let_go.set();
      EXPECT_TRUE(happens(held));
      busy[1].let_go.set();
      EXPECT_TRUE(settles(blockers[1]));
      EXPECT_TRUE(comes_true([&] { return sleeps(busy[1].thread); }));
      std::vector<Future<void>> tasks;
      all_done = comes_true([&] {
        tasks.push_back(pool.submit([] {}));
        return tasks.front().ready();
      });
      release.set();
      for (const auto& task : tasks) EXPECT_TRUE(settles(task));
    }
    EXPECT_TRUE(settles(blockers[0]));
    ASSERT_TRUE(all_done) << "tasks waited for a GIL while another worker slept";
  }
}

TEST_F(Lessons, WorkerWithoutInterpreterSearches) {
  // A worker that would have to create its interpreter first was woken for nothing. While it cannot create
  // one, as the main interpreter is busy, others are there for the next task.
  constexpr std::size_t kWorkers = 6;
  SubinterpreterExecutor pool(runtime(), {.name = "cold", .pinned_workers = kWorkers, .spin = 20ms});
  Future<pid_t> first = pool.pinned(0).submit(gettid);
  ASSERT_TRUE(settles(first));
  const pid_t warm = first.get();
  BusyTask main(pool.main());
  for (std::size_t i = 1; i < kWorkers; ++i) {
    EXPECT_TRUE(comes_true([&] { return sleeps(warm); }));
    const std::string name = "cold-p" + std::to_string(i);
    const auto before = activity_of(name);
    pool.pinned(i).submit([] {}).cancel();
    EXPECT_TRUE(comes_true([&] { return activity_of(name) != before; }));
    Future<void> task = pool.submit([] {});
    const bool done = settles(task);
    if (!done) main.release();
    ASSERT_TRUE(done) << "a task waited for a new interpreter while another one was idle";
  }
}

TEST_F(Lessons, ResultDiesWithNextTaskInHand) {
  // Nobody wants the result any more, which takes its time to die, on its worker: what comes next is for
  // another worker.
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 2}});
  const auto dying = std::make_shared<Event>();
  const auto may_die = std::make_shared<Event>();
  const auto started = std::make_shared<Event>();
  const auto let_go = std::make_shared<Event>();
  Future<SlowToDie> unwanted = pool.submit([=] {
    started->set();
    happens(*let_go);
    return SlowToDie(dying, may_die);
  });
  EXPECT_TRUE(happens(*started));
  BusyTask other(pool);
  unwanted = {};
  std::vector<Future<void>> queued;
  for (int i = 0; i < 3; ++i) queued.push_back(pool.submit([] {}));
  let_go->set();
  EXPECT_TRUE(happens(*dying));
  other.release();
  const bool taken = std::ranges::all_of(queued, [](const auto& future) { return settles(future); });
  may_die->set();
  EXPECT_TRUE(taken) << "a worker took a task before it had done with the last one";
}

TEST_F(Lessons, TasksStarvePythonThread) {
  // A worker is flooded with calls of functions that are written in C, which never look whether another
  // thread wants the GIL. A Python thread of the interpreter gets its turn all the same.
  const Signal go;
  const Signal came;  // outlives the interpreter, whose end joins the thread that is writing into it
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Submitter lane = pool.pinned(0);
  Future<void> prepared = lane.submit([&](Worker& worker) {
    worker.exec("import os, threading\nthreading.Thread(target=lambda: (" + go.python_waits() + ", " +
                came.python_sets() + ")).start()");
  });
  ASSERT_TRUE(settles(prepared));
  ASSERT_TRUE(code_of(prepared.result()) == std::nullopt);

  /// Keeps the queue filled until the thread has come, or long enough.
  struct Flood {
    const Submitter& lane;
    const Signal& came;
    std::chrono::steady_clock::time_point end;
    Event& ended;
    bool& seen;
    void operator()() const {
      seen = came.is_set();
      if (seen || std::chrono::steady_clock::now() >= end) {
        ended.set();
        return;
      }
      for (int i = 0; i < 50; ++i) (void)lane.call<int>("builtins:abs", -i);
      (void)lane.submit(*this);
    }
  };
  Event ended;
  bool seen = false;
  BusyTask busy(lane);
  (void)lane.submit(Flood{lane, came, std::chrono::steady_clock::now() + patience(), ended, seen});
  go.set();
  busy.release();
  ended.wait();
  EXPECT_TRUE(in_time(seen)) << "tasks kept the GIL from a Python thread";
}

TEST_F(Lessons, DeadlineKeepsResultAlive) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Submitter hour = pool.pinned(0).with({.timeout = 1h});
  Mortal run_value;
  const auto run_record = run_value.record();
  Mortal cancelled_work;
  const auto cancelled_record = cancelled_work.record();
  {
    auto run = hour.submit([value = std::move(run_value)]() mutable { return std::move(value); });
    ASSERT_TRUE(settles(run));
    BusyTask busy(pool.pinned(0));
    auto cancelled = hour.submit([work = std::move(cancelled_work)] {});
    EXPECT_TRUE(cancelled.cancel());
    EXPECT_TRUE(cancelled_record->died.is_set());
  }
  // The worker lets go of its task with the next one.
  ASSERT_TRUE(settles(pool.pinned(0).submit([] {})));
  EXPECT_TRUE(happens(run_record->died)) << "a result lives on until the deadline of its task";
}

TEST_F(Lessons, CancelledTaskRuns) {
  SubinterpreterExecutor pool(
      runtime(), {.pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}, .queue_capacity = 2});
  for (const Submitter& lane : {pool.pinned(0), Submitter(pool), pool.main()}) {
    std::atomic<bool> ran = false;
    BusyTask busy(lane);
    Future<void> cancelled = lane.submit([flag = &ran] { *flag = true; });
    Future<void> next = lane.submit([] {});
    EXPECT_TRUE(cancelled.cancel());
    EXPECT_FALSE(cancelled.cancel());
    EXPECT_TRUE(cancelled.ready());
    // Its place in the queue is free.
    EXPECT_TRUE(lane.try_submit([] {}).has_value());
    busy.release();
    ASSERT_TRUE(settles(next));
    EXPECT_FALSE(ran);
    EXPECT_EQ(code_of(cancelled.result()), ErrorCode::kCancelled);
  }
}

TEST_F(Lessons, CancelledTaskTakesOthersAlong) {
  // The last task of a batch is cancelled after the one before it was taken, and then that one's memory is
  // used again. By a pinned worker that takes from two queues, so that one queue rests meanwhile.
  struct {
    SubinterpreterExecutor pool{runtime(), {.pinned_workers = 1}};
    Submitter any = pool;
    Submitter own = pool.pinned(0);
    Future<void> second;
    Future<void> last;
    Event submitted;
  } s;
  // Callables of one size, so that their tasks use each other's memory.
  BusyTask busy(s.own);
  (void)s.any.submit([&s] {
    (void)s.own.submit([&s] {
      (void)s.any.submit([&s] { s.submitted.set(); }).cancel();  // in the memory of the first
      s.last = s.any.submit([] {});
      s.submitted.set();
    });
    s.second.cancel();
  });
  s.second = s.any.submit([] {});
  busy.release();
  ASSERT_TRUE(happens(s.submitted));
  EXPECT_TRUE(settles(s.last)) << "a task is lost because another one was cancelled";
}

TEST_F(Lessons, TimedOutTaskRuns) {
  SubinterpreterExecutor pool(
      runtime(), {.pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}, .queue_capacity = 2});
  for (const Submitter& lane : {pool.pinned(0), Submitter(pool), pool.main()}) {
    std::atomic<bool> ran = false;
    BusyTask busy(lane);
    Future<void> late = lane.with({.timeout = 1ms}).submit([flag = &ran] { *flag = true; });
    Future<void> next = lane.submit([] {});
    ASSERT_TRUE(settles(late)) << "nobody keeps the deadline of a task in the queue";
    // Its place in the queue is free.
    EXPECT_TRUE(lane.try_submit([] {}).has_value());
    busy.release();
    ASSERT_TRUE(settles(next));
    EXPECT_FALSE(ran);
    EXPECT_EQ(code_of(late.result()), ErrorCode::kTimeout);
  }
}

TEST_F(Lessons, TaskStartsAfterDeadline) {
  // Whoever keeps the deadlines is held up, by the destructor of a task that is late.
  const auto dying = std::make_shared<Event>();
  const auto may_die = std::make_shared<Event>();
  std::atomic<bool> ran = false;
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  auto late = pool.pinned(0).with({.timeout = 1ms}).submit([work = SlowToDie(dying, may_die)] {});
  EXPECT_TRUE(happens(*dying));
  const auto deadline = std::chrono::steady_clock::now() + 1ms;
  auto too_late = pool.pinned(0).with({.deadline = deadline}).submit([&] { ran = true; });
  EXPECT_TRUE(comes_true([&] { return std::chrono::steady_clock::now() > deadline; }));
  busy.release();
  EXPECT_TRUE(settles(too_late));
  may_die->set();
  EXPECT_FALSE(ran) << "a task started after its deadline";
  EXPECT_EQ(code_of(too_late.result()), ErrorCode::kTimeout);
  ASSERT_TRUE(settles(late));
}

TEST_F(Lessons, DoubleSettlement) {
  // A task is given up, and comes back with a value.
  SubinterpreterExecutor pool(runtime(), {.name = "twice", .pinned_workers = 1});
  const auto let_go = std::make_shared<Event>();
  const auto started = std::make_shared<Event>();
  Mortal late_value;
  const auto record = late_value.record();
  Future<Mortal> future = pool.pinned(0).submit([=, value = std::move(late_value)]() mutable {
    started->set();
    happens(*let_go);
    return std::move(value);
  });
  EXPECT_TRUE(happens(*started));
  const ExecutorReport report = pool.stop({.timeout = 1ms});
  EXPECT_EQ(report.abandoned.size(), 1U);
  EXPECT_TRUE(future.ready());
  EXPECT_FALSE(record->died.is_set());
  let_go->set();
  // Nobody will take it.
  ASSERT_TRUE(happens(record->died)) << "the late value was kept";
  EXPECT_EQ(code_of(future.result()), ErrorCode::kAbandoned);
  ASSERT_TRUE(comes_true([] { return runtime().interpreter_count() == 0; }));
  const TaskCounts counts = pool.counts();
  EXPECT_EQ(counts.abandoned, 1U);
  EXPECT_EQ(counts.completed, 0U);
  EXPECT_EQ(counts.settled(), counts.accepted);
  EXPECT_EQ(pool.in_flight(), 0U);
}

TEST_F(Lessons, AbandonedTaskCountedTwice) {
  // The value that nobody takes is destroyed on the worker, by code of the user's, which may take its
  // time: the accounts are right meanwhile.
  struct Slow {
    std::shared_ptr<Event> dying = std::make_shared<Event>();
    std::shared_ptr<Event> may_die = std::make_shared<Event>();
    bool armed = false;
    Slow() = default;
    Slow(Slow&& other) noexcept
        : dying(other.dying), may_die(other.may_die), armed(std::exchange(other.armed, false)) {}
    Slow(const Slow&) = delete;
    Slow& operator=(const Slow&) = delete;
    Slow& operator=(Slow&&) = delete;
    ~Slow() {
      if (!armed) return;
      dying->set();
      happens(*may_die);
    }
  };
  SubinterpreterExecutor pool(runtime(), {.name = "slow", .pinned_workers = 1});
  const auto let_go = std::make_shared<Event>();
  const auto started = std::make_shared<Event>();
  Slow value;
  const auto dying = value.dying;
  const auto may_die = value.may_die;
  Future<Slow> future = pool.pinned(0).submit([=, value = std::move(value)]() mutable {
    started->set();
    happens(*let_go);
    value.armed = true;
    return std::move(value);
  });
  EXPECT_TRUE(happens(*started));
  pool.stop({.timeout = 1ms});
  let_go->set();
  EXPECT_TRUE(happens(*dying));
  const TaskCounts counts = pool.counts();
  may_die->set();
  EXPECT_EQ(counts.abandoned, 1U);
  EXPECT_EQ(counts.settled(), counts.accepted);
}

TEST_F(Lessons, CallableDestroyedWhileRunning) {
  struct Life {
    std::atomic<int> deaths = 0;
    std::atomic<std::thread::id> ran_on;
    std::atomic<std::thread::id> died_on;
  };
  struct Callable {
    Callable(Life& to, std::shared_ptr<Event> in, std::shared_ptr<Event> out)
        : life(&to), started(std::move(in)), let_go(std::move(out)) {}
    Callable(Callable&& other) noexcept
        : life(std::exchange(other.life, nullptr)), started(other.started), let_go(other.let_go) {}
    Callable(const Callable&) = delete;
    Callable& operator=(const Callable&) = delete;
    Callable& operator=(Callable&&) = delete;
    ~Callable() {
      if (life == nullptr) return;
      life->died_on = std::this_thread::get_id();
      ++life->deaths;
    }
    void operator()() const {
      // What it needs of itself, now: it may be gone later, in the defect that this is about.
      Life* const to = life;
      const auto event = let_go;
      to->ran_on = std::this_thread::get_id();
      started->set();
      happens(*event);
    }
    Life* life;
    std::shared_ptr<Event> started;
    std::shared_ptr<Event> let_go;
  };
  // Never destroyed: in that defect the callable dies twice.
  auto& life = *new Life;
  static auto& lives = *new std::vector<Life*>;
  lives.push_back(&life);
  const auto started = std::make_shared<Event>();
  const auto let_go = std::make_shared<Event>();
  {
    SubinterpreterExecutor pool(runtime(), {.name = "alive", .pinned_workers = 1, .stop_timeout = 1ms});
    auto future = pool.pinned(0).submit(Callable(life, started, let_go));
    EXPECT_TRUE(happens(*started));
  }
  const int deaths = life.deaths;
  let_go->set();
  ASSERT_EQ(deaths, 0) << "the callable of a task that was given up died while it ran";
  ASSERT_TRUE(comes_true([&] { return life.deaths > 0; }));
  EXPECT_EQ(life.died_on.load(), life.ran_on.load());
}

TEST_F(Lessons, InterpreterEndedOnAnotherThread) {
  const auto native_id = [](Worker& worker) {
    worker.exec("import threading");
    return worker.eval<std::int64_t>("threading.get_native_id()");
  };
  for (const std::size_t threads : {1U, 3U}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    std::set<std::int64_t> others;
    std::int64_t creator = 0;
    {
      SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = threads, .interpreters = 1}});
      // Whoever runs the first task has created the interpreter.
      creator = pool.submit([&](Worker& worker) {
                      worker.exec(
                          "import atexit, os, threading\n"
                          "atexit.register(lambda: os.write(" +
                          std::to_string(ends[1]) + ", str(threading.get_native_id()).encode()))");
                      return native_id(worker);
                    })
                    .get();
      Meeting all_in(static_cast<int>(threads));
      std::vector<Future<std::int64_t>> seen;
      for (std::size_t i = 0; i < threads; ++i) {
        seen.push_back(pool.submit([&](Worker& worker) {
          const std::int64_t id = native_id(worker);
          PyThreadState* state = PyEval_SaveThread();
          all_in.arrive_and_wait();
          PyEval_RestoreThread(state);
          return id;
        }));
      }
      for (auto& future : seen) others.insert(future.get());
    }
    close(ends[1]);
    std::string ended_on(32, '\0');
    const ssize_t length = read(ends[0], ended_on.data(), ended_on.size());
    close(ends[0]);
    ended_on.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    EXPECT_EQ(others.size(), threads);
    EXPECT_TRUE(others.contains(creator));
    EXPECT_EQ(ended_on, std::to_string(creator));
  }
}

TEST_F(Lessons, InterpreterJoinedWhileItEnds) {
  // Its creator is joining Python's threads in it when another thread of the group comes along.
  const Signal ending;
  const Signal may_end;
  detail::ProcessState process;
  detail::InterpreterGroup group({}, process, {.shared = true});
  Failure late_failure;
  {
    const Aside creator([&] {
      python::ThreadState state;
      const Failure failure = group.enter(state);
      EXPECT_FALSE(failure) << failure->message();
      const std::string code = "import os, threading\nthreading._register_atexit(lambda: (" +
                               ending.python_sets() + ", " + may_end.python_waits() + "))";
      EXPECT_EQ(PyRun_SimpleString(code.c_str()), 0);
      state.detach();
      EXPECT_TRUE(group.leave(state, std::chrono::steady_clock::time_point::max()));
    });
    EXPECT_TRUE(comes_true([&] { return ending.is_set(); }));
    std::thread([&] {
      python::ThreadState state;
      late_failure = group.enter(state);
      if (late_failure) return;
      state.detach();
      group.leave(state, std::chrono::steady_clock::time_point::max());
    }).join();
    may_end.set();
  }
  ASSERT_TRUE(late_failure) << "a thread has joined an interpreter that was ending";
  EXPECT_EQ(late_failure->code(), ErrorCode::kWorker);
  EXPECT_EQ(process.live_interpreters, 0U);
}

TEST_F(Lessons, ExecutorStartsAfterItsEnd) {
  // The Runtime ended when it knew of the executor, whose threads had not been started yet.
  const auto core = std::make_shared<detail::ExecutorCore>(
      detail::RuntimeAccess::core(runtime()), detail::ExecutorCore::check_options({.pinned_workers = 1}));
  EXPECT_TRUE(core->stop({}).drained);
  bool refused = false;
  try {
    core->start();
    detail::keep_for_ever(core);  // with threads that nobody would join
  } catch (const RuntimeStateError&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
}

TEST_F(Lessons, MainTaskWaitsForRoomThatItKeepsOthersFromMaking) {
  // The main lane's queue is full, and only who runs there can take from it, whichever executor is asked.
  const ExecutorOptions options{.pooled = {.threads = 1, .interpreters = 1}, .queue_capacity = 1};
  SubinterpreterExecutor pool(runtime(), options);
  SubinterpreterExecutor other(runtime(), options);
  std::atomic<bool> refused = false;
  std::atomic<pid_t> home = 0;
  Future<void> outer = pool.main().submit([&] {
    home = gettid();
    (void)other.main().submit([] {});
    try {
      (void)other.main().submit([] {});
    } catch (const DeadlockError&) {
      refused = true;
    }
  });
  if (!settles(outer)) other.cancel_queued();
  outer.wait();
  EXPECT_TRUE(refused);
  // With nothing in its hands, if the Runtime ends next.
  EXPECT_TRUE(comes_true([&] { return sleeps(home); }));
}

TEST_F(Lessons, DroppedContinuation) {
  /// Takes work and never runs it.
  class Bin final : public Executor {
   public:
    void execute(Work work) override { const Work dropped = std::move(work); }
  };
  Bin bin;
  Mortal next_work;
  const auto record = next_work.record();
  std::atomic<bool> ran = false;
  Future<ErrorCode> of_cancelled;
  {
    SubinterpreterExecutor pool(runtime(), {.name = "drop", .pinned_workers = 1, .stop_timeout = patience()});
    auto dropped = pool.pinned(0)
                       .submit([] { return 1; })
                       .then(bin, [&ran, work = std::move(next_work)](const Result<int>&) { ran = true; });
    ASSERT_TRUE(settles(dropped)) << "work that an executor dropped never settles";
    EXPECT_EQ(code_of(dropped.result()), ErrorCode::kShutdown);
    EXPECT_TRUE(record->died.is_set());

    // The continuation of a task that never runs is told so.
    BusyTask busy(pool.pinned(0));
    of_cancelled = pool.pinned(0).submit([] { return 1; }).then([](const Result<int>& result) {
      return result.error().code();
    });
    EXPECT_EQ(pool.cancel_queued(), 1U);
  }
  ASSERT_TRUE(settles(of_cancelled));
  EXPECT_EQ(of_cancelled.get(), ErrorCode::kCancelled);
  EXPECT_FALSE(ran);
}

TEST_F(Lessons, SubmitterSleepsThroughClose) {
  for (const std::size_t lane : {0U, 1U, 2U}) {
    SubinterpreterExecutor pool(
        runtime(), {.pinned_workers = 1, .pooled = {.threads = 1, .interpreters = 1}, .queue_capacity = 1});
    const Submitter in = std::array{pool.pinned(0), Submitter(pool), pool.main()}.at(lane);
    BusyTask busy(in);
    auto queued = in.submit([] {});
    std::atomic<pid_t> thread = 0;
    std::atomic<bool> refused = false;
    bool ends = false;
    {
      const Aside submitter([&] {
        thread = gettid();
        try {
          in.submit([] {}).wait();
        } catch (const ShutdownError&) {
          refused = true;
        }
      });
      EXPECT_TRUE(comes_true([&] { return thread != 0 && sleeps(thread); }));
      pool.close();
      ends = submitter.ends();
      busy.release();
      queued.wait();
    }
    ASSERT_TRUE(ends) << "a submitter that waited for room was not told of the end";
    EXPECT_TRUE(refused);
  }
}

TEST_F(Lessons, AnotherThreadStateRestored) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  pool.pinned(0).submit([] {}).get();  // creating the interpreter takes main's GIL, which will be busy
  BusyTask busy(pool.main());
  std::atomic<pid_t> thread = 0;
  auto same = pool.pinned(0).submit([&] {
    PyThreadState* const before = python::current_thread_state();
    thread = gettid();
    busy.future().wait();
    PyThreadState* const after = python::current_thread_state();
    if (after != before) PyThreadState_Swap(before);
    return after == before;
  });
  EXPECT_TRUE(comes_true([&] { return thread != 0 && sleeps(thread); }));
  busy.release();
  EXPECT_TRUE(same.get()) << "after it has waited, a task is in another interpreter";
}

TEST_F(Lessons, ExceptionOutlivesItsTask) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 1});
  const Submitter worker = pool.pinned(0);
  worker
      .submit([](Worker& python) {
        python.exec(
            "died = False\n"
            "class Dies(Exception):\n"
            "    def __del__(self):\n"
            "        global died\n"
            "        died = True\n"
            "def fail():\n"
            "    raise Dies\n");
      })
      .get();
  const auto failed = worker.submit([](Worker& python) { python.exec("fail()"); });
  failed.wait();
  const auto [clean, died] = worker
                                 .submit([](Worker& python) {
                                   const bool no_exception = PyErr_Occurred() == nullptr;
                                   PyErr_Clear();
                                   return std::pair(no_exception, python.eval<bool>("died"));
                                 })
                                 .get();
  EXPECT_TRUE(clean) << "a task begins with the exception of the one before it";
  EXPECT_TRUE(died) << "an error that the host holds keeps Python's exception alive";
}

TEST_F(Lessons, HandleUsedInAnotherInterpreter) {
  SubinterpreterExecutor pool(runtime(), {.pinned_workers = 2});
  Worker* handle = nullptr;
  Event given;
  Event release;
  const auto owner = pool.pinned(0).submit([&](Worker& worker) {
    handle = &worker;
    given.set();
    release.wait();
  });
  given.wait();
  const auto used = pool.pinned(1).submit([&] { return handle->eval<int>("6 * 7"); }).result();
  release.set();
  owner.wait();
  EXPECT_EQ(code_of(used), ErrorCode::kUsage) << "one interpreter's handle does its work in another";
}

TEST_F(Lessons, WrongOptionFoundOnlyInUse) {
  EXPECT_THROW(SubinterpreterExecutor(runtime(), {.pinned_workers = 1, .queue_capacity = 0}), UsageError);
  EXPECT_THROW(SubinterpreterExecutor(runtime(), {.pinned_workers = 1, .preload = {"json:dumps"}}),
               UsageError);
}

TEST_F(Lessons, WaitingTaskHoldsGil) {
  SubinterpreterExecutor pool(runtime(), {.pooled = {.threads = 2, .interpreters = 1}});
  // The other thread of the interpreter can only work when the one that waits has let go.
  std::atomic<bool> inner_settles = false;
  Future<int> outer = pool.submit([&](Worker&) {
    Future<int> inner = pool.submit([](Worker& worker) { return worker.eval<int>("6 * 7"); });
    inner_settles = settles(inner);
    return inner_settles ? inner.get() : 0;
  });
  outer.wait();
  EXPECT_TRUE(inner_settles) << "a task that waits for another keeps its GIL";
  EXPECT_EQ(outer.get(), 42);
}

}  // namespace
}  // namespace interpool::test
