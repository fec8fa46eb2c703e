#include "runtime/object_cell.h"

#include "python/call.h"
#include "runtime/executor_core.h"
#include "runtime/fork_guard.h"
#include "runtime/worker_access.h"
#include "runtime/worker_thread.h"

#include <fmt/format.h>

#include <utility>

namespace interpool {

namespace detail {

ObjectCell::~ObjectCell() {
  if (!in_forked_child()) core_->place(address_).drop_later(interpreter_, id_);
}

ExecutorCore* core_of(const ObjectCell& cell) noexcept { return cell.core().get(); }

void submit(const ObjectCell& cell, const CallOptions& options, TaskRef<TaskBase> task) {
  submit(*cell.core(), cell.address(), options, std::move(task));
}

std::string use_name(const ObjectCell& cell, std::string_view attribute) {
  if (attribute.empty() || attribute.find_first_of(std::string_view(".\0", 2)) != std::string_view::npos) {
    throw UsageError(fmt::format("'{}' is not the name of an attribute", attribute));
  }
  return fmt::format("{}.{}", cell.made_by(), attribute);
}

Failure create_object(Worker& worker, const FunctionEntry& function, const TaskBase& task, EncodeThunk encode,
                      const void* args, std::shared_ptr<const ObjectCell>& object) noexcept {
  InterpreterHandle& interpreter = WorkerAccess::interpreter(worker);
  python::ObjectTable::Id id = 0;
  if (Failure failure = python::create(
          interpreter, function, [&task] { return task.name(); },
          [&task] { return task.core()->callback_gate(); }, encode, args, id)) {
    return failure;
  }
  try {
    const auto core = task.core()->shared_from_this();
    object = std::make_shared<const ObjectCell>(core, core->address_of(WorkerThread::current()->place()),
                                                interpreter.id(), id, function.name);
    return nullptr;
  } catch (...) {
    interpreter.objects().remove(id);
    return current_failure({.task = task.name(), .interpreter = interpreter.id()});
  }
}

Failure use_object(Worker& worker, const ObjectCell& cell, ObjectUse use, std::string_view attribute,
                   const TaskBase& task, EncodeThunk encode, const void* args, DecodeThunk decode,
                   void* storage) noexcept {
  InterpreterHandle& interpreter = WorkerAccess::interpreter(worker);
  if (interpreter.id() != cell.interpreter()) {
    try {
      return std::make_shared<const WorkerError>(
          fmt::format(
              "the object lived in interpreter {}, which has ended; its worker has interpreter {} now",
              cell.interpreter(), interpreter.id()),
          ErrorContext{.task = task.name(), .interpreter = interpreter.id()});
    } catch (...) {
      return current_failure({});
    }
  }
  return python::use(
      interpreter, cell.id(), use, attribute, [&task] { return task.name(); },
      [&task] { return task.core()->callback_gate(); }, encode, args, decode, storage);
}

}  // namespace detail

Object Object::with(CallOptions options) const {
  detail::check_call_options(options);
  Object other = Object(cell());
  other.options_ = std::move(options);
  return other;
}

std::int64_t Object::interpreter_id() const { return cell()->interpreter(); }

const std::shared_ptr<const detail::ObjectCell>& Object::cell() const {
  if (!cell_) throw UsageError("this Object was moved from");
  return cell_;
}

}  // namespace interpool
