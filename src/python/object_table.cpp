#include "python/object_table.h"

namespace interpool::python {

ObjectTable::Id ObjectTable::add(Object object) {
  objects_.emplace(last_ + 1, object.get());
  (void)object.release();
  return ++last_;
}

Object ObjectTable::find(Id id) const {
  const auto found = objects_.find(id);
  return found == objects_.end() ? Object() : Object::share(found->second);
}

void ObjectTable::remove(Id id) noexcept {
  const auto found = objects_.find(id);
  if (found == objects_.end()) return;
  const Object dying = Object::take(found->second);  // after the table: its destructor may come back here
  objects_.erase(found);
}

void ObjectTable::clear() noexcept {
  const auto dying = std::exchange(objects_, {});
  for (const auto& [id, object] : dying) Py_DECREF(object);
}

}  // namespace interpool::python
