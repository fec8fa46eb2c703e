// Objects that stay until the process ends.
#pragma once

#include <memory>

namespace interpool::detail {

/// Keeps a share of an object until the process ends, for a thread that cannot be ended and may come back to
/// it. What is kept can still be reached, so that a leak checker reports only what was lost by mistake. Any
/// thread, at any time.
void keep_for_ever(std::shared_ptr<const void> object);

}  // namespace interpool::detail
