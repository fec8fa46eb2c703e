#include "interpool/stats.h"

#include "interpool/observer.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <utility>

namespace interpool {

const char* to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::kCompleted: return "completed";
    case Outcome::kFailed: return "failed";
    case Outcome::kCancelled: return "cancelled";
    case Outcome::kTimedOut: return "timed_out";
    case Outcome::kAbandoned: return "abandoned";
  }
  return "unknown";
}

Observer::~Observer() = default;
void Observer::task_accepted(const TaskEvent& /*task*/) noexcept {}
void Observer::task_started(const TaskEvent& /*task*/) noexcept {}
void Observer::task_settled(const TaskEvent& /*task*/) noexcept {}
void Observer::interpreter_started(const InterpreterEvent& /*interpreter*/) noexcept {}
void Observer::interpreter_ended(const InterpreterEvent& /*interpreter*/) noexcept {}

namespace {

/// As the value of a label: backslashes, quotes and ends of lines would end it.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '\\': result += "\\\\"; break;
      case '"': result += "\\\""; break;
      case '\n': result += "\\n"; break;
      default: result += c;
    }
  }
  return result;
}

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

class Text {
 public:
  explicit Text(std::span<const ExecutorStats> executors) : executors_(executors) {
    for (const ExecutorStats& stats : executors) names_.push_back(escaped(stats.executor));
  }

  /// The lines of a metric are those that `add` writes by line() for each executor.
  template <class Add>
  void metric(const char* name, const char* type, const char* help, Add add) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    for (std::size_t i = 0; i < executors_.size(); ++i) {
      executor_ = names_[i];
      add(executors_[i]);
    }
  }
  template <class Value>
  void line(std::string_view labels, const Value& value) {
    fmt::format_to(std::back_inserter(text_), "{}{{executor=\"{}\",{}}} {}\n", name_, executor_, labels,
                   value);
  }

  /// A metric of each lane.
  template <class Get>
  void of_lanes(const char* name, const char* type, const char* help, Get get) {
    metric(name, type, help, [&](const ExecutorStats& stats) {
      for (const LaneStats& lane : stats.lanes)
        line(fmt::format("lane=\"{}\"", to_string(lane.lane)), get(lane));
    });
  }
  /// A metric of each worker.
  template <class Get>
  void of_workers(const char* name, const char* type, const char* help, Get get) {
    metric(name, type, help, [&](const ExecutorStats& stats) {
      for (const WorkerStats& worker : stats.workers) line(labels(worker), get(worker));
    });
  }
  /// A metric of each place for an interpreter; `get` returns an optional number.
  template <class Get>
  void of_interpreters(const char* name, const char* type, const char* help, Get get) {
    metric(name, type, help, [&](const ExecutorStats& stats) {
      for (const InterpreterStats& interpreter : stats.interpreters) {
        if (const auto value = get(interpreter)) {
          line(fmt::format("lane=\"{0}\",interpreter=\"{0}-{1}\"", to_string(interpreter.lane),
                           interpreter.index),
               *value);
        }
      }
    });
  }
  static std::string labels(const WorkerStats& worker) {
    return fmt::format("lane=\"{}\",worker=\"{}\"", to_string(worker.lane), escaped(worker.id));
  }

  std::string take() { return std::move(text_); }

 private:
  const std::span<const ExecutorStats> executors_;
  std::vector<std::string> names_;
  std::string text_;
  std::string_view name_;
  std::string_view executor_;
};

}  // namespace

std::string to_prometheus(std::span<const ExecutorStats> executors) {
  using std::optional;
  Text text(executors);
  text.of_lanes("interpool_tasks_accepted_total", "counter", "Tasks that were accepted.",
                [](const LaneStats& lane) { return lane.tasks.accepted; });
  text.metric(
      "interpool_tasks_settled_total", "counter", "Tasks that have settled, by outcome.",
      [&](const ExecutorStats& stats) {
        for (const LaneStats& lane : stats.lanes) {
          for (const auto& [outcome, count] : {std::pair(Outcome::kCompleted, lane.tasks.completed),
                                               std::pair(Outcome::kFailed, lane.tasks.failed),
                                               std::pair(Outcome::kCancelled, lane.tasks.cancelled),
                                               std::pair(Outcome::kTimedOut, lane.tasks.timed_out),
                                               std::pair(Outcome::kAbandoned, lane.tasks.abandoned)}) {
            text.line(fmt::format("lane=\"{}\",outcome=\"{}\"", to_string(lane.lane), to_string(outcome)),
                      count);
          }
        }
      });
  text.of_lanes("interpool_tasks_queued", "gauge", "Tasks that have not started.",
                [](const LaneStats& lane) { return lane.queued; });
  text.of_lanes("interpool_tasks_running", "gauge", "Tasks that run.",
                [](const LaneStats& lane) { return lane.running; });
  text.of_lanes("interpool_tasks_waiting_seconds_total", "counter",
                "Time that tasks have spent in queues, sampled.",
                [](const LaneStats& lane) { return seconds(lane.times.waiting); });
  text.of_lanes("interpool_tasks_running_seconds_total", "counter", "Time that workers have spent on tasks.",
                [](const LaneStats& lane) { return seconds(lane.times.running); });
  text.of_lanes("interpool_gil_wait_seconds_total", "counter",
                "Time that workers have waited for a GIL, sampled.",
                [](const LaneStats& lane) { return seconds(lane.times.gil_wait); });

  text.metric(
      "interpool_worker_tasks_settled_total", "counter", "Tasks that have settled while a worker had them.",
      [&](const ExecutorStats& stats) {
        for (const WorkerStats& worker : stats.workers) {
          for (const auto& [outcome, count] :
               {std::pair(Outcome::kCompleted, worker.completed), std::pair(Outcome::kFailed, worker.failed),
                std::pair(Outcome::kAbandoned, worker.abandoned)}) {
            text.line(fmt::format("{},outcome=\"{}\"", Text::labels(worker), to_string(outcome)), count);
          }
        }
      });
  text.of_workers("interpool_worker_running", "gauge", "1 while a task runs there.",
                  [](const WorkerStats& worker) { return worker.running ? 1 : 0; });
  text.of_workers("interpool_worker_waiting_seconds_total", "counter",
                  "Time that the tasks of a worker have spent in queues, sampled.",
                  [](const WorkerStats& worker) { return seconds(worker.times.waiting); });
  text.of_workers("interpool_worker_running_seconds_total", "counter",
                  "Time that a worker has spent on tasks.",
                  [](const WorkerStats& worker) { return seconds(worker.times.running); });
  text.of_workers("interpool_worker_gil_wait_seconds_total", "counter",
                  "Time that a worker has waited for its GIL, sampled.",
                  [](const WorkerStats& worker) { return seconds(worker.times.gil_wait); });

  text.of_interpreters("interpool_interpreters", "gauge", "1 where there is an interpreter.",
                       [](const InterpreterStats& at) { return optional(at.id ? 1 : 0); });
  text.of_interpreters("interpool_interpreter_starts_total", "counter", "Interpreters that were created.",
                       [](const InterpreterStats& at) { return optional(at.generation); });
  text.of_interpreters("interpool_interpreter_start_seconds", "gauge",
                       "How long it took to create the last one.", [](const InterpreterStats& at) {
                         return at.generation == 0 ? std::nullopt : optional(seconds(at.start_time));
                       });
  text.of_interpreters("interpool_interpreter_queued", "gauge", "Tasks that wait for this interpreter.",
                       [](const InterpreterStats& at) { return optional(at.queued); });
  text.of_interpreters("interpool_interpreter_memory_bytes", "gauge",
                       "What an interpreter has from the system.",
                       [](const InterpreterStats& at) { return at.memory; });
  return text.take();
}

std::string to_prometheus(const ExecutorStats& executor) { return to_prometheus(std::span(&executor, 1)); }

}  // namespace interpool
