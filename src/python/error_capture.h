// From a raised Python exception to an Error that no longer needs Python.
#pragma once

#include "interpool/detail/function_ref.h"
#include "interpool/error.h"
#include "python/cpython.h"

#include <optional>
#include <string>
#include <string_view>

namespace interpool::python {

/// Asked for the name of the task only when there is an error to tell.
using TaskName = detail::FunctionRef<std::string()>;

// All of these need the GIL. All but utf8_of() leave no exception set, and fall back to a placeholder where
// the object at hand misbehaves or memory runs out: they are for messages.

/// Takes the exception that is set and makes its typed Error. Formatting is done here, in C++: an
/// interpreter that fails never has to import `traceback` (1.3 MB and 10 ms each). The
/// PyErr_Print family is never used: on SystemExit it ends the process. Without memory for it the Error
/// says just that. What a callback threw comes out as itself.
Failure take_error(const ErrorContext& context) noexcept;

/// The UTF-8 of a str, lone surrogates included. None: an exception is set.
std::optional<std::string> utf8_of(PyObject* text);
std::string text_of(PyObject* text);
std::string repr_of(PyObject* object);
std::string type_name(PyObject* object);
/// Adds to what is told of an exception, by its add_note().
void add_note(PyObject* exception, std::string_view note);

}  // namespace interpool::python
