// The Python threads of an interpreter, and what the end of one has to do with them.
#pragma once

#include "python/cpython.h"

namespace interpool::python {

/// Joins the interpreter's non-daemon threads and runs what `threading` runs before that (the end of
/// concurrent.futures pools, say), as its finalization would; once: its finalization then finds it
/// done. Under the GIL, which it gives up while it waits, without a bound.
void join_python_threads() noexcept;

/// Whether any thread but the calling one has a thread state in the interpreter. Under its GIL.
bool has_other_threads(PyInterpreterState* interpreter) noexcept;

}  // namespace interpool::python
