#include "base/thread.h"

#include "base/check.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

namespace interpool {

namespace {

/// pthread_attr_t, destroyed in any case.
class Attributes {
 public:
  Attributes() { check(pthread_attr_init(&attributes_)); }
  ~Attributes() { pthread_attr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  void apply(const ThreadOptions& options) {
    if (options.stack_size != 0) check(pthread_attr_setstacksize(&attributes_, options.stack_size));
    if (options.cpus.empty()) return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (const int cpu : options.cpus) {
      if (cpu < 0 || cpu >= CPU_SETSIZE) check(EINVAL);
      CPU_SET(cpu, &cpus);
    }
    check(pthread_attr_setaffinity_np(&attributes_, sizeof cpus, &cpus));
  }
  [[nodiscard]] const pthread_attr_t* get() const noexcept { return &attributes_; }

  static void check(int error) {
    if (error != 0) throw std::system_error(error, std::generic_category());
  }

 private:
  pthread_attr_t attributes_{};
};

void* run(void* argument) noexcept {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}

}  // namespace

Thread::Thread(const ThreadOptions& options, std::function<void()> body) {
  Attributes attributes;
  attributes.apply(options);
  auto argument = std::make_unique<std::function<void()>>(std::move(body));
  Attributes::check(pthread_create(&thread_, attributes.get(), &run, argument.get()));
  static_cast<void>(argument.release());  // NOLINT(bugprone-unused-return-value): the thread's now
  joinable_ = true;
}

Thread::Thread(Thread&& other) noexcept
    : thread_(other.thread_), joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  INTERPOOL_CHECK(!joinable_, "a thread is overwritten that was neither joined nor detached");
  thread_ = other.thread_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

Thread::~Thread() {
  INTERPOOL_CHECK(!joinable_, "a thread is destroyed that was neither joined nor detached");
}

void Thread::join() noexcept {
  INTERPOOL_CHECK(joinable_ && !is_current() && pthread_join(thread_, nullptr) == 0,
                  "a thread cannot be joined");
  joinable_ = false;
}

void Thread::detach() noexcept {
  INTERPOOL_CHECK(joinable_ && pthread_detach(thread_) == 0, "a thread cannot be detached");
  joinable_ = false;
}

std::size_t smallest_stack() noexcept { return static_cast<std::size_t>(PTHREAD_STACK_MIN); }

std::size_t in_whole_pages(std::size_t bytes) noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t most = std::numeric_limits<std::size_t>::max() / page * page;
  return bytes > most ? most : (bytes + page - 1) / page * page;
}

bool can_run_on(int cpu) {
  try {
    Thread(ThreadOptions{.cpus = {cpu}}, [] {}).join();
    return true;
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::invalid_argument) return false;
    throw;
  }
}

}  // namespace interpool
