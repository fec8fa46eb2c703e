// pool.stats(): what is counted, what is measured, and the text for Prometheus.
#include "interpool/stats.h"

#include "runtime/statistics.h"
#include "support/busy.h"
#include "support/runtime.h"
#include "support/sync.h"

#include <interpool/interpool.h>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace interpool::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Stats : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(runtime().interpreter_count(), 0U); }
  void TearDown() override {
    wait_for_interpreters(0);
    EXPECT_EQ(take_log(), std::vector<std::string>{});
  }
};

const LaneStats& lane_of(const ExecutorStats& stats, Lane lane) {
  for (const LaneStats& known : stats.lanes) {
    if (known.lane == lane) return known;
  }
  throw std::runtime_error("no such lane");
}
const WorkerStats& worker_of(const ExecutorStats& stats, std::string_view id) {
  for (const WorkerStats& known : stats.workers) {
    if (known.id == id) return known;
  }
  throw std::runtime_error("no worker " + std::string(id));
}

std::string text_of(const TaskCounts& counts) {
  std::ostringstream text;
  text << "accepted " << counts.accepted << " completed " << counts.completed << " failed " << counts.failed
       << " cancelled " << counts.cancelled << " timed out " << counts.timed_out << " abandoned "
       << counts.abandoned;
  return text.str();
}

/// What must hold whatever has happened, once nothing happens any more.
void expect_consistent(const SubinterpreterExecutor& pool) {
  const ExecutorStats stats = pool.stats();
  EXPECT_EQ(text_of(stats.tasks), text_of(pool.counts()));
  TaskCounts sum;
  for (const LaneStats& lane : stats.lanes) {
    EXPECT_EQ(lane.tasks.accepted, lane.tasks.settled() + lane.queued + lane.running) << to_string(lane.lane);
    sum.accepted += lane.tasks.accepted;
    sum.completed += lane.tasks.completed;
    sum.failed += lane.tasks.failed;
    sum.cancelled += lane.tasks.cancelled;
    sum.timed_out += lane.tasks.timed_out;
    sum.abandoned += lane.tasks.abandoned;
    if (lane.lane != Lane::kPinned && lane.lane != Lane::kPooled) continue;
    TaskCounts workers;
    for (const WorkerStats& worker : stats.workers) {
      if (worker.lane != lane.lane) continue;
      workers.completed += worker.completed;
      workers.failed += worker.failed;
      workers.abandoned += worker.abandoned;
    }
    EXPECT_EQ(workers.completed, lane.tasks.completed) << to_string(lane.lane);
    EXPECT_EQ(workers.failed, lane.tasks.failed) << to_string(lane.lane);
    EXPECT_EQ(workers.abandoned, lane.tasks.abandoned) << to_string(lane.lane);
  }
  EXPECT_EQ(text_of(sum), text_of(stats.tasks));
}

TEST_F(Stats, EachLaneCountsWhatCameToIt) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "lanes", .pinned_workers = 1, .pooled = {.threads = 2, .interpreters = 1}});
  const std::array<std::pair<Lane, Submitter>, 3> lanes = {
      {{Lane::kPinned, pool.pinned(0)}, {Lane::kPooled, Submitter(pool)}, {Lane::kMain, pool.main()}}};
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const auto& [lane, submitter] = lanes.at(i);
    for (std::size_t n = 0; n <= i; ++n) get(submitter.call<int>("builtins:abs", -1));
    (void)result(submitter.call<int>("builtins:int", "x"));
    {
      BusyTask busy(submitter);
      auto cancelled = submitter.submit([] {});
      auto late = submitter.with({.timeout = 1ns}).submit([] {});
      EXPECT_TRUE(late.wait_for(kPatience));
      auto waiting = submitter.submit([] {});
      EXPECT_TRUE(cancelled.cancel());
      const LaneStats now = lane_of(pool.stats(), lane);
      EXPECT_EQ(now.running, 1U) << to_string(lane);
      EXPECT_EQ(now.queued, 1U) << to_string(lane);
      busy.release();
      get(waiting);
      get(busy.future());
    }
    EXPECT_EQ(text_of(lane_of(pool.stats(), lane).tasks),
              text_of({.accepted = i + 6, .completed = i + 3, .failed = 1, .cancelled = 1, .timed_out = 1}))
        << to_string(lane);
    expect_consistent(pool);
  }
}

TEST_F(Stats, UnaddressedTasksAreThePinnedWorkersWhereThereAreNoOthers) {
  SubinterpreterExecutor pool(runtime(), {.name = "shared", .pinned_workers = 2});
  for (int i = 0; i < 10; ++i) get(pool.submit([] {}));
  EXPECT_EQ(lane_of(pool.stats(), Lane::kPinned).tasks.completed, 10U);
  EXPECT_EQ(lane_of(pool.stats(), Lane::kPooled).tasks.accepted, 0U);
  expect_consistent(pool);
}

TEST_F(Stats, PartsOfAMapAndContinuationsCountAndTheirSumsDoNot) {
  SubinterpreterExecutor pool(runtime(), {.name = "parts", .pooled = {.threads = 2}});
  get(pool.map<int>("builtins:len", std::vector<std::string>{"a", "bb", "ccc"}));  // three tasks
  expect_consistent(pool);
  EXPECT_EQ(pool.stats().tasks.completed, 3U);
  get(when_all(pool.submit([] {}), pool.submit([] {})));  // two
  EXPECT_EQ(pool.stats().tasks.completed, 5U);
  get(pool.submit([] {}).then(pool, [](const Result<void>&) {}));  // one, and one that the pool runs
  wait_until([&] { return pool.in_flight() == 0; });               // which settles after what it runs
  EXPECT_EQ(pool.stats().tasks.completed, 7U);
  get(pool.broadcast("builtins:abs", -1));
  expect_consistent(pool);
}

TEST_F(Stats, AttachedThreadsLeaveTheirNumbersBehind) {
  SubinterpreterExecutor pool(runtime(), {.name = "attached", .pinned_workers = 1});
  std::chrono::nanoseconds ran{0};
  for (std::size_t round = 0; round < 3; ++round) {
    std::thread([&] {
      AttachedThread python = pool.attach();  // a call, too
      for (int i = 0; i < 5; ++i) EXPECT_EQ(python.call<int>("builtins:abs", -1), 1);
      EXPECT_THROW((void)python.call<int>("builtins:int", "x"), PythonError);
      python.run([&](Worker&) {
        const ExecutorStats inside = pool.stats();
        EXPECT_EQ(lane_of(inside, Lane::kAttached).running, 1U);
        const WorkerStats& worker = worker_of(inside, "attached-" + std::to_string(round));
        EXPECT_TRUE(worker.running);
        EXPECT_EQ(worker.completed, 6U);
        EXPECT_EQ(worker.failed, 1U);
        const InterpreterStats& interpreter = inside.interpreters.at(worker.interpreter);
        EXPECT_EQ(interpreter.lane, Lane::kAttached);
        EXPECT_EQ(interpreter.generation, 1U);
        EXPECT_TRUE(interpreter.id);
      });
      ran = lane_of(pool.stats(), Lane::kAttached).times.running;
    }).join();
    const ExecutorStats after = pool.stats();
    EXPECT_EQ(after.workers.size(), 1U);
    const LaneStats& lane = lane_of(after, Lane::kAttached);
    EXPECT_EQ(text_of(lane.tasks),
              text_of({.accepted = 8 * (round + 1), .completed = 7 * (round + 1), .failed = round + 1}));
    EXPECT_GT(ran, 0ns);
    EXPECT_EQ(lane.times.running, ran);
    expect_consistent(pool);
  }
}

TEST_F(Stats, AbandonedTasksAreCountedWhereTheyRan) {
  for (const bool main : {false, true}) {
    std::optional<BusyTask> busy;
    SubinterpreterExecutor pool(runtime(), {.name = "abandoned", .pinned_workers = 2});
    busy.emplace(main ? pool.main() : pool.pinned(1));
    const Lane lane = main ? Lane::kMain : Lane::kPinned;
    (void)pool.stop({.timeout = 1ms});
    const ExecutorStats stats = pool.stats();
    EXPECT_EQ(lane_of(stats, lane).tasks.abandoned, 1U);
    EXPECT_EQ(lane_of(stats, lane).running, 0U);  // for the executor it is over
    EXPECT_EQ(worker_of(stats, "pinned-1").abandoned, main ? 0U : 1U);
    expect_consistent(pool);
    busy->release();
    wait_for_interpreters(0);
    if (main) {
      SubinterpreterExecutor next(runtime(), {.name = "next", .pinned_workers = 1});
      get(next.main().submit([] {}));  // the lane is free again
    }
    EXPECT_EQ(lane_of(pool.stats(), lane).tasks.completed, 0U);
    (void)take_log();
  }
}

void pass(std::chrono::nanoseconds time) {
  const auto begin = Clock::now();
  while (Clock::now() - begin < time) std::this_thread::yield();
}

/// Tasks come so slowly that from now on each is timed, whatever came before: the main lane's queue is one
/// for all tests.
void come_slowly(const Submitter& to) {
  for (int i = 0; i < 33; ++i) {
    pass(50us);
    get(to.submit([] {}));
  }
}

TEST_F(Stats, TimesAreThoseThatPass) {
  for (const Lane lane : {Lane::kPinned, Lane::kPooled, Lane::kMain}) {
    SubinterpreterExecutor pool(runtime(), {.name = "times", .pinned_workers = 1, .pooled = {.threads = 1}});
    const Submitter to = lane == Lane::kPinned   ? pool.pinned(0)
                         : lane == Lane::kPooled ? Submitter(pool)
                                                 : pool.main();
    const auto times_now = [&] { return lane_of(pool.stats(), lane).times; };
    const auto begin = Clock::now();
    come_slowly(to);
    const TaskTimes before = times_now();
    EXPECT_LE(before.running, Clock::now() - begin) << to_string(lane);
    const auto asked = Clock::now();
    BusyTask busy(to);
    const auto started = Clock::now();
    auto waiting = to.submit([] {});
    const auto submitted = Clock::now();
    // Up to now, though it still runs.
    wait_until([&] { return times_now().running > before.running + 5ms; });
    EXPECT_LE(times_now().running, Clock::now() - begin) << to_string(lane);
    const auto released = Clock::now();
    busy.release();
    get(busy.future());
    get(waiting);
    const TaskTimes after = times_now();
    const auto end = Clock::now();
    EXPECT_GE(after.running - before.running, released - started) << to_string(lane);
    EXPECT_LE(after.running, end - begin) << to_string(lane);
    // The second task has waited for the first one.
    EXPECT_GE(after.waiting - before.waiting, released - submitted) << to_string(lane);
    EXPECT_LE(after.waiting - before.waiting, end - asked) << to_string(lane);
    wait_until([&] {  // until the worker has seen that there is no more
      const auto last = times_now().running;
      pass(10us);
      return times_now().running == last;
    });
    if (lane == Lane::kMain) continue;
    const ExecutorStats stats = pool.stats();
    const WorkerStats& worker = worker_of(stats, std::string(to_string(lane)) + "-0");
    EXPECT_EQ(worker.times.running, lane_of(stats, lane).times.running);
    EXPECT_EQ(worker.times.waiting, lane_of(stats, lane).times.waiting);
  }
}

TEST_F(Stats, ACancelledTaskHasWaited) {
  SubinterpreterExecutor pool(runtime(), {.name = "cancelled", .pinned_workers = 1});
  BusyTask busy(pool.pinned(0));
  const auto begun = lane_of(pool.stats(), Lane::kPinned).times.waiting;
  auto waiting = pool.pinned(0).submit([] {});
  const auto submitted = Clock::now();
  pass(1ms);
  const auto cancelled = Clock::now();
  ASSERT_TRUE(waiting.cancel());
  EXPECT_GE(lane_of(pool.stats(), Lane::kPinned).times.waiting - begun, cancelled - submitted);
  busy.release();
}

TEST_F(Stats, TheGilIsWaitedForWhereThreadsShareIt) {
  SubinterpreterExecutor pool(runtime(), {.name = "gil", .pooled = {.threads = 2, .interpreters = 1}});
  const auto waited = [&] { return lane_of(pool.stats(), Lane::kPooled).times.gil_wait; };
  // How soon the other thread comes for the GIL is the machine's business; but once it will be in time.
  wait_until([&] {
    const auto before = waited();
    BusyTask busy(pool);  // keeps the GIL
    auto other = pool.submit([] {});
    pass(3ms);
    busy.release();
    get(other);
    get(busy.future());
    return waited() - before > 1ms;
  });
}

TEST_F(Stats, InterpretersTellTheirStart) {
  SubinterpreterExecutor pool(
      runtime(), {.name = "starts", .pinned_workers = 1, .pooled = {.threads = 3, .interpreters = 2}});
  {
    const ExecutorStats stats = pool.stats();
    ASSERT_EQ(stats.interpreters.size(), 3U);
    for (const InterpreterStats& interpreter : stats.interpreters) {
      EXPECT_FALSE(interpreter.id);
      EXPECT_EQ(interpreter.generation, 0U);
      EXPECT_EQ(interpreter.start_time, 0ns);
      EXPECT_FALSE(interpreter.memory);
    }
    EXPECT_EQ(worker_of(stats, "pooled-2").interpreter, worker_of(stats, "pooled-0").interpreter);
  }
  const auto begin = Clock::now();
  const auto id = get(pool.pinned(0).submit([](Worker& worker) { return worker.interpreter_id(); }));
  const auto end = Clock::now();
  const ExecutorStats stats = pool.stats();
  const InterpreterStats& interpreter = stats.interpreters.at(worker_of(stats, "pinned-0").interpreter);
  EXPECT_EQ(interpreter.lane, Lane::kPinned);
  EXPECT_EQ(interpreter.index, 0U);
  EXPECT_EQ(interpreter.id, id);
  EXPECT_EQ(interpreter.generation, 1U);
  EXPECT_GT(interpreter.start_time, 0ns);
  EXPECT_LE(interpreter.start_time, end - begin);
  (void)pool.stop({.timeout = kPatience});
  EXPECT_FALSE(pool.stats().interpreters.at(0).id);
  EXPECT_EQ(pool.stats().interpreters.at(0).generation, 1U);
}

TEST_F(Stats, MemoryIsTheInterpretersOwn) {
  SubinterpreterExecutor pool(runtime(), {.name = "memory", .pinned_workers = 2});
  for (std::size_t i = 0; i < 2; ++i) get(pool.pinned(i).submit([] {}));
  if (!pool.stats().interpreters.at(0).memory) GTEST_SKIP() << "a Python with allocators of its own";
  const auto memory = [&](std::size_t i) { return pool.stats().interpreters.at(i).memory.value(); };
  const std::uint64_t first = memory(0);
  const std::uint64_t second = memory(1);
  EXPECT_GT(first, 256U << 10U);
  EXPECT_LT(first, 64U << 20U);
  // 200,000 objects of 48 bytes or more.
  get(pool.pinned(1).submit([](Worker& worker) { worker.exec("kept = [(i,) for i in range(200000)]"); }));
  EXPECT_EQ(memory(0), first);
  const std::uint64_t grown = memory(1);
  EXPECT_GT(grown, second + (8U << 20U));
  get(pool.pinned(1).submit([](Worker& worker) { worker.exec("del kept"); }));
  EXPECT_LT(memory(1), grown);
  (void)pool.stop({.timeout = kPatience});
  EXPECT_FALSE(pool.stats().interpreters.at(1).memory);
}

TEST_F(Stats, AReplacedInterpreterIsTheNextGeneration) {
  SubinterpreterExecutor pool(runtime(),
                              {.name = "generations", .pinned_workers = 1, .recycle = {.after_tasks = 2}});
  const auto task = [](Worker& worker) { return worker.interpreter_id(); };
  for (std::uint64_t generation = 1; generation <= 3; ++generation) {
    const auto id = get(pool.pinned(0).submit(task));
    EXPECT_EQ(pool.stats().interpreters.at(0).generation, generation);
    EXPECT_EQ(pool.stats().interpreters.at(0).id, id);
    get(pool.pinned(0).submit(task));
  }
  EXPECT_EQ(pool.stats().workers.at(0).completed, 6U);
  expect_consistent(pool);
}

TEST_F(Stats, TakenWhileTasksRunItNeverCountsBackwards) {
  SubinterpreterExecutor pool(runtime(),
                              {.name = "meanwhile", .pinned_workers = 1, .pooled = {.threads = 2}});
  std::atomic<bool> done = false;
  std::thread looker([&] {
    ExecutorStats before = pool.stats();
    while (!done) {
      const ExecutorStats now = pool.stats();
      EXPECT_GE(now.tasks.accepted, now.tasks.settled());
      EXPECT_GE(now.tasks.settled(), before.tasks.settled());
      for (std::size_t i = 0; i < now.lanes.size(); ++i) {
        EXPECT_GE(now.lanes.at(i).times.waiting, before.lanes.at(i).times.waiting);
        EXPECT_GE(now.lanes.at(i).times.gil_wait, before.lanes.at(i).times.gil_wait);
      }
      before = now;
    }
  });
  std::vector<Future<int>> futures;
  for (int i = 0; i < 3000; ++i) {
    const Submitter to = i % 3 == 0 ? pool.pinned(0) : i % 3 == 1 ? Submitter(pool) : pool.main();
    futures.push_back(to.call<int>("builtins:abs", i));
  }
  for (auto& future : futures) get(future);
  done = true;
  looker.join();
  expect_consistent(pool);
  EXPECT_EQ(pool.stats().tasks.completed, 3000U);
}

// ---- How times are measured.
// ----------------------------------------------------------------------------------------

TEST(Stopwatch, IsReadWhileItRuns) {
  detail::Stopwatch watch;
  const auto begin = Clock::now();
  EXPECT_FALSE(watch.runs());
  EXPECT_EQ(watch.get(begin), 0ns);
  watch.start(begin);
  EXPECT_TRUE(watch.runs());
  EXPECT_EQ(watch.get(begin + 5us), 5us);
  EXPECT_EQ(watch.get(begin - 5us), 5us);  // by who has read the clock before: no going back
  watch.stop(begin + 7us);
  EXPECT_FALSE(watch.runs());
  EXPECT_EQ(watch.get(begin + 1h), 7us);
  watch.start(begin + 10us);
  EXPECT_EQ(watch.get(begin + 11us), 8us);
  watch.stop(begin + 12us);
  EXPECT_EQ(watch.get(begin + 12us), 9us);
}

TEST(Sampler, WhatIsMeasuredStandsForAll) {
  if (!detail::kMeasureTimes) GTEST_SKIP();
  detail::Sampler sampler;
  std::uint64_t stood_for = 0;
  std::uint64_t measured = 0;
  const auto events = [&](int count, bool quick) {
    measured = 0;
    for (int i = 0; i < count; ++i) {
      if (!sampler.due()) continue;
      ++measured;
      stood_for += sampler.weight();
      sampler.measured(quick);
    }
  };
  events(5, /*quick=*/false);
  EXPECT_EQ(measured, 5U);
  EXPECT_EQ(stood_for, 5U);
  events(8 * (1 + 2 + 4 + 8 + 16), /*quick=*/true);  // it takes that many to trust in it
  EXPECT_EQ(measured, 40U);
  events(32 * 100, /*quick=*/true);
  EXPECT_EQ(measured, 100U);
  EXPECT_EQ(stood_for, 5U + 248 + 3200);
  events(32, /*quick=*/false);  // one slow one, and each is measured again
  EXPECT_EQ(measured, 1U);
  events(10, /*quick=*/false);
  EXPECT_EQ(measured, 10U);
}

// ---- Prometheus.
// ----------------------------------------------------------------------------------------------------

/// One line of numbers.
struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

/// Reads the text format 0.0.4 by its rules; throws what is against them.
class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    if (text.empty() || text.back() != '\n') fail("the last line does not end");
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("# HELP ")) {
        begin(line.substr(7), helps_);
      } else if (line.starts_with("# TYPE ")) {
        const std::string name = begin(line.substr(7), types_);
        const std::string& type = types_[name];
        if (type != "counter" && type != "gauge") fail("a type: " + line);
        if (!helps_.contains(name)) fail("no help before: " + line);
        if (!families_.insert(name).second) fail("a metric comes twice: " + line);
        family_ = name;
      } else {
        sample(line);
      }
    }
    for (const auto& [name, type] : types_) {
      if ((type == "counter") != name.ends_with("_total")) fail("_total is for counters: " + name);
    }
  }

  [[nodiscard]] const std::vector<Sample>& samples() const { return samples_; }
  [[nodiscard]] double value(const std::string& name,
                             const std::map<std::string, std::string>& labels) const {
    for (const Sample& sample : samples_) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
    fail("no sample of " + name);
  }
  [[nodiscard]] bool has(const std::string& name) const { return types_.contains(name); }

 private:
  [[noreturn]] static void fail(const std::string& why) { throw std::runtime_error(why); }
  static bool is_name(std::string_view name, bool colons) {
    if (name.empty() || (std::isdigit(static_cast<unsigned char>(name[0])) != 0)) return false;
    for (const char c : name) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && !(colons && c == ':')) return false;
    }
    return true;
  }
  std::string begin(const std::string& rest, std::map<std::string, std::string>& into) {
    const auto space = rest.find(' ');
    if (space == std::string::npos) fail("a comment without a text: " + rest);
    const std::string name = rest.substr(0, space);
    if (!is_name(name, true)) fail("a name: " + name);
    if (!into.emplace(name, rest.substr(space + 1)).second) fail("twice: " + rest);
    return name;
  }
  void sample(const std::string& line) {
    Sample sample;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos) fail("no value: " + line);
    sample.name = line.substr(0, at);
    if (sample.name != family_) fail("apart from its metric's lines: " + line);
    if (line[at] == '{') {
      for (++at; line.at(at) != '}';) {
        const auto equals = line.find('=', at);
        if (equals == std::string::npos) fail("no value of a label: " + line);
        const std::string label = line.substr(at, equals - at);
        if (!is_name(label, false) || label.starts_with("__")) fail("a label: " + line);
        if (line.at(equals + 1) != '"') fail("no quote: " + line);
        std::string value;
        for (at = equals + 2; line.at(at) != '"'; ++at) {
          if (line[at] != '\\') {
            value += line[at];
            continue;
          }
          switch (line.at(++at)) {
            case '\\': value += '\\'; break;
            case '"': value += '"'; break;
            case 'n': value += '\n'; break;
            default: fail("an escape: " + line);
          }
        }
        if (!sample.labels.emplace(label, value).second) fail("a label comes twice: " + line);
        ++at;
        if (line.at(at) == ',') {
          ++at;
        } else if (line.at(at) != '}') {
          fail("between labels: " + line);
        }
      }
      ++at;
    }
    if (line.at(at) != ' ') fail("no space: " + line);
    std::size_t read = 0;
    sample.value = std::stod(line.substr(at + 1), &read);
    if (at + 1 + read != line.size()) fail("a value: " + line);
    if (!series_.insert({sample.name, sample.labels}).second) fail("a series comes twice: " + line);
    samples_.push_back(std::move(sample));
  }

  std::map<std::string, std::string> helps_;
  std::map<std::string, std::string> types_;
  std::set<std::string> families_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> series_;
  std::string family_;
  std::vector<Sample> samples_;
};

TEST(Prometheus, TheReaderKnowsTheRules) {
  const std::string good = "# HELP a_total x\n# TYPE a_total counter\na_total{l=\"v\\n\\\"\\\\\"} 1e-09\n";
  EXPECT_EQ(Exposition(good).value("a_total", {{"l", "v\n\"\\"}}), 1e-9);
  for (const char* bad :
       {"", "# HELP a x\n# TYPE a gauge\na 1", "a 1\n", "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"x\"} 1\na{l=\"x\"} 2\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"x\"y\"} 1\n", "# HELP a x\n# TYPE a gauge\na one\n",
        "# HELP a x\n# TYPE a gauge\n# HELP b x\n# TYPE b gauge\na 1\n"}) {
    EXPECT_ANY_THROW(Exposition{bad}) << bad;
  }
}

TEST_F(Stats, PrometheusReadsThem) {
  const std::string name = "a \"quoted\" \\ name\nof two lines";
  SubinterpreterExecutor pool(
      runtime(), {.name = name, .pinned_workers = 1, .pooled = {.threads = 2, .interpreters = 1}});
  SubinterpreterExecutor other(runtime(), {.name = "other", .pinned_workers = 1});
  for (int i = 0; i < 5; ++i) get(pool.pinned(0).submit([] {}));
  (void)result(pool.call<int>("builtins:int", "x"));
  get(other.submit([] {}));
  const std::array both = {pool.stats(), other.stats()};
  const Exposition text(to_prometheus(both));
  using Labels = std::map<std::string, std::string>;
  EXPECT_EQ(text.value("interpool_tasks_accepted_total", {{"executor", name}, {"lane", "pinned"}}), 5);
  EXPECT_EQ(text.value("interpool_tasks_settled_total",
                       {{"executor", name}, {"lane", "pooled"}, {"outcome", "failed"}}),
            1);
  EXPECT_EQ(
      text.value("interpool_worker_tasks_settled_total",
                 {{"executor", name}, {"lane", "pinned"}, {"worker", "pinned-0"}, {"outcome", "completed"}}),
      5);
  EXPECT_EQ(text.value("interpool_interpreter_starts_total",
                       {{"executor", "other"}, {"lane", "pinned"}, {"interpreter", "pinned-0"}}),
            1);
  const double start = text.value("interpool_interpreter_start_seconds",
                                  {{"executor", "other"}, {"lane", "pinned"}, {"interpreter", "pinned-0"}});
  EXPECT_NEAR(start, std::chrono::duration<double>(both[1].interpreters.at(0).start_time).count(), 1e-9);
  for (const Sample& sample : text.samples()) {
    EXPECT_TRUE(sample.labels.contains("executor")) << sample.name;
    EXPECT_TRUE(sample.labels.contains("lane")) << sample.name;
    for (const auto& [label, value] : sample.labels) {
      EXPECT_TRUE(
          (std::set<std::string>{"executor", "lane", "worker", "interpreter", "outcome"}.contains(label)))
          << label;
    }
  }
  // One alone is the same without the other.
  EXPECT_EQ(Exposition(to_prometheus(both[1]))
                .value("interpool_tasks_accepted_total", Labels{{"executor", "other"}, {"lane", "pinned"}}),
            1);
  EXPECT_TRUE(Exposition(to_prometheus(ExecutorStats{})).samples().empty());
}

}  // namespace
}  // namespace interpool::test
