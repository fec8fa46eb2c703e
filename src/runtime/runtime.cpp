#include "interpool/runtime.h"

#include "base/keep.h"
#include "interpool/error.h"
#include "python/initialize.h"
#include "runtime/attached_worker.h"
#include "runtime/fork_guard.h"
#include "runtime/runtime_core.h"
#include "runtime/worker_thread.h"

#include <atomic>
#include <utility>

namespace interpool {

namespace {

/// Takes the process' one place for a Runtime; it is never given back.
bool take_place() noexcept {
  static std::atomic<bool> taken = false;
  return !taken.exchange(true, std::memory_order_relaxed);  // a claim; it publishes nothing
}

}  // namespace

Runtime::Runtime(Options options) {
  require_not_forked();
  options = python::check_options(std::move(options));
  if (!take_place()) {
    throw RuntimeStateError(
        "there is, or was, a Runtime in this process already, and CPython starts once: make one, early, and "
        "share it");
  }
  watch_for_fork();
  core_ = std::make_shared<detail::RuntimeCore>(std::move(options));
  core_->start();
}

namespace {

bool in_a_task() noexcept {
  return detail::WorkerThread::current() != nullptr || detail::AttachedWorker::current() != nullptr;
}

}  // namespace

Runtime::~Runtime() {
  if (in_forked_child()) {
    // Nothing of it works here, and taking it apart would wait for threads that do not exist.
    detail::keep_for_ever(std::move(core_));
    return;
  }
  if (in_a_task()) {
    core_->log().error("a Runtime is destroyed inside one of its own tasks; Python is left as it is");
    return;
  }
  core_->stop(core_->options().stop_timeout);
}

StopReport Runtime::stop(std::chrono::milliseconds timeout) {
  require_not_forked();
  if (in_a_task()) {
    throw DeadlockError(
        "a task cannot stop the Runtime that runs it and wait for that; let another thread do it");
  }
  return core_->stop(timeout);
}

void Runtime::define_module(std::string_view name, std::string_view source) {
  require_not_forked();
  core_->define_module(name, source);
}

void Runtime::add_native_module(std::string_view name, NativeModuleInit init) {
  require_not_forked();
  core_->add_native_module(name, init);
}

const std::string& Runtime::python_version() const noexcept { return core_->version(); }
bool Runtime::adopted() const noexcept { return core_->adopted(); }
std::size_t Runtime::interpreter_count() const noexcept {
  return core_->process().live_interpreters.load(std::memory_order_relaxed);  // a number to look at
}

}  // namespace interpool
