// A fence that costs one side nothing.
#pragma once

#include <atomic>

namespace interpool {

/// Orders a store before a load that comes after it on two threads, as a sequentially consistent fence on
/// both would: of two threads that each store, fence and then load what the other has stored, one at least
/// sees the other's store. Who comes often has the light side, which only keeps the compiler from reordering;
/// who comes rarely has the heavy one, which makes the kernel have every running thread of the process pass a
/// full fence (membarrier(2), Linux 4.14). Where the kernel does not do that, both sides are full fences.
class AsymmetricFence {
 public:
  void light() const noexcept {
    if (asymmetric_) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
  }
  void heavy() const noexcept;

 private:
  const bool asymmetric_ = kernel_helps();

  static bool kernel_helps() noexcept;
};

}  // namespace interpool
