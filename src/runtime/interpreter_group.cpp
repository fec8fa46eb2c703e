#include "runtime/interpreter_group.h"

#include <fmt/format.h>

#include <utility>

namespace interpool::detail {

InterpreterGroup::InterpreterGroup(Journals journals, ProcessState& process, const Setup& setup)
    : journals_(std::move(journals)),
      process_(process),
      setup_(setup),
      growing_(journals_.empty() ? nullptr : journals_.back().get()),
      constant_steps_(growing_ == nullptr ? 0 : journal_size() - growing_->size()) {}

std::optional<std::int64_t> InterpreterGroup::interpreter_id() {
  const MutexLock lock(mutex_);
  if (handle_ == nullptr || closing_) return std::nullopt;
  return handle_->id();
}

std::size_t InterpreterGroup::journal_size() const noexcept {
  std::size_t size = 0;
  for (const auto& journal : journals_) size += journal->size();
  return size;
}

Failure InterpreterGroup::enter(python::ThreadState& state) {
  if (!state) {
    if (Failure failure = create_or_join(state)) return failure;
  }
  state.attach();
  if (!behind()) return nullptr;  // what the steps have done is ordered by the GIL
  state.detach();
  return set_up(state);
}

Failure InterpreterGroup::create_or_join(python::ThreadState& state) {
  mutex_.lock();
  while (busy_) changed_.wait(mutex_);
  if (closing_ || retired()) {
    mutex_.unlock();
    return std::make_shared<const WorkerError>("the interpreter is ending");
  }
  if (handle_ != nullptr) {
    state = python::ThreadState(handle_->state());
    ++threads_;
    mutex_.unlock();
    return nullptr;
  }
  busy_ = true;
  mutex_.unlock();

  std::string error;
  const auto begin = std::chrono::steady_clock::now();
  try {
    python::CreatedInterpreter created = python::create_interpreter(process_.creation, setup_.shared);
    state = std::move(created.state);
    error = std::move(created.error);
  } catch (const std::exception& exception) {
    error = exception.what();
  }

  const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;

  const MutexLock lock(mutex_);
  busy_ = false;
  changed_.notify_all();
  if (!state) {
    return std::make_shared<const WorkerError>(
        fmt::format("the sub-interpreter could not be created: {}", error));
  }
  handle_ = std::make_shared<InterpreterHandle>(state.interpreter(), process_.functions, setup_.place);
  creator_ = std::this_thread::get_id();
  threads_ = 1;
  positions_.assign(journals_.size(), 0);
  // relaxed, both, and where they fall: to be looked at; handle_ is handed on by the mutex.
  process_.live_interpreters.fetch_add(1, std::memory_order_relaxed);
  exists_.store(true, std::memory_order_relaxed);
  generation_.store(setup_.births->add(took), std::memory_order_relaxed);
  start_time_.store(took.count(), std::memory_order_relaxed);
  return nullptr;
}

Failure InterpreterGroup::set_up(python::ThreadState& state) {
  std::vector<std::size_t> positions;
  {
    const MutexLock lock(mutex_);
    while (busy_) changed_.wait(mutex_);
    busy_ = true;
    positions = positions_;
  }
  state.attach();
  Failure failure;
  for (std::size_t j = 0; j < journals_.size() && !failure; ++j) {
    while (positions[j] < journals_[j]->size()) {
      const auto step = journals_[j]->step(positions[j]);
      if (const Failure cause = step->apply(*handle_)) {
        failure = std::make_shared<const WorkerError>(
            fmt::format("setting up the interpreter ({}) failed: {}", step->what, cause->message()),
            ErrorContext{.task = {}, .interpreter = handle_->id()});
        break;
      }
      ++positions[j];
    }
  }
  // What steps add that come later, broadcasts say, is growth.
  if (!failure && !std::exchange(set_up_once_, true) && process_.memory != nullptr) {
    bytes_at_start_ = process_.memory->bytes(handle_->id());
  }
  if (failure) state.detach();
  const MutexLock lock(mutex_);
  std::size_t done = 0;
  for (const std::size_t position : positions) done += position;
  positions_ = std::move(positions);
  steps_done_.store(done, std::memory_order_release);  // release: the steps themselves
  busy_ = false;
  changed_.notify_all();
  return failure;
}

void InterpreterGroup::retire() noexcept {
  const MutexLock lock(mutex_);  // so that nobody joins who has looked before
  retired_.store(true, std::memory_order_relaxed);
}

bool InterpreterGroup::leave(python::ThreadState& state, std::chrono::steady_clock::time_point deadline) {
  if (!state) return true;
  if (!created_here()) {
    state.destroy();
    const MutexLock lock(mutex_);
    --threads_;
    changed_.notify_all();
    return true;
  }
  {
    const MutexLock lock(mutex_);
    // Without a bound: if another thread is stuck here, stop() gives us both up, and we end the
    // interpreter when it comes back.
    while (threads_ > 1) changed_.wait(mutex_);
    closing_ = true;  // nobody joins it from now on
  }
  if (!python::end_interpreter(*handle_, state, deadline)) return false;
  if (process_.memory != nullptr) process_.memory->forget(handle_->id());
  process_.live_interpreters.fetch_sub(1, std::memory_order_relaxed);
  exists_.store(false, std::memory_order_relaxed);
  return true;
}

}  // namespace interpool::detail
