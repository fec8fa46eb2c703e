// Python's output streams, leading to the host.
#pragma once

#include "interpool/error.h"

namespace interpool::python {

/// Replaces sys.stdout and sys.stderr of the current interpreter, and what sys.__stdout__ and sys.__stderr__
/// keep of them, by text streams that hand each write to the Host at once. After add_module(), under the GIL;
/// null is success.
Failure redirect_output();

}  // namespace interpool::python
