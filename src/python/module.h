// The module `interpool`, which Python code finds in every interpreter that the library sets up.
#pragma once

#include "interpool/error.h"
#include "interpool/log.h"
#include "interpool/output.h"
#include "python/cpython.h"
#include "python/interpreter.h"

#include <memory>
#include <optional>
#include <string_view>

namespace interpool::python {

/// What the module asks of the library. One for all interpreters, which share its ownership with the Runtime:
/// the main one outlives that. Thread-safe; called under the GIL of whichever interpreter asks.
class Host {
 public:
  virtual ~Host() = default;

  /// The calling thread's worker, "pooled-3" say; empty for a thread that is none. Valid on this thread until
  /// it next runs something else.
  [[nodiscard]] virtual std::string_view worker() const noexcept = 0;
  /// The name of the task that the calling thread runs, "" for one without; none: it runs no task. Valid
  /// until the task ends.
  [[nodiscard]] virtual std::optional<std::string_view> task() const noexcept = 0;
  /// Takes what Python code writes to a stream. Releases the GIL while the host is told; `bytes` is not
  /// looked at then. Throws std::bad_alloc.
  virtual void write(OutputStream stream, std::string_view bytes) = 0;
  /// Takes a record of Python's logging, in UTF-8. Releases the GIL while the host is told; what the views
  /// show must not depend on it.
  virtual void log(LogLevel level, std::string_view logger, std::string_view message) noexcept = 0;
};

/// Makes the module in the current interpreter and puts it into its sys.modules, where it shadows any other
/// of that name. Not by PyImport_AppendInittab, which is too late once Python has been initialized, as it is
/// when it is adopted. Under the GIL; null is success. The first call must have returned before another
/// interpreter makes one: it numbers the definition.
Failure add_module(detail::InterpreterHandle& interpreter, std::shared_ptr<Host> host);

Host& host_of(PyObject* module) noexcept;
/// The Host of a type that belongs to the module; null: an exception is set.
Host* host_of(PyTypeObject* type) noexcept;

}  // namespace interpool::python
