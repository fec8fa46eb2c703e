#include "interpool/worker.h"

#include "interpool/callback.h"
#include "python/call.h"
#include "python/context.h"
#include "python/interpreter.h"
#include "runtime/attached_worker.h"
#include "runtime/executor_core.h"
#include "runtime/task_context.h"
#include "runtime/worker_access.h"
#include "runtime/worker_thread.h"

namespace interpool {

namespace {

void raise_if(const Failure& failure) {
  if (failure) failure->raise();
}

/// Of a task's Worker, which somebody may have kept for elsewhere.
detail::InterpreterHandle& interpreter_of(Worker& worker) {
  detail::InterpreterHandle& interpreter = detail::WorkerAccess::interpreter(worker);
  if (!interpreter.attached()) {
    throw UsageError(
        "a Worker is used outside of the task that it was given to: on another thread, in another worker's "
        "task, or in a continuation");
  }
  return interpreter;
}

std::shared_ptr<python::CallbackGate> gate_of(const detail::TaskBase& task) {
  return task.core() == nullptr ? nullptr : task.core()->callback_gate();
}

/// The name of the task that the calling thread runs.
std::string task_name() {
  detail::WorkerThread* worker = detail::WorkerThread::current();
  const auto task = worker == nullptr ? detail::TaskRef<detail::TaskBase>() : worker->running();
  return task ? task->name() : std::string();
}

}  // namespace

const char* to_string(Lane lane) noexcept {
  switch (lane) {
    case Lane::kPinned: return "pinned";
    case Lane::kPooled: return "pooled";
    case Lane::kMain: return "main";
    case Lane::kAttached: return "attached";
  }
  return "unknown";
}

std::int64_t Worker::interpreter_id() const noexcept { return interpreter_.id(); }

namespace detail {

std::shared_ptr<python::CallbackGate> current_gate() {
  if (AttachedWorker* attached = AttachedWorker::current()) return attached->core().callback_gate();
  WorkerThread* worker = WorkerThread::current();
  if (worker == nullptr) return nullptr;
  const auto task = worker->running();
  return task ? gate_of(*task) : worker->gate();
}

Failure call(Worker& worker, const FunctionEntry& function, const TaskBase& task, EncodeThunk encode,
             const void* args, DecodeThunk decode, void* storage) noexcept {
  return python::call(
      WorkerAccess::interpreter(worker), function, [&task] { return task.name(); },
      [&task] { return gate_of(task); }, encode, args, decode, storage);
}

void call_now(Worker& worker, std::string_view function, EncodeThunk encode, const void* args,
              DecodeThunk decode, void* storage) {
  InterpreterHandle& interpreter = interpreter_of(worker);
  const FunctionEntry& entry = interpreter.table().entry(function);
  const auto name = [&entry] {
    std::string task = task_name();
    return task.empty() ? entry.name : task;
  };
  raise_if(
      python::call(interpreter, entry, name, [] { return current_gate(); }, encode, args, decode, storage));
}

void with_current_worker(FunctionRef<void(Worker&)> body) {
  if (AttachedWorker* attached = AttachedWorker::current(); attached && attached->attached()) {
    Worker worker = attached->view();
    return body(worker);
  }
  WorkerThread* thread = WorkerThread::current();
  InterpreterHandle* interpreter = thread == nullptr ? nullptr : thread->interpreter();
  if (interpreter == nullptr || !interpreter->attached()) {
    throw UsageError(
        "a callback that takes a Worker& is called on a thread that runs no task, as those that Python code "
        "has started; without that parameter it can be called there");
  }
  Worker worker = WorkerAccess::make(thread->lane(), thread->index(), *interpreter);
  body(worker);
}

void eval(Worker& worker, std::string_view expression, DecodeThunk decode, void* storage) {
  raise_if(python::eval(interpreter_of(worker), expression, [] { return task_name(); }, decode, storage));
}

void exec(Worker& worker, std::string_view code) {
  raise_if(python::exec(interpreter_of(worker), code, [] { return task_name(); }));
}

void in_context(Worker& worker, const ContextVars& variables, FunctionRef<void()> work) {
  check_context(variables);
  python::ContextScope scope;
  raise_if(scope.enter(interpreter_of(worker), variables, [] { return task_name(); }));
  work();
}

void import_module(Worker& worker, std::string_view name) {
  raise_if(python::import_module(interpreter_of(worker), std::string(name)));
}

}  // namespace detail

}  // namespace interpool
