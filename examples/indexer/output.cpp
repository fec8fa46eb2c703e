#include "output.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace indexer {

void occupy_standard_descriptors() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // Gets the lowest number that is free, and this is the one. For reading only, also in place of stdout: to
    // write there stays an error.
    if (::open("/dev/null", O_RDONLY) != descriptor) return;
  }
}

void print_result(std::string_view text) {
  // Flushed, since only that tells whether it has arrived.
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw std::system_error(errno, std::generic_category(), "the result cannot be written to stdout");
  }
}

void print_message(std::string_view text) noexcept {
  [[maybe_unused]] const auto written = std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace indexer
