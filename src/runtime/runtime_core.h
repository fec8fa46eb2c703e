// RuntimeCore: what is behind a Runtime, shared with the executors.
#pragma once

#include "base/log.h"
#include "base/mutex.h"
#include "interpool/detail/function_ref.h"
#include "interpool/runtime.h"
#include "runtime/inside.h"
#include "runtime/interpreter_group.h"
#include "runtime/journal.h"
#include "runtime/stop_once.h"
#include "runtime/timekeeper.h"
#include "runtime/worker_thread.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace interpool::detail {

class ExecutorCore;

/// CPython's process-wide side: the home thread, and what all interpreters share. Shared-owned by the
/// Runtime, the executors and the home thread.
class RuntimeCore : public std::enable_shared_from_this<RuntimeCore> {
 public:
  explicit RuntimeCore(RuntimeOptions options);
  ~RuntimeCore();
  RuntimeCore(const RuntimeCore&) = delete;
  RuntimeCore& operator=(const RuntimeCore&) = delete;

  /// Starts the home thread and waits until CPython runs; throws what went wrong. Once.
  void start();
  /// See Runtime::stop.
  StopReport stop(std::chrono::milliseconds timeout);

  /// See Runtime::define_module.
  void define_module(std::string_view name, std::string_view source);
  /// See Runtime::add_native_module.
  void add_native_module(std::string_view name, DefinedModule::Init init);

  /// Throws RuntimeStateError once stop() has begun.
  void add_executor(const std::shared_ptr<ExecutorCore>& executor) INTERPOOL_EXCLUDES(mutex_);

  [[nodiscard]] const RuntimeOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool adopted() const noexcept { return adopted_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }
  [[nodiscard]] Logger& log() noexcept { return *log_; }
  [[nodiscard]] Timekeeper& timekeeper() noexcept { return *timekeeper_; }
  [[nodiscard]] const std::shared_ptr<Journal>& journal() const noexcept { return journal_; }
  [[nodiscard]] ProcessState& process() noexcept { return process_; }
  [[nodiscard]] WorkerThread& main_worker() noexcept { return *main_worker_; }
  [[nodiscard]] TaskQueue& main_queue() noexcept { return main_worker_->place().queue(); }

 private:
  /// Calls `work`, which returns a Failure and does not throw, under main's GIL; throws the failure. The GIL
  /// that the caller holds is released meanwhile, unless it is that one. Throws RuntimeStateError once stop()
  /// has begun.
  void do_in_main(FunctionRef<Failure()> work);

  enum class HomeState { kStarting, kRunning, kFailed, kEnded };

  /// The first two apart from the rest: they die when they are called no more.
  RuntimeCore(OutputCallback&& output, LogRecordCallback&& record, RuntimeOptions&& options);
  /// Whether an interpreter is the main one of a Python that its host has started, and whose streams are its
  /// own.
  [[nodiscard]] bool is_hosts(const InterpreterHandle& interpreter) const noexcept {
    return adopted_ && interpreter.id() == 0;
  }
  void home_thread() noexcept;
  /// On the home thread: gets hold of CPython. Returns its thread state, detached.
  python::ThreadState set_up_main();
  /// Attached to main: imports what has to be imported there first.
  void prepare_main();
  /// Attached to main: brings it to rest, if nobody has begun that before.
  void quiesce(bool on_home_thread) noexcept;
  StopReport stop_once(std::chrono::milliseconds timeout);
  void stop_executors(std::chrono::steady_clock::time_point deadline, StopReport& report);
  void end_home(std::chrono::steady_clock::time_point deadline, StopReport& report);
  void quiesce_from_helper(std::chrono::steady_clock::time_point deadline, StopReport& report);

  // Constant after start().
  const RuntimeOptions options_;
  bool adopted_ = false;
  bool prepared_ = false;  // by the thread that called start()
  std::string version_;
  std::shared_ptr<WorkerThread> main_worker_;

  // Self-synchronised.
  const std::shared_ptr<Logger> log_;
  ProcessState process_;
  const std::shared_ptr<Inside> inside_;
  const std::shared_ptr<Timekeeper> timekeeper_ = std::make_shared<Timekeeper>();
  const std::shared_ptr<Journal> journal_ = std::make_shared<Journal>();
  std::atomic<bool> quiescing_ = false;
  StopOnce<StopReport> stop_;

  Mutex mutex_;
  CondVar changed_;
  HomeState home_ INTERPOOL_GUARDED_BY(mutex_) = HomeState::kStarting;
  bool quiesced_ INTERPOOL_GUARDED_BY(mutex_) = false;
  std::exception_ptr start_error_ INTERPOOL_GUARDED_BY(mutex_);
  std::thread thread_ INTERPOOL_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<ExecutorCore>> executors_ INTERPOOL_GUARDED_BY(mutex_);
};

}  // namespace interpool::detail
