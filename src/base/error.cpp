#include "interpool/error.h"

#include <fmt/format.h>

#include <iterator>
#include <typeinfo>
#include <utility>

namespace interpool {

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kPython: return "python";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kQueueFull: return "queue_full";
    case ErrorCode::kShutdown: return "shutdown";
    case ErrorCode::kAbandoned: return "abandoned";
    case ErrorCode::kWorker: return "worker";
    case ErrorCode::kConversion: return "conversion";
    case ErrorCode::kDeadlock: return "deadlock";
    case ErrorCode::kUsage: return "usage";
    case ErrorCode::kRuntimeState: return "runtime_state";
    case ErrorCode::kNative: return "native";
  }
  return "unknown";
}

struct Error::Data {
  ErrorCode code;
  std::string message;
  ErrorContext context;
  std::string what;
};

namespace {

std::string describe(const std::string& message, const ErrorContext& context) {
  if (context.task.empty() && context.interpreter < 0) return message;
  if (context.task.empty()) return fmt::format("{} [interpreter {}]", message, context.interpreter);
  if (context.interpreter < 0) return fmt::format("{} [task '{}']", message, context.task);
  return fmt::format("{} [task '{}', interpreter {}]", message, context.task, context.interpreter);
}

std::string summary(const PythonErrorInfo& info) {
  return info.message.empty() ? info.qualified_type : info.qualified_type + ": " + info.message;
}

std::string native_message(const std::exception_ptr& original) {
  try {
    std::rethrow_exception(original);
  } catch (const std::exception& error) {
    return fmt::format("a C++ exception left the task: {}", error.what());
  } catch (...) {
    return "a C++ exception that is not a std::exception left the task";
  }
}

void append(std::string& text, const PythonErrorInfo& info) {
  auto out = std::back_inserter(text);
  if (info.cause) {
    append(text, *info.cause);
    fmt::format_to(out, "\n{}\n\n",
                   info.cause_is_context
                       ? "During handling of the above exception, another exception occurred:"
                       : "The above exception was the direct cause of the following exception:");
  }
  if (!info.frames.empty()) fmt::format_to(out, "Traceback (most recent call last):\n");
  for (const PythonFrame& frame : info.frames) {
    fmt::format_to(out, "  File \"{}\", line {}, in {}\n", frame.file, frame.line, frame.function);
    if (!frame.source.empty()) fmt::format_to(out, "    {}\n", frame.source);
  }
  fmt::format_to(out, "{}\n", summary(info));
  for (const std::string& note : info.notes) fmt::format_to(out, "{}\n", note);
}

}  // namespace

Error::Error(ErrorCode code, std::string message, ErrorContext context) {
  std::string what = describe(message, context);
  data_ = std::make_shared<const Data>(Data{code, std::move(message), std::move(context), std::move(what)});
}
Error::~Error() = default;
ErrorCode Error::code() const noexcept { return data_->code; }
const std::string& Error::message() const noexcept { return data_->message; }
const char* Error::what() const noexcept { return data_->what.c_str(); }
const std::string& Error::task() const noexcept { return data_->context.task; }
std::int64_t Error::interpreter() const noexcept { return data_->context.interpreter; }
void Error::raise() const { throw *this; }
Failure Error::share() const { return std::make_shared<const Error>(*this); }

std::string PythonErrorInfo::format() const {
  std::string text;
  append(text, *this);
  return text;
}

PythonError::PythonError(std::shared_ptr<const PythonErrorInfo> info, ErrorContext context)
    : Error(ErrorCode::kPython, summary(*info), std::move(context)), info_(std::move(info)) {}
PythonError::~PythonError() = default;
void PythonError::raise() const { throw *this; }
Failure PythonError::share() const { return std::make_shared<const PythonError>(*this); }

SystemExitError::SystemExitError(std::shared_ptr<const PythonErrorInfo> info, ErrorContext context,
                                 int exit_code)
    : PythonError(std::move(info), std::move(context)), exit_code_(exit_code) {}
SystemExitError::~SystemExitError() = default;
void SystemExitError::raise() const { throw *this; }
Failure SystemExitError::share() const { return std::make_shared<const SystemExitError>(*this); }

KeyboardInterruptError::~KeyboardInterruptError() = default;
void KeyboardInterruptError::raise() const { throw *this; }
Failure KeyboardInterruptError::share() const {
  return std::make_shared<const KeyboardInterruptError>(*this);
}

ConversionError::ConversionError(std::string path, std::string message, ErrorContext context)
    : Error(ErrorCode::kConversion, path.empty() ? message : path + ": " + message, std::move(context)),
      path_(std::make_shared<const std::string>(std::move(path))),
      reason_(std::make_shared<const std::string>(std::move(message))) {}
ConversionError::~ConversionError() = default;
void ConversionError::raise() const { throw *this; }
Failure ConversionError::share() const { return std::make_shared<const ConversionError>(*this); }

NativeError::NativeError(std::exception_ptr original, ErrorContext context)
    : Error(ErrorCode::kNative, native_message(original), std::move(context)),
      original_(std::move(original)) {}
NativeError::~NativeError() = default;
void NativeError::raise() const { std::rethrow_exception(original_); }
Failure NativeError::share() const { return std::make_shared<const NativeError>(*this); }

#define INTERPOOL_PLAIN_ERROR(Name, code)                      \
  Name::Name(std::string message, ErrorContext context)        \
      : Error(code, std::move(message), std::move(context)) {} \
  Name::~Name() = default;                                     \
  void Name::raise() const { throw *this; }                    \
  Failure Name::share() const { return std::make_shared<const Name>(*this); }

INTERPOOL_PLAIN_ERROR(CancelledError, ErrorCode::kCancelled)
INTERPOOL_PLAIN_ERROR(TimeoutError, ErrorCode::kTimeout)
INTERPOOL_PLAIN_ERROR(QueueFullError, ErrorCode::kQueueFull)
INTERPOOL_PLAIN_ERROR(ShutdownError, ErrorCode::kShutdown)
INTERPOOL_PLAIN_ERROR(AbandonedError, ErrorCode::kAbandoned)
INTERPOOL_PLAIN_ERROR(WorkerError, ErrorCode::kWorker)
INTERPOOL_PLAIN_ERROR(DeadlockError, ErrorCode::kDeadlock)
INTERPOOL_PLAIN_ERROR(UsageError, ErrorCode::kUsage)
INTERPOOL_PLAIN_ERROR(RuntimeStateError, ErrorCode::kRuntimeState)

#undef INTERPOOL_PLAIN_ERROR

}  // namespace interpool
