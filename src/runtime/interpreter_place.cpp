#include "runtime/interpreter_place.h"

#include <new>
#include <utility>

namespace interpool::detail {

void InterpreterPlace::drop_later(std::int64_t interpreter, python::ObjectTable::Id object) noexcept {
  try {
    const MutexLock lock(mutex_);
    dropped_.push_back({interpreter, object});
    has_chores_.store(true, std::memory_order_relaxed);  // the unparking publishes it
  } catch (const std::bad_alloc&) {
    return;  // it stays until its interpreter ends
  }
  wake();
}

bool InterpreterPlace::replace(InterpreterGroup& worn) noexcept {
  {
    const MutexLock lock(mutex_);
    if (group_.get() != &worn) return true;
    if (make_ == nullptr || (replaced_ != nullptr && replaced_->exists())) return false;
    try {
      replaced_ = std::exchange(group_, make_());
    } catch (const std::bad_alloc&) {
      return false;  // when the next task has ended, perhaps
    }
    worn.retire();
  }
  wake();  // those that sleep leave it, too
  return true;
}

std::size_t InterpreterPlace::standing() const noexcept {
  const MutexLock lock(mutex_);
  return static_cast<std::size_t>(group_->exists()) +
         static_cast<std::size_t>(replaced_ != nullptr && replaced_->exists());
}

void InterpreterPlace::do_chores(InterpreterHandle& interpreter) noexcept {
  std::vector<Dropped> ours;
  {
    const MutexLock lock(mutex_);
    if (group_->interpreter_id() != interpreter.id()) return;  // replaced: they are for those in the new one
    ours = std::exchange(dropped_, {});
    has_chores_.store(false, std::memory_order_relaxed);
  }
  for (const auto& [id, object] : ours) {
    if (id == interpreter.id()) interpreter.objects().remove(object);
  }
}

}  // namespace interpool::detail
