#include "base/keep.h"

#include <atomic>
#include <utility>

namespace interpool::detail {
namespace {

struct Kept {
  std::shared_ptr<const void> object;
  Kept* next;
};

// Of the process, as what it holds is. Nobody ever goes along the list, so its links need no ordering.
constinit std::atomic<Kept*> last_kept{nullptr};

}  // namespace

void keep_for_ever(std::shared_ptr<const void> object) {
  auto* kept = new Kept{.object = std::move(object), .next = last_kept.load(std::memory_order_relaxed)};
  while (!last_kept.compare_exchange_weak(kept->next, kept, std::memory_order_relaxed)) {
  }
}

}  // namespace interpool::detail
