// Calling into one interpreter, under its GIL.
#pragma once

#include "interpool/detail/call.h"
#include "interpool/detail/function_ref.h"
#include "python/interpreter.h"

#include <string>
#include <string_view>

namespace interpool::python {

/// Asked for the name of the task only when there is an error to tell.
using TaskName = detail::FunctionRef<std::string()>;

// Null is success, and the result has been decoded into `storage`.

Failure call(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
             TaskName task_name, detail::EncodeThunk encode, const void* args, detail::DecodeThunk decode,
             void* storage) noexcept;
Failure eval(detail::InterpreterHandle& interpreter, std::string_view expression, TaskName task_name,
             detail::DecodeThunk decode, void* storage) noexcept;
Failure exec(detail::InterpreterHandle& interpreter, std::string_view code, TaskName task_name) noexcept;

}  // namespace interpool::python
