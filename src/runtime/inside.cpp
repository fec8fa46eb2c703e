#include "runtime/inside.h"

#include "runtime/worker_thread.h"

namespace interpool::detail {

std::string_view Inside::worker() const noexcept {
  const WorkerThread* worker = WorkerThread::current();
  return worker == nullptr ? std::string_view() : worker->id();
}

std::optional<std::string_view> Inside::task() const noexcept {
  const WorkerThread* worker = WorkerThread::current();
  const TaskBase* task = worker == nullptr ? nullptr : worker->current_task();
  if (task == nullptr) return std::nullopt;
  return task->name();
}

}  // namespace interpool::detail
