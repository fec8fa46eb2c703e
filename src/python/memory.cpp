#include "python/memory.h"

#include "python/cpython.h"

#include <dlfcn.h>
#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace interpool::python {

namespace {

constexpr std::int64_t kNobody = -1;

constinit thread_local bool creating = false;

std::int64_t size_of(void* block) noexcept {
  return block == nullptr ? 0 : static_cast<std::int64_t>(malloc_usable_size(block));
}

/// Whether CPython's own allocators are in place, and none of a host's, nor those that look for errors. Asked
/// by name, because the function is not declared for us; a CPython without it is none that we know.
bool has_usual_allocators() noexcept {
  const auto name_of_allocators =
      reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "_PyMem_GetCurrentAllocatorName"));
  const char* name = name_of_allocators == nullptr ? nullptr : name_of_allocators();
  return name != nullptr && (std::strcmp(name, "pymalloc") == 0 || std::strcmp(name, "malloc") == 0);
}

}  // namespace

/// What CPython calls. Where ours are called with another context than ours, they are called while they are
/// being installed: then nothing is counted.
struct MemoryCounts::Hooks {
  // As CPython's own: no block of no bytes is null.
  static void* get(void* counts, std::size_t size) {
    void* block = std::malloc(size == 0 ? 1 : size);
    note(counts, size_of(block));
    return block;
  }
  static void* get_zeroed(void* counts, std::size_t number, std::size_t size) {
    if (number == 0 || size == 0) number = size = 1;
    void* block = std::calloc(number, size);
    note(counts, size_of(block));
    return block;
  }
  static void* resize(void* counts, void* block, std::size_t size) {
    const std::int64_t before = size_of(block);
    void* resized = std::realloc(block, size == 0 ? 1 : size);
    if (resized != nullptr) note(counts, size_of(resized) - before);
    return resized;
  }
  static void release(void* counts, void* block) {
    note(counts, -size_of(block));
    std::free(block);
  }

  // Not behind their context, which is another's when they are called while they are being installed.
  static inline constinit PyObjectArenaAllocator inner{};
  static void* get_arena(void* counts, std::size_t size) {
    void* arena = inner.alloc(inner.ctx, size);
    if (arena != nullptr) note(counts, static_cast<std::int64_t>(size));
    return arena;
  }
  static void release_arena(void* counts, void* arena, std::size_t size) {
    inner.free(inner.ctx, arena, size);
    note(counts, -static_cast<std::int64_t>(size));
  }

  static void note(void* counts, std::int64_t bytes) noexcept {
    if (counts != nullptr) static_cast<MemoryCounts*>(counts)->count(bytes);
  }
  static PyMemAllocatorEx allocator(MemoryCounts* counts) noexcept {
    return {.ctx = counts, .malloc = get, .calloc = get_zeroed, .realloc = resize, .free = release};
  }
};

MemoryCounts::Creation::Creation() noexcept { creating = true; }
MemoryCounts::Creation::~Creation() { creating = false; }

MemoryCounts* MemoryCounts::install() noexcept {
  PyMemAllocatorEx raw;
  PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
  if (raw.malloc == Hooks::get) return static_cast<MemoryCounts*>(raw.ctx);
  // Ours take over blocks of CPython's own, which come from malloc(), and leave theirs to it: they need to be
  // that.
  if (!has_usual_allocators()) return nullptr;
  auto* counts = new (std::nothrow) MemoryCounts;
  if (counts == nullptr) return nullptr;
  counts->open(PyInterpreterState_GetID(PyInterpreterState_Main()));
  // With PYTHONMALLOC=malloc it serves the other domains, too.
  for (const PyMemAllocatorDomain domain : {PYMEM_DOMAIN_OBJ, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_RAW}) {
    PyMemAllocatorEx known;
    PyMem_GetAllocator(domain, &known);
    if (known.malloc != raw.malloc) continue;
    PyMemAllocatorEx ours = Hooks::allocator(counts);
    PyMem_SetAllocator(domain, &ours);
  }
  PyObject_GetArenaAllocator(&Hooks::inner);
  PyObjectArenaAllocator ours{.ctx = counts, .alloc = Hooks::get_arena, .free = Hooks::release_arena};
  PyObject_SetArenaAllocator(&ours);
  return counts;
}

void MemoryCounts::count(std::int64_t bytes) noexcept {
  PyThreadState* thread = current_thread_state();
  if (thread == nullptr) return;
  const std::int64_t interpreter = PyInterpreterState_GetID(PyThreadState_GetInterpreter(thread));
  if (interpreter < 0) return;  // it is just being made
  // Ids are never used again, and an account comes before anybody else can be attached, so what a thread
  // remembers does not become wrong.
  thread_local std::int64_t known = kNobody;
  thread_local Account* account = nullptr;
  if (known != interpreter) {
    account = creating ? open(interpreter) : find(interpreter);
    known = interpreter;
  }
  // relaxed: a number.
  if (account != nullptr) account->bytes.fetch_add(bytes, std::memory_order_relaxed);
}

MemoryCounts::Account* MemoryCounts::find(std::int64_t interpreter) const noexcept {
  // acquire: pairs with open(), which links them.
  for (Account* account = first_.load(std::memory_order_acquire); account != nullptr;
       account = account->next) {
    if (account->interpreter.load(std::memory_order_relaxed) == interpreter) return account;
  }
  return nullptr;
}

// Not twice at once for one interpreter: the calling thread holds its GIL.
MemoryCounts::Account* MemoryCounts::open(std::int64_t interpreter) noexcept {
  if (Account* account = find(interpreter)) return account;
  for (Account* account = first_.load(std::memory_order_acquire); account != nullptr;
       account = account->next) {
    std::int64_t owner = kNobody;
    // acquire: pairs with forget(), which has set the account to 0.
    if (account->interpreter.compare_exchange_strong(owner, interpreter, std::memory_order_acquire))
      return account;
  }
  auto* account = new (std::nothrow) Account{.interpreter = interpreter};
  if (account == nullptr) return nullptr;
  account->next = first_.load(std::memory_order_relaxed);  // a guess; the exchange finds out
  // release: what is in it, for who finds it.
  while (!first_.compare_exchange_weak(account->next, account, std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
  return account;
}

std::int64_t MemoryCounts::bytes(std::int64_t interpreter) const noexcept {
  const Account* account = find(interpreter);
  return account == nullptr ? 0 : account->bytes.load(std::memory_order_relaxed);
}

void MemoryCounts::forget(std::int64_t interpreter) noexcept {
  Account* account = find(interpreter);
  if (account == nullptr) return;
  account->bytes.store(0, std::memory_order_relaxed);
  account->interpreter.store(kNobody, std::memory_order_release);  // release: the 0
}

}  // namespace interpool::python
