#include "runtime/runtime_core.h"

#include "interpool/error.h"
#include "python/initialize.h"
#include "python/module.h"
#include "python/output.h"
#include "python/thread_state.h"
#include "runtime/executor_core.h"
#include "runtime/thread_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace interpool::detail {

RuntimeCore::RuntimeCore(RuntimeOptions options)
    : RuntimeCore(std::exchange(options.output, {}), std::exchange(options.python_log, {}),
                  std::move(options)) {}

RuntimeCore::RuntimeCore(OutputCallback&& output, LogRecordCallback&& record, RuntimeOptions&& options)
    : options_(std::move(options)),
      log_(std::make_shared<Logger>(options_.log, options_.log_level)),
      inside_(std::make_shared<Inside>(std::move(output), std::move(record), log_)) {
  journal_->append({.what = "module interpool", .apply = [inside = inside_](InterpreterHandle& interpreter) {
                      return python::add_module(interpreter, inside);
                    }});
  journal_->append({.what = "defined modules", .apply = [modules = process_.modules](InterpreterHandle&) {
                      return python::install_finder(modules);
                    }});
  std::vector<std::string> paths;
  paths.reserve(options_.module_paths.size());
  for (const auto& path : options_.module_paths) paths.push_back(path.string());
  if (!paths.empty()) {
    journal_->append({.what = "module_paths",
                      .apply = [paths](InterpreterHandle&) { return python::prepend_module_paths(paths); }});
  }
  if (inside_->takes_output()) {
    journal_->append({.what = "output", .apply = [this](InterpreterHandle& interpreter) {
                        return is_hosts(interpreter) ? nullptr : python::redirect_output();
                      }});
  }
  if (options_.stdio == Stdio::kDiscard) {
    journal_->append({.what = "stdio", .apply = [this](InterpreterHandle& interpreter) {
                        return is_hosts(interpreter) ? nullptr : python::discard_stdio();
                      }});
  }
}

RuntimeCore::~RuntimeCore() = default;

void RuntimeCore::start() {
  // Imported by whoever holds main's GIL, if it is the caller: `threading` takes the thread that imports it
  // first for the main one, on 3.12.
  prepared_ = python::attached_to_main();
  if (prepared_) prepare_main();
  const python::GilRelease no_gil;
  mutex_.lock();
  thread_ = std::thread([core = shared_from_this()] { core->home_thread(); });
  while (home_ == HomeState::kStarting) changed_.wait(mutex_);
  const std::exception_ptr error = start_error_;
  std::thread failed = error ? std::move(thread_) : std::thread();
  mutex_.unlock();
  if (error) {
    failed.join();
    std::rethrow_exception(error);
  }
}

void RuntimeCore::prepare_main() {
  for (const std::string& problem : python::prepare_main(/*on_main_thread=*/prepared_ || !adopted_)) {
    log_->warn("{}", problem);
  }
}

python::ThreadState RuntimeCore::set_up_main() {
  python::promote_libpython();
  adopted_ = python::is_initialized();
  if (!adopted_) python::initialize(options_);  // leaves us attached
  python::ThreadState state =
      adopted_ ? python::ThreadState::in_main() : python::ThreadState::adopt_current();
  if (adopted_) state.attach();
  version_ = python::version();
  process_.memory = python::MemoryCounts::install();

  auto main = InterpreterHandle::main(process_.functions);
  Failure failure;
  if (!prepared_) prepare_main();
  for (std::size_t i = 0; i < journal_->size() && !failure; ++i) failure = journal_->step(i)->apply(*main);
  state.detach();
  if (failure) throw RuntimeStateError("setting up the main interpreter failed: " + failure->message());
  main_worker_ = std::make_shared<WorkerThread>(
      WorkerThread::Setup{.lane = Lane::kMain, .index = 0},
      std::make_shared<InterpreterPlace>(std::make_shared<InterpreterGroup>(std::move(main), process_)));
  return state;
}

void RuntimeCore::home_thread() noexcept {
  name_this_thread("interpool-home");
  python::ThreadState state;
  try {
    state = set_up_main();
  } catch (...) {
    const MutexLock lock(mutex_);
    start_error_ = std::current_exception();
    home_ = HomeState::kFailed;
    changed_.notify_all();
    return;
  }
  {
    const MutexLock lock(mutex_);
    home_ = HomeState::kRunning;
    changed_.notify_all();
  }
  const std::shared_ptr<WorkerThread> worker = main_worker_;
  worker->run(std::move(state));
  worker->state().attach();
  worker->interpreter()->clear();
  quiesce(/*on_home_thread=*/true);
  Inside::finish_lines();
  worker->retire();
  if (adopted_) {
    worker->state().detach();
    worker->state().destroy();
  } else {
    worker->state().detach();  // and it stays: it is the main interpreter's main thread state
  }
  const MutexLock lock(mutex_);
  home_ = HomeState::kEnded;
  changed_.notify_all();
}

void RuntimeCore::quiesce(bool on_home_thread) noexcept {
  // An adopted Python is its host's to end. acq_rel is more than this claim needs: who comes second does
  // nothing, and main's GIL, which both hold, orders the rest.
  if (adopted_ || quiescing_.exchange(true, std::memory_order_acq_rel)) return;
  python::quiesce_main(on_home_thread);
  const python::GilRelease no_gil;
  const MutexLock lock(mutex_);
  quiesced_ = true;
  changed_.notify_all();
}

void RuntimeCore::do_in_main(FunctionRef<Failure()> work) {
  if (stop_.begun()) throw RuntimeStateError("the Runtime has ended; modules are for one that runs");
  Failure failure;
  if (python::attached_to_main()) {
    failure = work();
  } else {
    const python::GilRelease no_gil;
    python::ThreadState state = python::ThreadState::in_main();
    state.attach();
    failure = work();
    state.detach();
    state.destroy();
  }
  if (failure) failure->raise();
}

void RuntimeCore::define_module(std::string_view name, std::string_view source) {
  python::check_module_name(name);
  if (process_.modules->has(name, source)) return;
  do_in_main([&] { return python::define_module(*process_.modules, name, source); });
}

void RuntimeCore::add_native_module(std::string_view name, DefinedModule::Init init) {
  python::check_module_name(name);
  if (init == nullptr) throw UsageError(fmt::format("the init function of '{}' is null", name));
  do_in_main([&] { return python::add_native_module(*process_.modules, name, init); });
}

void RuntimeCore::add_executor(const std::shared_ptr<ExecutorCore>& executor) {
  const MutexLock lock(mutex_);
  if (stop_.begun()) throw RuntimeStateError("the Runtime has ended; executors need one that runs");
  std::erase_if(executors_, [](const auto& known) { return known.expired(); });
  executors_.push_back(executor);
}

StopReport RuntimeCore::stop(std::chrono::milliseconds timeout) {
  const python::GilRelease no_gil;
  return stop_.run(
      after(timeout), [&] { return stop_once(timeout); },
      [] { return StopReport{.clean = false, .problems = {"another call of stop() is still at it"}}; });
}

StopReport RuntimeCore::stop_once(std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = after(timeout);
  StopReport report;
  stop_executors(deadline, report);
  timekeeper_->stop(std::max(deadline, after(std::chrono::milliseconds(500))));
  end_home(deadline, report);
  if (!inside_->close(std::max(deadline, after(std::chrono::milliseconds(500)))))
    report.problems.emplace_back("the output or python_log callback did not return in time");
  report.clean = report.problems.empty();
  for (const std::string& problem : report.problems) log_->warn("stopping Python: {}", problem);
  return report;
}

namespace {

/// Stops them side by side, so that each has all the time.
std::vector<ExecutorReport> stop_all(const std::vector<std::shared_ptr<ExecutorCore>>& executors,
                                     Clock::time_point deadline) {
  std::vector<ExecutorReport> reports(executors.size());
  const auto stop = [&](std::size_t i) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    reports[i] = executors[i]->stop({.timeout = std::max(left, std::chrono::milliseconds(0))});
  };
  std::vector<std::thread> threads;
  threads.reserve(executors.size());
  std::size_t next = 1;
  try {
    for (; next < executors.size(); ++next) {
      threads.emplace_back([&stop, next] {
        name_this_thread("interpool-stop");
        stop(next);
      });
    }
  } catch (const std::system_error&) {
    for (; next < executors.size(); ++next) stop(next);  // one after the other then
  }
  if (!executors.empty()) stop(0);
  for (std::thread& thread : threads) thread.join();
  return reports;
}

}  // namespace

void RuntimeCore::stop_executors(Clock::time_point deadline, StopReport& report) {
  std::vector<std::weak_ptr<ExecutorCore>> executors;
  {
    const MutexLock lock(mutex_);
    executors = executors_;
  }
  std::vector<std::shared_ptr<ExecutorCore>> running;
  for (const auto& known : executors) {
    auto executor = known.lock();
    if (!executor) continue;
    // What an executor that has ended had to report, it has reported; only what it left may matter still.
    if (executor->stopped()) {
      if (executor->interpreters() > 0) {
        report.problems.push_back(fmt::format("executor '{}': {} interpreters are still standing",
                                              executor->options().name, executor->interpreters()));
      }
      continue;
    }
    running.push_back(std::move(executor));
  }
  const std::vector<ExecutorReport> reports = stop_all(running, deadline);
  for (std::size_t i = 0; i < running.size(); ++i) {
    const auto& executor = running[i];
    const ExecutorReport& ended = reports[i];
    if (!ended.abandoned.empty()) {
      report.problems.push_back(fmt::format("executor '{}': {} running tasks were abandoned",
                                            executor->options().name, ended.abandoned.size()));
    }
    if (ended.tasks.settled() < ended.tasks.accepted) {
      report.problems.push_back(fmt::format("executor '{}': {} tasks had not settled",
                                            executor->options().name,
                                            ended.tasks.accepted - ended.tasks.settled()));
    }
    if (ended.callbacks_left > 0) {
      report.problems.push_back(fmt::format("executor '{}': {} calls of C++ callbacks had not returned",
                                            executor->options().name, ended.callbacks_left));
    }
    if (ended.interpreters_left > 0) {
      report.problems.push_back(fmt::format("executor '{}': {} interpreters were left standing",
                                            executor->options().name, ended.interpreters_left));
    }
  }
}

void RuntimeCore::end_home(Clock::time_point deadline, StopReport& report) {
  // A bound of its own for the end of main, even when the executors have used up all the time.
  deadline = std::max(deadline, after(std::chrono::milliseconds(500)));
  // What ran last there may still be at hand when it has settled, unless it was given up.
  const auto last = main_worker_->running();
  const bool stuck =
      last && (!last->settled() || (!last->has_value() && last->failure()->code() == ErrorCode::kAbandoned));
  main_worker_->stop();
  if (stuck) {
    report.problems.emplace_back(
        "a task is stuck on the main lane; its thread was left alone, and Python threads were not joined");
    quiesce_from_helper(deadline, report);
  }
  std::thread thread;
  bool ended = false;
  {
    const MutexLock lock(mutex_);
    if (!stuck) {
      while (home_ != HomeState::kEnded && changed_.wait_until(mutex_, deadline)) {
      }
    }
    ended = home_ == HomeState::kEnded;
    thread = std::move(thread_);
  }
  if (ended) {
    thread.join();
    return;
  }
  thread.detach();  // it shares the ownership of all that it may still touch
  if (!stuck)
    report.problems.emplace_back(
        "Python threads, atexit callbacks or flushes of the main interpreter did not end in time");
}

void RuntimeCore::quiesce_from_helper(Clock::time_point deadline, StopReport& report) {
  if (adopted_) return;
  // A disposable thread: whoever holds main's GIL may never give it back.
  std::thread([core = shared_from_this()] {
    name_this_thread("interpool-quiet");
    python::ThreadState state = python::ThreadState::in_main();
    state.attach();
    core->quiesce(/*on_home_thread=*/false);
    state.detach();
    state.destroy();
  }).detach();
  const MutexLock lock(mutex_);
  while (!quiesced_ && changed_.wait_until(mutex_, deadline)) {
  }
  if (quiesced_) return;
  // relaxed: it only chooses the words.
  report.problems.emplace_back(
      quiescing_.load(std::memory_order_relaxed)
          ? "atexit callbacks and flushes of the main interpreter did not end in time"
          : "atexit callbacks and flushes did not run: the main interpreter's GIL is held");
}

}  // namespace interpool::detail
