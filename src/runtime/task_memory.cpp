#include "runtime/task_memory.h"

#include "base/mutex.h"
#include "interpool/detail/task.h"
#include "runtime/fork_guard.h"

#include <array>
#include <cstddef>
#include <new>
#include <utility>

// Memory checkers have to see each task come and go.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTERPOOL_PLAIN_TASK_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INTERPOOL_PLAIN_TASK_MEMORY 1
#endif
#endif

namespace interpool::detail {

namespace {

#if !defined(INTERPOOL_PLAIN_TASK_MEMORY)

constexpr std::size_t kLine = 64;        // cells are whole cache lines, so that tasks do not share any
constexpr std::size_t kClasses = 4;      // of 1 to 4 lines
constexpr std::size_t kBatch = 64;       // cells that threads hand to each other at a time
constexpr std::size_t kSlabCells = 512;  // cells that are made at a time

struct Cell {
  Cell* next;        // in its batch
  Cell* next_batch;  // of the first cell of a batch: the next batch
};

/// The batches that no thread holds, and where new cells come from. Thread-safe; never destroyed, as a
/// task may die in any thread's last moment.
///
/// A forked child, which may have copied the mutex while another thread held it, takes new memory
/// instead, and gives back none.
class Depot {
 public:
  static void put(std::size_t size_class, Cell* batch) noexcept {
    if (!in_forked_child()) of(size_class).put_batch(batch);
  }
  /// A batch, or at least one cell.
  static Cell* get(std::size_t size_class) {
    const std::size_t cell_size = (size_class + 1) * kLine;
    if (!in_forked_child()) return of(size_class).get_batch(cell_size);
    auto* cell = static_cast<Cell*>(::operator new(cell_size, std::align_val_t(kLine)));
    cell->next = nullptr;
    return cell;
  }

 private:
  static Depot& of(std::size_t size_class) {
    static auto* const depots = new std::array<Depot, kClasses>();
    return (*depots)[size_class];
  }

  void put_batch(Cell* batch) noexcept INTERPOOL_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    batch->next_batch = std::exchange(batches_, batch);
  }
  Cell* get_batch(std::size_t cell_size) INTERPOOL_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (batches_ != nullptr) return std::exchange(batches_, batches_->next_batch);
    }
    auto* slab = static_cast<std::byte*>(::operator new(kSlabCells * cell_size, std::align_val_t(kLine)));
    // From the end, so that the batches are handed out in the order of their addresses.
    for (std::size_t batch = kSlabCells / kBatch; batch-- > 0;) {
      Cell* first = nullptr;
      for (std::size_t i = kBatch; i-- > 0;) {
        auto* cell = reinterpret_cast<Cell*>(slab + (batch * kBatch + i) * cell_size);
        cell->next = std::exchange(first, cell);
      }
      if (batch == 0) return first;
      put_batch(first);
    }
    return nullptr;  // not reached
  }

  Mutex mutex_;
  Cell* batches_ INTERPOOL_GUARDED_BY(mutex_) = nullptr;
};

/// A thread's own cells of one size: a batch in use, and a full one to spare, so that a thread at the
/// border between two batches does not go to the depot each time.
struct Cache {
  Cell* cells = nullptr;
  std::size_t count = 0;  // of cells, or more, for a batch that an ending thread left behind
  Cell* spare = nullptr;
};

/// Constant-initialized, and reached without a call: this is looked at twice per task.
struct Caches {
  enum class State : unsigned char { kUnused, kUsed, kGone };
  std::array<Cache, kClasses> by_class;
  State state = State::kUnused;
};
constinit thread_local Caches caches [[gnu::tls_model("initial-exec")]];

/// Hands a thread's cells on when it ends.
struct Leaver {
  ~Leaver() {
    caches.state = Caches::State::kGone;
    for (std::size_t i = 0; i < kClasses; ++i) {
      if (caches.by_class[i].spare != nullptr) Depot::put(i, caches.by_class[i].spare);
      if (caches.by_class[i].cells != nullptr) Depot::put(i, caches.by_class[i].cells);
    }
  }
};

/// Whether the thread can keep cells: it cannot any more once its thread-locals are going.
bool begin_use() noexcept {
  if (caches.state == Caches::State::kGone) return false;
  static thread_local Leaver leaver;
  (void)leaver;
  caches.state = Caches::State::kUsed;
  return true;
}

#endif

}  // namespace

#if defined(INTERPOOL_PLAIN_TASK_MEMORY)

void* allocate_task(std::size_t size) { return ::operator new(size, std::align_val_t(kTaskAlignment)); }
void free_task(void* memory, std::size_t size) noexcept {
  ::operator delete(memory, size, std::align_val_t(kTaskAlignment));
}

#else

void* allocate_task(std::size_t size) {
  static_assert(kTaskAlignment == kLine);
  const std::size_t size_class = (size - 1) / kLine;
  if (size_class >= kClasses) return ::operator new(size, std::align_val_t(kLine));
  if (caches.state != Caches::State::kUsed && !begin_use()) {
    // It will be a cell when it is freed.
    return ::operator new((size_class + 1) * kLine, std::align_val_t(kLine));
  }
  Cache& cache = caches.by_class[size_class];
  if (cache.cells == nullptr) {
    cache.cells = cache.spare != nullptr ? std::exchange(cache.spare, nullptr) : Depot::get(size_class);
    cache.count = kBatch;
  }
  Cell* cell = cache.cells;
  cache.cells = cell->next;
  --cache.count;
  return cell;
}

void free_task(void* memory, std::size_t size) noexcept {
  const std::size_t size_class = (size - 1) / kLine;
  if (size_class >= kClasses) return ::operator delete(memory, size, std::align_val_t(kLine));
  auto* cell = static_cast<Cell*>(memory);
  if (caches.state != Caches::State::kUsed && !begin_use()) {
    cell->next = nullptr;
    return Depot::put(size_class, cell);
  }
  Cache& cache = caches.by_class[size_class];
  if (cache.count >= kBatch) {
    if (cache.spare != nullptr) Depot::put(size_class, cache.spare);
    cache.spare = std::exchange(cache.cells, nullptr);
    cache.count = 0;
  }
  cell->next = std::exchange(cache.cells, cell);
  ++cache.count;
}

#endif

}  // namespace interpool::detail
