#include "runtime/inside.h"

#include "base/utf8.h"
#include "python/thread_state.h"
#include "runtime/attached_worker.h"
#include "runtime/fork_guard.h"
#include "runtime/worker_thread.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <string>
#include <utility>

namespace interpool::detail {

/// What a thread has written since the last newline. It belongs to the thread, since print() writes its
/// arguments and their newline one by one, and nothing is to come in between.
struct Inside::Begun {
  ~Begun() {
    finish();
    is_ending = true;
  }
  void finish() noexcept;

  std::shared_ptr<Inside> inside;
  std::array<std::string, 2> text;  // by OutputStream

  static Begun& mine() {
    thread_local Begun begun;
    return begun;
  }
};

constinit thread_local bool Inside::has_begun = false;
constinit thread_local bool Inside::is_ending = false;

void Inside::prepare_thread() { (void)Begun::mine(); }

std::string_view Inside::worker() const noexcept {
  if (const WorkerThread* worker = WorkerThread::current()) return worker->id();
  if (const AttachedWorker* worker = AttachedWorker::current()) return worker->id();
  return {};
}

std::optional<std::string_view> Inside::task() const noexcept {
  if (const WorkerThread* worker = WorkerThread::current()) {
    const TaskBase* task = worker->current_task();
    if (task == nullptr) return std::nullopt;
    return task->name();
  }
  if (const AttachedWorker* worker = AttachedWorker::current()) return worker->task_name();
  return std::nullopt;
}

void Inside::write(OutputStream stream, std::string_view bytes) {
  if (is_ending) {  // other thread-local objects still print; nothing comes that could go on with a line
    const std::string text(bytes);
    const python::GilRelease no_gil;
    const std::size_t lines = hand_over_lines(stream, text);
    if (lines < text.size()) hand_over(stream, text.substr(lines), /*newline=*/false);
    return;
  }
  std::string& begun = Begun::mine().text[static_cast<std::size_t>(stream)];
  begun += bytes;
  if (bytes.find('\n') != std::string_view::npos || begun.size() > kLongestOutputLine) {
    // Moved out: a callback that gets hold of a GIL may print, too.
    const std::string text = std::exchange(begun, {});
    const python::GilRelease no_gil;
    begun.insert(0, text, hand_over_lines(stream, text));
  }
  if (!begun.empty()) {
    Begun::mine().inside = shared_from_this();
    has_begun = true;
  }
}

void Inside::Begun::finish() noexcept {
  has_begun = false;
  if (text[0].empty() && text[1].empty()) return;
  const auto lines = std::exchange(text, {});
  const python::GilRelease no_gil;
  for (const OutputStream stream : {OutputStream::kStdout, OutputStream::kStderr}) {
    const std::string& line = lines[static_cast<std::size_t>(stream)];
    if (!line.empty()) inside->hand_over(stream, line, /*newline=*/false);
  }
}

void Inside::finish_begun_lines() noexcept { Begun::mine().finish(); }

std::size_t Inside::hand_over_lines(OutputStream stream, std::string_view text) noexcept {
  std::string_view rest = text;
  for (;;) {
    // No further than a line may reach: the rest may be long, and comes up again.
    const std::size_t end = rest.substr(0, kLongestOutputLine + 1).find('\n');
    if (end != std::string_view::npos) {
      hand_over(stream, rest.substr(0, end), /*newline=*/true);
      rest.remove_prefix(end + 1);
    } else if (rest.size() > kLongestOutputLine) {
      const std::string_view piece = cut(rest, kLongestOutputLine);
      hand_over(stream, piece, /*newline=*/false);
      rest.remove_prefix(piece.size());
    } else {
      return text.size() - rest.size();
    }
  }
}

void Inside::hand_over(OutputStream stream, std::string_view text, bool newline) noexcept {
  if (in_forked_child()) {
    // The host's locks may have been copied while they were held: to where it would go without the host.
    const int file = stream == OutputStream::kStdout ? STDOUT_FILENO : STDERR_FILENO;
    (void)!::write(file, text.data(), text.size());
    if (newline) (void)!::write(file, "\n", 1);
    return;
  }
  tell_host("output", [&] {
    const std::string escaped = is_utf8(text) ? std::string() : with_escapes(text);
    output_({.stream = stream,
             .text = escaped.empty() ? text : escaped,
             .newline = newline,
             .worker = worker(),
             .task = task().value_or(std::string_view())});
  });
}

void Inside::log(LogLevel level, std::string_view logger, std::string_view message) noexcept {
  if (in_forked_child()) return;  // the logger's lock may have been copied while it was held
  const python::GilRelease no_gil;
  tell_host("python_log", [&] {
    const LogRecord record{.level = level,
                           .logger = logger,
                           .message = message,
                           .worker = worker(),
                           .task = task().value_or(std::string_view())};
    if (record_) {
      record_(record);
    } else {
      log_->log(level, "{}{}{}] {}: {}", record.worker.empty() ? "[python" : "[", record.worker,
                record.task.empty() ? std::string() : fmt::format(" '{}'", record.task), logger, message);
    }
  });
}

template <class Tell>
void Inside::tell_host(const char* which, Tell tell) noexcept {
  if (!admission_.try_enter()) return;
  try {
    tell();
  } catch (const std::exception& error) {
    log_->error("the {} callback threw: {}", which, error.what());
  } catch (...) {
    log_->error("the {} callback threw something that is no std::exception", which);
  }
  admission_.leave();
}

bool Inside::close(Clock::time_point deadline) noexcept {
  admission_.close();
  if (!admission_.wait_until_empty(deadline)) return false;
  // Nobody comes in any more, and what was done inside is seen.
  output_ = nullptr;
  record_ = nullptr;
  return true;
}

}  // namespace interpool::detail
