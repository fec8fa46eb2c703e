// Calling into one interpreter, under its GIL.
#pragma once

#include "interpool/detail/call.h"
#include "python/interpreter.h"

#include <string>
#include <string_view>

namespace interpool::python {

// Null is success, and the result has been decoded into `storage`.

Failure call(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
             const std::string& task_name, detail::EncodeThunk encode, const void* args,
             detail::DecodeThunk decode, void* storage) noexcept;
Failure eval(detail::InterpreterHandle& interpreter, std::string_view expression,
             const std::string& task_name, detail::DecodeThunk decode, void* storage) noexcept;
Failure exec(detail::InterpreterHandle& interpreter, std::string_view code,
             const std::string& task_name) noexcept;

}  // namespace interpool::python
