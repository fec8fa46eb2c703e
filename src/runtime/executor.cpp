#include "interpool/executor.h"

#include "base/keep.h"
#include "python/interpreter.h"
#include "python/thread_state.h"
#include "runtime/attached_worker.h"
#include "runtime/broadcast.h"
#include "runtime/executor_core.h"
#include "runtime/fork_guard.h"
#include "runtime/runtime_core.h"
#include "runtime/task_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace interpool {

namespace detail {

void submit(ExecutorCore& core, Address address, const CallOptions& options, TaskRef<TaskBase> task) {
  if (const Failure failure = core.accept(address, options, std::move(task), true)) failure->raise();
}

Failure try_submit(ExecutorCore& core, Address address, const CallOptions& options,
                   TaskRef<TaskBase> task) noexcept {
  return core.accept(address, options, std::move(task), false);
}

void check_call_options(const CallOptions& options) {
  if (options.timeout && options.deadline) {
    throw UsageError("with(): both a timeout and a deadline are given; give one of them");
  }
  check_context(options.context);
}

Address address_of_one(ExecutorCore& core, Address address) {
  return address.to == Address::To::kAny ? core.next_interpreter() : address;
}

std::pair<std::shared_ptr<Broadcast>, std::vector<Address>> begin_broadcast(ExecutorCore& core,
                                                                            std::string name,
                                                                            BroadcastCall call) {
  require_not_forked();
  auto broadcast = std::make_shared<Broadcast>(std::move(name), std::move(call));
  auto interpreters = core.begin(broadcast);
  return {std::move(broadcast), std::move(interpreters)};
}

BroadcastCall reload_call(std::vector<std::string> modules) {
  for (const std::string& module : modules) check_module_name("reload", module);
  return [modules = std::move(modules)](InterpreterHandle& interpreter) {
    return BroadcastOutcome{.failure = python::reload(interpreter, modules), .value = nullptr};
  };
}

const FunctionEntry& function_entry(ExecutorCore& core, std::string_view name) {
  require_not_forked();
  return core.runtime().process().functions.entry(name);
}

namespace {

std::shared_ptr<ExecutorCore> make_core(const Runtime& runtime, ExecutorOptions options) {
  require_not_forked();
  const std::shared_ptr<RuntimeCore>& runtime_core = RuntimeAccess::core(runtime);
  auto core = std::make_shared<ExecutorCore>(runtime_core, ExecutorCore::check_options(std::move(options)));
  runtime_core->add_executor(core);
  core->start();
  return core;
}

}  // namespace

}  // namespace detail

Submitter::Submitter(std::shared_ptr<detail::ExecutorCore> core, detail::Address address, CallOptions options)
    : core_(std::move(core)), address_(address), options_(std::move(options)) {}

Submitter Submitter::with(CallOptions options) const {
  detail::check_call_options(options);
  return {core_, address_, std::move(options)};
}

SubinterpreterExecutor::SubinterpreterExecutor(Runtime& runtime, Options options)
    : Submitter(detail::make_core(runtime, std::move(options)), {}, {}) {}

SubinterpreterExecutor::~SubinterpreterExecutor() {
  if (in_forked_child()) {
    detail::keep_for_ever(core());  // its threads are not here to be ended
    return;
  }
  core()->stop({.timeout = core()->options().stop_timeout});
}

Submitter SubinterpreterExecutor::pinned(std::size_t index) const {
  return {core(), core()->pinned(index), {}};
}

Submitter SubinterpreterExecutor::main() const { return {core(), {.to = detail::Address::To::kMain}, {}}; }

AttachedThread SubinterpreterExecutor::attach() const {
  require_not_forked();
  return AttachedThread(detail::AttachedWorker::of_this_thread(core()));
}

std::size_t SubinterpreterExecutor::pinned_workers() const noexcept {
  return core()->options().pinned_workers;
}
std::size_t SubinterpreterExecutor::pooled_threads() const noexcept {
  return core()->options().pooled.threads;
}

void SubinterpreterExecutor::define_module(std::string_view name, std::string_view source) {
  require_not_forked();
  core()->runtime().define_module(name, source);
}

void SubinterpreterExecutor::close() noexcept {
  if (!in_forked_child()) core()->close();
}

bool SubinterpreterExecutor::drain(std::chrono::milliseconds timeout) {
  require_not_forked();
  if (core()->in_own_task()) throw DeadlockError("a task cannot wait for its own executor to drain");
  core()->close();
  const python::GilRelease no_gil;
  return core()->wait_until_settled(detail::after(timeout));
}

std::size_t SubinterpreterExecutor::cancel_queued() {
  require_not_forked();
  return core()->cancel_queued("cancelled with all queued tasks of its executor").size();
}

ExecutorReport SubinterpreterExecutor::stop(ExecutorStopOptions options) {
  require_not_forked();
  if (core()->inside()) {
    throw DeadlockError(
        "a task, or a callback that one has passed, cannot stop its own executor and wait for that");
  }
  return core()->stop(options);
}

TaskCounts SubinterpreterExecutor::counts() const noexcept { return core()->counts(); }
ExecutorStats SubinterpreterExecutor::stats() const {
  require_not_forked();
  return core()->stats();
}
std::size_t SubinterpreterExecutor::in_flight() const noexcept {
  const TaskCounts counts = core()->counts();
  // A task that is just being abandoned may count twice for a moment.
  return counts.accepted - std::min(counts.accepted, counts.settled());
}

void SubinterpreterExecutor::execute(Work work) {
  // The work may run, and the executor be destroyed by who waits for that, before this call returns.
  const std::shared_ptr<detail::ExecutorCore> kept = core();
  kept->execute(std::move(work));
}

}  // namespace interpool
