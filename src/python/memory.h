// How much memory each interpreter has.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace interpool::python {

/// What interpreters have from the C allocator and from the system: arenas, whence small objects come, and
/// larger blocks one by one. CPython keeps no such number, so its allocators are wrapped. Small objects do
/// not come along here, each arena (1 MiB mostly) does.
///
/// What a thread gets or frees counts for the interpreter that it is attached to, if that is the main one or
/// one that was made in a Creation; outside of any it does not count. What extensions get from malloc()
/// themselves does not, either. Thread-safe; kept for ever once it is installed, as Python may free what it
/// got until the process ends.
class MemoryCounts {
 public:
  MemoryCounts(const MemoryCounts&) = delete;
  MemoryCounts& operator=(const MemoryCounts&) = delete;

  /// While there is one, an interpreter that the calling thread makes gets an account.
  class Creation {
   public:
    Creation() noexcept;
    ~Creation();
    Creation(const Creation&) = delete;
    Creation& operator=(const Creation&) = delete;
  };

  /// The one of the process, installed if it is not; from then on it counts. Python is initialized. Null
  /// where CPython's allocators are not its usual ones (those that a debug build and PYTHONMALLOC=debug have,
  /// or the host's own), which hand out blocks whose size nobody can ask for.
  static MemoryCounts* install() noexcept;

  /// Of an interpreter that exists, in bytes; of the main one what it has got since the installation, less
  /// what it has freed of all. 0 for one that has ended. Any thread, no GIL.
  [[nodiscard]] std::int64_t bytes(std::int64_t interpreter) const noexcept;
  /// The interpreter has ended. Ids are never used again.
  void forget(std::int64_t interpreter) noexcept;

 private:
  struct Account {
    std::atomic<std::int64_t> interpreter;
    std::atomic<std::int64_t> bytes = 0;
    Account* next = nullptr;
  };
  struct Hooks;

  MemoryCounts() = default;
  void count(std::int64_t bytes) noexcept;
  Account* open(std::int64_t interpreter) noexcept;
  [[nodiscard]] Account* find(std::int64_t interpreter) const noexcept;

  // As many accounts as there have been interpreters of ours at once; none is ever freed. Whoever allocates
  // could come here while another thread of the process forks: so no lock.
  std::atomic<Account*> first_ = nullptr;
};

}  // namespace interpool::python
