// Whether this process is a forked child of one that had a Runtime.
#pragma once

#include "interpool/error.h"

namespace interpool {

/// Makes fork() set the flag below in children; once per process.
void watch_for_fork();

/// True in a forked child: the threads behind every executor stayed with the parent, and any lock may
/// have been copied while it was held. Nothing may be touched then.
bool in_forked_child() noexcept;

/// The RuntimeStateError that says so.
Failure forked_failure();
/// Throws RuntimeStateError in a forked child.
void require_not_forked();

}  // namespace interpool
