// The gate that an executor's callbacks pass.
#pragma once

#include "python/callback.h"
#include "runtime/admission.h"

#include <chrono>
#include <cstdint>

namespace interpool::detail {

/// Shared-owned by the executor and by all callbacks that its tasks have passed to Python, wherever Python
/// keeps them. Thread-safe.
class ExecutorGate final : public python::CallbackGate {
 public:
  bool enter() noexcept override { return calls_.try_enter(); }
  void leave() noexcept override { calls_.leave(); }

  /// Calls that come now are refused; those inside go on.
  void close() noexcept { calls_.close(); }
  [[nodiscard]] std::uint32_t inside() const noexcept { return calls_.in_flight(); }
  /// After close(): waits until nobody is inside; false when the deadline came first.
  bool wait_until_empty(std::chrono::steady_clock::time_point deadline) const noexcept {
    return calls_.wait_until_empty(deadline);
  }

 private:
  Admission calls_;
};

}  // namespace interpool::detail
