// `interpool.Buffer`: what a Buffer is in Python.
#pragma once

#include "interpool/buffer.h"
#include "python/cpython.h"

namespace interpool::python {

// All of these need the GIL.

/// Makes the type; null: an exception is set. Each interpreter has one: InterpreterHandle::buffer_type().
Object make_buffer_type() noexcept;

/// A new object of the type, which make_buffer_type() has made; it holds a share of the memory. Null: an
/// exception is set.
PyObject* new_buffer(PyObject* type, const Buffer& buffer) noexcept;

/// Whether the object is an `interpool.Buffer`. There are no classes derived from it.
bool is_buffer(PyObject* object) noexcept;

/// The Buffer of an `interpool.Buffer`; valid as long as the object is.
const Buffer& buffer_of(PyObject* object) noexcept;

/// What an object of the buffer protocol holds: the memory itself, where it is a memoryview of an
/// `interpool.Buffer`, or else a copy. Runs Python code where the object is of a class with a `__buffer__`.
/// None: an exception is set. Throws UsageError for what no Buffer can be, and std::bad_alloc.
bool buffer_from(PyObject* exporter, Buffer& buffer);

}  // namespace interpool::python
