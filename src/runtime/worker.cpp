#include "interpool/worker.h"

#include "python/call.h"
#include "python/interpreter.h"
#include "runtime/worker_access.h"

namespace interpool {

namespace {

void raise_if(const Failure& failure) {
  if (failure) failure->raise();
}

}  // namespace

const char* to_string(Lane lane) noexcept {
  switch (lane) {
    case Lane::kPinned: return "pinned";
    case Lane::kPooled: return "pooled";
    case Lane::kMain: return "main";
  }
  return "unknown";
}

std::int64_t Worker::interpreter_id() const noexcept { return interpreter_.id(); }

namespace detail {

Failure call(Worker& worker, const FunctionEntry& function, const std::string& task_name, EncodeThunk encode,
             const void* args, DecodeThunk decode, void* storage) noexcept {
  return python::call(WorkerAccess::interpreter(worker), function, task_name, encode, args, decode, storage);
}

void call_now(Worker& worker, std::string_view function, EncodeThunk encode, const void* args,
              DecodeThunk decode, void* storage) {
  const FunctionEntry& entry = WorkerAccess::interpreter(worker).table().entry(function);
  raise_if(call(worker, entry, entry.name, encode, args, decode, storage));
}

void eval(Worker& worker, std::string_view expression, DecodeThunk decode, void* storage) {
  raise_if(python::eval(WorkerAccess::interpreter(worker), expression, decode, storage));
}

void exec(Worker& worker, std::string_view code) {
  raise_if(python::exec(WorkerAccess::interpreter(worker), code));
}

void import_module(Worker& worker, std::string_view name) {
  raise_if(python::import_module(WorkerAccess::interpreter(worker), std::string(name)));
}

}  // namespace detail

}  // namespace interpool
