// What stands for an error when there is no memory left to make one.
#pragma once

#include "interpool/error.h"

namespace interpool {

/// A NativeError of std::bad_alloc, for a failure of ours or of a callable. Made at the first call, which the
/// Runtime does when it starts; no later one allocates.
const Failure& native_out_of_memory();

/// A PythonError that says MemoryError, for an exception that could not be described. The same holds.
const Failure& python_out_of_memory();

}  // namespace interpool
