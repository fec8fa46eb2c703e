// Tasks that keep workers busy until the test lets them go.
#pragma once

#include "support/sync.h"

#include <interpool/executor.h>

#include <memory>
#include <optional>
#include <utility>

namespace interpool::test {

/// A task that runs, with its interpreter's GIL held, until release(). Released at the latest at its end.
class BusyTask {
 public:
  /// Returns once the task runs.
  explicit BusyTask(const Submitter& submitter) : state_(std::make_shared<State>()) {
    future_ = submitter.submit([state = state_](Worker& worker) {
      state->lane = worker.lane();
      state->index = worker.index();
      state->interpreter = worker.interpreter_id();
      state->started.set();
      state->released.wait();
    });
    state_->started.wait();
  }
  BusyTask(BusyTask&&) noexcept = default;
  BusyTask& operator=(BusyTask&&) = delete;
  ~BusyTask() {
    if (state_) state_->released.set();
  }

  void release() { state_->released.set(); }
  [[nodiscard]] Future<void>& future() { return future_; }
  [[nodiscard]] std::size_t index() const { return state_->index; }
  [[nodiscard]] std::int64_t interpreter() const { return state_->interpreter; }

 private:
  struct State {
    Event started;
    Event released;
    Lane lane{};
    std::size_t index = 0;
    std::int64_t interpreter = -1;
  };
  std::shared_ptr<State> state_;
  Future<void> future_;
};

/// Tells when, and on which thread, a callable or an argument dies. Copies share the record; the
/// death is that of the last one.
class Mortal {
 public:
  struct Record {
    Event died;
    std::thread::id thread;
  };
  Mortal() : record_(std::make_shared<Record>()), life_(std::make_shared<Life>(record_)) {}

  [[nodiscard]] std::shared_ptr<Record> record() const { return record_; }
  /// Lets go of this copy.
  void forget() { life_.reset(); }

 private:
  struct Life {
    explicit Life(std::shared_ptr<Record> to) : record(std::move(to)) {}
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;
    ~Life() {
      record->thread = std::this_thread::get_id();
      record->died.set();
    }
    std::shared_ptr<Record> record;
  };
  std::shared_ptr<Record> record_;
  std::shared_ptr<Life> life_;
};

/// Does something when it dies.
template <class F>
class AtDeath {
 public:
  explicit AtDeath(F action) : action_(std::move(action)) {}
  AtDeath(AtDeath&& other) noexcept : action_(std::exchange(other.action_, std::nullopt)) {}
  AtDeath& operator=(AtDeath&&) = delete;
  ~AtDeath() {
    if (action_) (*action_)();
  }

 private:
  std::optional<F> action_;
};

}  // namespace interpool::test
