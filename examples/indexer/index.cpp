// `indexer index`: sets everything up, watches over it, and reports.

#include "database.h"
#include "options.h"
#include "output.h"
#include "pipeline.h"
#include "progress.h"
#include "python_tasks.h"
#include "stop.h"
#include "store.h"
#include "user_error.h"

#include <interpool/interpool.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace indexer {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What has been cancelled and still runs is given up after this.
constexpr auto kGiveUpAfter = std::chrono::seconds(5);
constexpr auto kPythonStopTimeout = std::chrono::seconds(5);

/// The tree's one true name: however it is spelled, its files are the same files.
fs::path checked_directory(const fs::path& directory) {
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  if (error) throw UserError(fmt::format("{}: {}", directory.string(), error.message()));
  if (!fs::is_directory(root, error))
    throw UserError(fmt::format("{} is not a directory", directory.string()));
  const fs::directory_iterator readable(root, error);
  if (error) throw UserError(fmt::format("{}: {}", directory.string(), error.message()));
  return root;
}

/// How the work ended: what became of the tasks, and how far down the shutdown had to go.
struct Shutdown {
  interpool::ExecutorReport executor;
  const char* phase = "finished";
  milliseconds took{0};
};

milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
}

/// Waits for the pipeline's end and does what the signals ask for meanwhile; then ends the executor.
class Supervisor {
 public:
  Supervisor(Pipeline& pipeline, interpool::SubinterpreterExecutor& executor, StopControl& stop,
             Progress& progress, milliseconds drain)
      : pipeline_(pipeline), executor_(executor), stop_(stop), progress_(progress), drain_(drain) {}

  Shutdown run() {
    wait_until(Urgency::kDrain, Clock::time_point::max());
    started_ = Clock::now();
    if (!over()) drain();
    if (!over()) return cancel();
    // Nothing is in flight any more, or a stage has failed and nothing matters any more.
    return end(pipeline_.failing() ? kGiveUpAfter : kPythonStopTimeout);
  }

 private:
  [[nodiscard]] bool over() const { return pipeline_.finished() || pipeline_.failing(); }

  /// Waits until all is over, or the signals are that urgent, or it is that late.
  void wait_until(Urgency urgency, Clock::time_point deadline) {
    const auto wake = [&] { return over() || stop_.urgency() >= urgency; };
    while (!wake() && Clock::now() < deadline) {
      milliseconds time = progress_.period();
      if (deadline != Clock::time_point::max()) {
        time = std::min(time, std::chrono::ceil<milliseconds>(deadline - Clock::now()));
      }
      if (!stop_.wait_for(time, wake)) progress_.update();
    }
  }

  void drain() {
    pipeline_.stop_walking();
    const auto files = pipeline_.in_flight();
    progress_.message(fmt::format("stopping: finishing {} file{} (once more to cancel {})", files,
                                  files == 1 ? "" : "s", files == 1 ? "it" : "them"));
    wait_until(Urgency::kCancel, started_ + drain_);
  }

  Shutdown cancel() {
    progress_.message(stop_.urgency() >= Urgency::kCancel
                          ? "cancelling: finishing only what is running (once more to leave now)"
                          : "cancelling: the time to finish is up");
    pipeline_.cancel();
    return end(kGiveUpAfter);
  }

  /// Settles everything: what is queued is cancelled, what runs has this long. So every stage gets an answer,
  /// and ends.
  Shutdown end(milliseconds timeout) {
    Shutdown shutdown;
    shutdown.executor = executor_.stop({.drain = milliseconds(0), .timeout = timeout});
    const interpool::TaskCounts& tasks = shutdown.executor.tasks;
    if (tasks.abandoned > 0) {
      shutdown.phase = "abandoning";
    } else if (tasks.cancelled > 0) {
      shutdown.phase = "cancelling";
    }
    shutdown.took = since(started_);
    return shutdown;
  }

  Pipeline& pipeline_;
  interpool::SubinterpreterExecutor& executor_;
  StopControl& stop_;
  Progress& progress_;
  const milliseconds drain_;
  Clock::time_point started_;  // of the end
};

/// What is wrong with a run that is over, a line each.
std::vector<std::string> problems_of(const PipelineReport& report, const Shutdown& shutdown) {
  std::vector<std::string> problems;
  if (report.error) {
    try {
      std::rethrow_exception(report.error);
    } catch (const std::exception& error) {
      problems.emplace_back(error.what());
    }
  }
  for (const std::string& mismatch : report.mismatches) problems.push_back("something was lost: " + mismatch);
  const interpool::TaskCounts& tasks = shutdown.executor.tasks;
  if (tasks.accepted != tasks.settled()) {
    problems.push_back(
        fmt::format("something was lost: {} tasks accepted, {} settled", tasks.accepted, tasks.settled()));
  }
  return problems;
}

/// The exit code of a run that has problems.
int exit_code_of(const PipelineReport& report) {
  if (!report.error) return kExitFailed;
  try {
    std::rethrow_exception(report.error);
  } catch (const UserError&) {
    return kExitBadInput;  // the database has turned out to be damaged, say
  } catch (const std::exception&) {
    return kExitFailed;
  }
}

std::string to_json(const PipelineReport& report, const Shutdown& shutdown, double seconds, int exit_code) {
  using Dict = interpool::Value::Dict;
  const interpool::TaskCounts& tasks = shutdown.executor.tasks;
  const interpool::Value document = Dict{{"files", report.files},
                                         {"unchanged", report.unchanged},
                                         {"removed", report.removed},
                                         {"unparsed", report.unparsed},
                                         {"failed", report.failed},
                                         {"chunks", report.chunks},
                                         {"vectors", report.vectors},
                                         {"failed_embeddings", report.failed_embeddings},
                                         {"seconds", seconds},
                                         {"exit_code", exit_code},
                                         {"shutdown", Dict{{"accepted", tasks.accepted},
                                                           {"completed", tasks.completed},
                                                           {"failed", tasks.failed},
                                                           {"cancelled", tasks.cancelled},
                                                           {"timed_out", tasks.timed_out},
                                                           {"abandoned", tasks.abandoned},
                                                           {"panics", 0},
                                                           {"phase", shutdown.phase},
                                                           {"milliseconds", shutdown.took.count()}}}};
  return interpool::to_json(document) + "\n";
}

std::string summary(const PipelineReport& report, double seconds) {
  std::string text = fmt::format("{} files indexed, {} unchanged, {} removed, {} failed\n", report.files,
                                 report.unchanged, report.removed, report.failed);
  if (report.unparsed > 0)
    text += fmt::format("{} files did not parse and were cut by lines\n", report.unparsed);
  text += fmt::format("{} chunks, {} vectors, {} failed embeddings, {:.1f} s\n", report.chunks,
                      report.vectors, report.failed_embeddings, seconds);
  return text;
}

/// With a thread given up in the middle of Python, neither exit() nor a destructor is safe.
[[noreturn]] void leave(int exit_code) {
  std::fflush(stdout);
  std::fflush(stderr);
  ::_exit(exit_code);
}

}  // namespace

int run_index(const IndexOptions& options) {
  // First of all, so that every thread that anyone starts has the signals blocked.
  StopControl stop;
  const fs::path root = checked_directory(options.directory);

  interpool::Runtime python = start_python(options.python_directory);
  interpool::SubinterpreterExecutor executor(python, executor_options(options.workers));
  auto [embedder_name, dimensions] = PythonTasks(executor).describe().get();
  const Embedder embedder{.name = std::move(embedder_name), .dimensions = dimensions};

  std::unique_ptr<Store> store;
  PipelineInput input{.root = root,
                      .known = {},
                      .workers = options.workers,
                      .vector_bytes = static_cast<std::size_t>(dimensions) * sizeof(float)};
  if (options.null_store) {
    store = std::make_unique<NullStore>();
  } else {
    auto database = Database::open_for_indexing(options.database, embedder);
    input.known = database->known_files();
    store = std::move(database);
  }

  const auto started = Clock::now();
  ProgressCounts counts;
  Progress progress(counts, options.quiet);
  // A signal that comes from here on is answered with an orderly end and a report.
  progress.message("ready");

  PipelineReport report;
  Shutdown shutdown;
  {
    Pipeline pipeline(executor, *store, std::move(input), counts, progress, [&stop] { stop.notify(); });
    shutdown = Supervisor(pipeline, executor, stop, progress, options.drain).run();
    report = pipeline.join();
  }
  progress.finish();
  store.reset();  // closes the index
  const interpool::StopReport python_stop = python.stop(kPythonStopTimeout);
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();

  const std::vector<std::string> problems = problems_of(report, shutdown);
  for (const std::string& problem : problems) progress.message("error: " + problem);
  for (const std::string& problem : python_stop.problems) progress.message("not ended: " + problem);

  const int signal = stop.decide();
  int exit_code = signal == 0 ? kExitOk : 128 + signal;
  if (!problems.empty()) exit_code = exit_code_of(report);
  if (signal != 0) {
    progress.message(
        fmt::format("stopped by {}{} {} files left for the next run", signal == SIGINT ? "SIGINT" : "SIGTERM",
                    report.walked ? ":" : " before all files were found: at least", report.left));
  }
  try {
    if (options.json) {
      print_result(to_json(report, shutdown, seconds, exit_code));
    } else if (!options.quiet) {
      print_result(summary(report, seconds));
    }
  } catch (const std::system_error& error) {
    // Not further up: a thread that was given up must not meet a destructor.
    progress.message(fmt::format("error: {}", error.what()));
    exit_code = kExitFailed;
  }
  if (shutdown.executor.interpreters_left > 0 || !shutdown.executor.abandoned.empty() || !python_stop.clean) {
    leave(exit_code);
  }
  return exit_code;
}

}  // namespace indexer
