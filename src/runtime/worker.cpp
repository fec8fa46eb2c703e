#include "interpool/worker.h"

#include "python/call.h"
#include "python/interpreter.h"
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

Failure call(Worker& worker, const FunctionEntry& function, const TaskBase& task, EncodeThunk encode,
             const void* args, DecodeThunk decode, void* storage) noexcept {
  return python::call(
      WorkerAccess::interpreter(worker), function, [&task] { return task.name(); }, encode, args, decode,
      storage);
}

void call_now(Worker& worker, std::string_view function, EncodeThunk encode, const void* args,
              DecodeThunk decode, void* storage) {
  InterpreterHandle& interpreter = interpreter_of(worker);
  const FunctionEntry& entry = interpreter.table().entry(function);
  const auto name = [&entry] {
    std::string task = task_name();
    return task.empty() ? entry.name : task;
  };
  raise_if(python::call(interpreter, entry, name, encode, args, decode, storage));
}

void eval(Worker& worker, std::string_view expression, DecodeThunk decode, void* storage) {
  raise_if(python::eval(interpreter_of(worker), expression, [] { return task_name(); }, decode, storage));
}

void exec(Worker& worker, std::string_view code) {
  raise_if(python::exec(interpreter_of(worker), code, [] { return task_name(); }));
}

void import_module(Worker& worker, std::string_view name) {
  raise_if(python::import_module(interpreter_of(worker), std::string(name)));
}

}  // namespace detail

}  // namespace interpool
