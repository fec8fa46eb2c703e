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
  for (Parker* parker : parkers_) parker->unpark();
}

void InterpreterPlace::do_chores(InterpreterHandle& interpreter) noexcept {
  std::vector<Dropped> dropped;
  {
    const MutexLock lock(mutex_);
    dropped = std::exchange(dropped_, {});
    has_chores_.store(false, std::memory_order_relaxed);
  }
  for (const auto& [id, object] : dropped) {
    if (id == interpreter.id()) interpreter.objects().remove(object);
  }
}

}  // namespace interpool::detail
