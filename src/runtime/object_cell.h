// ObjectCell: what is behind the handles of one Python object.
#pragma once

#include "interpool/executor.h"
#include "python/object_table.h"
#include "runtime/interpreter_place.h"

#include <cstdint>
#include <memory>
#include <string>

namespace interpool::detail {

class ExecutorCore;

/// Where the object is. Shared-owned by its handles and the tasks that use it; the last one has the reference
/// in the interpreter dropped. Constant, and so thread-safe.
class ObjectCell {
 public:
  /// `made_by`: the function that made it, for names.
  ObjectCell(std::shared_ptr<ExecutorCore> core, Address address, std::int64_t interpreter,
             python::ObjectTable::Id id, std::string made_by)
      : core_(std::move(core)),
        address_(address),
        interpreter_(interpreter),
        id_(id),
        made_by_(std::move(made_by)) {}
  ~ObjectCell();
  ObjectCell(const ObjectCell&) = delete;
  ObjectCell& operator=(const ObjectCell&) = delete;

  [[nodiscard]] const std::shared_ptr<ExecutorCore>& core() const noexcept { return core_; }
  [[nodiscard]] Address address() const noexcept { return address_; }
  [[nodiscard]] std::int64_t interpreter() const noexcept { return interpreter_; }
  [[nodiscard]] python::ObjectTable::Id id() const noexcept { return id_; }
  [[nodiscard]] const std::string& made_by() const noexcept { return made_by_; }

 private:
  const std::shared_ptr<ExecutorCore> core_;
  const Address address_;
  const std::int64_t interpreter_;
  const python::ObjectTable::Id id_;
  const std::string made_by_;
};

}  // namespace interpool::detail
