// ContextVars: what the host sets for the Python code of one task.
#pragma once

#include <interpool/value.h>

#include <string>
#include <utility>
#include <vector>

namespace interpool {

/// Values for Python's contextvars, in the order in which they are set; of two for one variable the later
/// counts. Each is for a ContextVar that Python code has made: "module:NAME", looked up as functions are.
///
///     pool.with({.context = {{"app:request_id", "17"}, {"app:user", 42}}}).call<void>("app:handle");
///
/// What is no Value by itself becomes one by Value::from.
using ContextVars = std::vector<std::pair<std::string, Value>>;

}  // namespace interpool
