// Starting CPython in this process, and bringing it to rest.
#pragma once

#include "interpool/runtime.h"
#include "python/cpython.h"

#include <string>
#include <vector>

namespace interpool::python {

/// Whether this process has an initialized CPython. Needs nothing.
bool is_initialized() noexcept;

/// Makes libpython's symbols global, as extension modules expect. They are not when the host is a
/// plug-in that was loaded with RTLD_LOCAL.
void promote_libpython() noexcept;

/// Checks what can be checked before CPython is started; throws UsageError. Resolves paths.
RuntimeOptions check_options(RuntimeOptions options);

/// Initializes CPython on the calling thread, which becomes Python's main thread and holds the GIL
/// afterwards. Throws UsageError or RuntimeStateError.
void initialize(const RuntimeOptions& options);

/// Whether the calling thread holds the main interpreter's GIL.
bool attached_to_main() noexcept;

/// Imports into main what must not be imported first, or concurrently, by other interpreters. Under
/// main's GIL. Returns what went wrong, one line each. `on_main_thread`: the caller may be taken for
/// Python's main thread.
std::vector<std::string> prepare_main(bool on_main_thread);

/// Brings the main interpreter to rest without ending it: joins Python threads, runs the atexit
/// callbacks, flushes the streams. Under main's GIL. Nothing bounds it but the caller's patience.
/// `on_main_thread`: the caller is Python's main thread; only then are threads joined, as `threading`
/// counts the main thread among those to be waited for on 3.12.
void quiesce_main(bool on_main_thread) noexcept;

/// "3.13.0"
std::string version();

}  // namespace interpool::python
