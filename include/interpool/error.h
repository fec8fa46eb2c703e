// Errors: few kinds, each defined by what the caller does next.
#pragma once

#include <interpool/detail/api.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace interpool {

/// What went wrong, as a caller would switch on it.
enum class ErrorCode : std::uint8_t {
  kPython,        ///< Python code raised; the task ran. PythonError and what derives from it.
  kCancelled,     ///< Cancelled before it ran, by Future::cancel or by the end of its executor.
  kTimeout,       ///< Its deadline passed before it ran (or before its queue had room).
  kQueueFull,     ///< The queue was full and the executor rejects. Try again later.
  kShutdown,      ///< The executor was closed before the task was accepted. It never will be.
  kAbandoned,     ///< Given up while it ran: what it did, or still does, is unknown.
  kWorker,        ///< No interpreter for it: a task may be tried again, an Object has to be created anew.
  kConversion,    ///< A value does not convert; what Python did before that is done.
  kDeadlock,      ///< The call would have waited for itself. Fix the program.
  kUsage,         ///< A bad option, name or call. Fix the program.
  kRuntimeState,  ///< No Python to be had: a second Runtime, an ended one, a forked child.
  kNative,        ///< A C++ callable threw an exception that is not an Error of this library.
};

/// The code's name, for logs: "python", "queue_full", …
INTERPOOL_API const char* to_string(ErrorCode code) noexcept;

/// Where an error happened.
struct ErrorContext {
  std::string task;               ///< The task's name, or the called function's; else empty.
  std::int64_t interpreter = -1;  ///< CPython's id of the interpreter; -1: none was involved.
};

/// The base of every exception the library throws and of every failure a Result holds.
///
/// Immutable and free of Python: it may be copied, kept and destroyed on any thread, at any time.
/// Copying does not throw.
class INTERPOOL_API Error : public std::exception {
 public:
  /// A host's own types derive from it, and override share() and raise().
  Error(ErrorCode code, std::string message, ErrorContext context = {});
  Error(const Error&) noexcept = default;
  Error& operator=(const Error&) noexcept = default;
  ~Error() override;

  /// The kind, to switch on.
  [[nodiscard]] ErrorCode code() const noexcept;
  /// The message alone.
  [[nodiscard]] const std::string& message() const noexcept;
  /// The message with the task's name and the interpreter's id behind it.
  [[nodiscard]] const char* what() const noexcept override;
  /// ErrorContext::task: the task's name, or the called function's; else empty.
  [[nodiscard]] const std::string& task() const noexcept;
  /// ErrorContext::interpreter: CPython's id of it; -1: none was involved.
  [[nodiscard]] std::int64_t interpreter() const noexcept;

  /// Throws a copy of this error as its own type.
  [[noreturn]] virtual void raise() const;
  /// A copy of this error, of its own type, to be kept.
  [[nodiscard]] virtual std::shared_ptr<const Error> share() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

/// A failure as it is stored and handed around without being thrown. Null means "no failure".
using Failure = std::shared_ptr<const Error>;

/// One frame of a Python traceback, outermost call first.
struct PythonFrame {
  std::string file;      ///< As Python names it: "/srv/app/parser.py", "<string>".
  int line = 0;          ///< From 1; 0 where Python knows none.
  std::string function;  ///< The qualified name, as in "Parser.parse".
  std::string source;    ///< The text of the line where its file could be read; else empty.
};

/// A Python exception as data: nothing in it refers to an interpreter.
struct PythonErrorInfo {
  std::string type;                 ///< "KeyError"
  std::string qualified_type;       ///< "json.decoder.JSONDecodeError"; builtins have no prefix.
  std::string message;              ///< str(exception)
  std::vector<PythonFrame> frames;  ///< The traceback; empty for an exception that was never raised.
  std::vector<std::string> notes;   ///< What add_note() added.
  /// What it was raised from (`raise … from cause`), or what was being handled when it was raised.
  std::shared_ptr<const PythonErrorInfo> cause;
  bool cause_is_context = false;  ///< True: `cause` was only being handled at the time.

  /// The text that Python would print for it, causes first, ending in a newline.
  [[nodiscard]] INTERPOOL_API std::string format() const;
};

/// A task's Python code raised an exception.
class INTERPOOL_API PythonError : public Error {
 public:
  /// `info` must not be null. It is shared, by copies too.
  PythonError(std::shared_ptr<const PythonErrorInfo> info, ErrorContext context);
  ~PythonError() override;

  /// "JSONDecodeError"
  [[nodiscard]] const std::string& type() const noexcept { return info_->type; }
  /// "json.decoder.JSONDecodeError"; builtins have no prefix.
  [[nodiscard]] const std::string& qualified_type() const noexcept { return info_->qualified_type; }
  /// str(exception), without the type that message() begins with.
  [[nodiscard]] const std::string& python_message() const noexcept { return info_->message; }
  /// The traceback, outermost call first.
  [[nodiscard]] const std::vector<PythonFrame>& frames() const noexcept { return info_->frames; }
  /// What add_note() added.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return info_->notes; }
  /// The exception's cause or context, or null.
  [[nodiscard]] const PythonErrorInfo* cause() const noexcept { return info_->cause.get(); }
  /// The formatted traceback, with causes and notes, as Python prints it.
  [[nodiscard]] std::string traceback() const { return info_->format(); }
  /// All of it; lives as long as this error or a copy of it.
  [[nodiscard]] const PythonErrorInfo& info() const noexcept { return *info_; }

  [[noreturn]] void raise() const override;
  [[nodiscard]] std::shared_ptr<const Error> share() const override;

 private:
  std::shared_ptr<const PythonErrorInfo> info_;
};

/// A task called sys.exit() or raised SystemExit. It ends that task only; the host decides the rest.
class INTERPOOL_API SystemExitError final : public PythonError {
 public:
  /// See PythonError.
  SystemExitError(std::shared_ptr<const PythonErrorInfo> info, ErrorContext context, int exit_code);
  ~SystemExitError() override;
  /// The exit status Python would have ended with: the code, 0 for None, 1 for any other object.
  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }
  [[noreturn]] void raise() const override;
  [[nodiscard]] std::shared_ptr<const Error> share() const override;

 private:
  int exit_code_;
};

/// A task raised KeyboardInterrupt.
class INTERPOOL_API KeyboardInterruptError final : public PythonError {
 public:
  using PythonError::PythonError;
  ~KeyboardInterruptError() override;
  [[noreturn]] void raise() const override;
  [[nodiscard]] std::shared_ptr<const Error> share() const override;
};

/// A value does not convert between C++ and Python. `path` leads to it: `[3].user.id`.
class INTERPOOL_API ConversionError final : public Error {
 public:
  /// `path` may be empty; message() has both.
  ConversionError(std::string path, std::string message, ErrorContext context = {});
  ~ConversionError() override;
  /// Where in the value the problem is; empty when it is the whole value.
  [[nodiscard]] const std::string& path() const noexcept { return *path_; }
  /// The message without the path.
  [[nodiscard]] const std::string& reason() const noexcept { return *reason_; }
  [[noreturn]] void raise() const override;
  [[nodiscard]] std::shared_ptr<const Error> share() const override;

 private:
  std::shared_ptr<const std::string> path_;
  std::shared_ptr<const std::string> reason_;
};

/// A C++ callable threw something that is not an Error, or one of a type of the host's own that does not
/// override share() and raise(). raise() here, and so Future::get, throws the original exception.
class INTERPOOL_API NativeError final : public Error {
 public:
  /// `original` must not be null.
  NativeError(std::exception_ptr original, ErrorContext context);
  ~NativeError() override;
  /// The exception that was thrown. It is shared, not copied: its destructor runs wherever the last copy of
  /// this error dies.
  [[nodiscard]] const std::exception_ptr& original() const noexcept { return original_; }
  [[noreturn]] void raise() const override;
  [[nodiscard]] std::shared_ptr<const Error> share() const override;

 private:
  std::exception_ptr original_;
};

// The kinds that carry nothing more than their message.
#define INTERPOOL_PLAIN_ERROR(Name)                                    \
  class INTERPOOL_API Name final : public Error {                      \
   public:                                                             \
    explicit Name(std::string message, ErrorContext context = {});     \
    ~Name() override;                                                  \
    [[noreturn]] void raise() const override;                          \
    [[nodiscard]] std::shared_ptr<const Error> share() const override; \
  }

/// The work was cancelled before it ran.
INTERPOOL_PLAIN_ERROR(CancelledError);
/// The deadline passed before the work ran, or before its queue had room.
INTERPOOL_PLAIN_ERROR(TimeoutError);
/// The queue is full; nothing was queued.
INTERPOOL_PLAIN_ERROR(QueueFullError);
/// The executor is closed; nothing was queued.
INTERPOOL_PLAIN_ERROR(ShutdownError);
/// The task was given up while it ran; its thread may still be in it.
INTERPOOL_PLAIN_ERROR(AbandonedError);
/// There is no interpreter for the work, which did not run. One for the task could not be created or set up:
/// the next task tries again. The one that an Object lived in has ended: create it anew. Or threads could not
/// be started.
INTERPOOL_PLAIN_ERROR(WorkerError);
/// The call would have waited for something that waits for the caller.
INTERPOOL_PLAIN_ERROR(DeadlockError);
/// A bad option, function name or use of an object: the calling program has to change.
INTERPOOL_PLAIN_ERROR(UsageError);
/// There is no Python for this call: a second Runtime, one that has ended, a forked child.
INTERPOOL_PLAIN_ERROR(RuntimeStateError);

#undef INTERPOOL_PLAIN_ERROR

}  // namespace interpool
