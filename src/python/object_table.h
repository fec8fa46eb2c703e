// Objects that handles of the host refer to, in one interpreter.
#pragma once

#include "python/cpython.h"

#include <cstdint>
#include <unordered_map>

namespace interpool::python {

/// Owns a reference to each object, under a number that no other object of it ever has. Everything needs the
/// interpreter's GIL, which guards it.
class ObjectTable {
 public:
  using Id = std::uint64_t;

  Id add(Object object);
  /// A new reference, or none: it has been removed, or the interpreter has been cleared.
  [[nodiscard]] Object find(Id id) const;
  /// May run Python code.
  void remove(Id id) noexcept;
  void clear() noexcept;

 private:
  std::unordered_map<Id, PyObject*> objects_;
  Id last_ = 0;
};

}  // namespace interpool::python
