// Calling into one interpreter, under its GIL.
#pragma once

#include "interpool/detail/call.h"
#include "interpool/detail/function_ref.h"
#include "interpool/object.h"
#include "python/callback.h"
#include "python/error_capture.h"
#include "python/interpreter.h"

#include <string>
#include <string_view>

namespace interpool::python {

// Null is success, and the result has been decoded into `storage`. `gate` is for callbacks among the
// arguments.

Failure call(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
             TaskName task_name, GateOf gate, detail::EncodeThunk encode, const void* args,
             detail::DecodeThunk decode, void* storage) noexcept;
/// Calls the function and keeps what it returns; `id` is set unless it failed.
Failure create(detail::InterpreterHandle& interpreter, const detail::FunctionEntry& function,
               TaskName task_name, GateOf gate, detail::EncodeThunk encode, const void* args,
               ObjectTable::Id& id) noexcept;
/// Calls, reads or writes an attribute of an object that was kept.
Failure use(detail::InterpreterHandle& interpreter, ObjectTable::Id id, detail::ObjectUse use,
            std::string_view attribute, TaskName task_name, GateOf gate, detail::EncodeThunk encode,
            const void* args, detail::DecodeThunk decode, void* storage) noexcept;
Failure eval(detail::InterpreterHandle& interpreter, std::string_view expression, TaskName task_name,
             detail::DecodeThunk decode, void* storage) noexcept;
Failure exec(detail::InterpreterHandle& interpreter, std::string_view code, TaskName task_name) noexcept;

}  // namespace interpool::python
