#include "base/out_of_memory.h"

#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace interpool {

// Never destroyed: a task may fail in a process' last moment.

const Failure& native_out_of_memory() {
  static const auto* const failure = new Failure(
      std::make_shared<const NativeError>(std::make_exception_ptr(std::bad_alloc()), ErrorContext{}));
  return *failure;
}

const Failure& python_out_of_memory() {
  static const auto* const failure = [] {
    auto info = std::make_shared<PythonErrorInfo>();
    info->type = info->qualified_type = "MemoryError";
    info->message = "there was not enough memory to describe an exception";
    return new Failure(std::make_shared<const PythonError>(std::move(info), ErrorContext{}));
  }();
  return *failure;
}

}  // namespace interpool
