// What the program prints: results on stdout, which must arrive, and messages on stderr, which need not.
#pragma once

#include <string_view>

namespace indexer {

/// Occupies the descriptors of stdin, stdout and stderr where they are closed, so that no file of ours gets
/// one and is written to as if it were stdout. Call it before anything opens a file.
void occupy_standard_descriptors() noexcept;

/// Prints to stdout. Throws std::system_error when it does not get there: on a full disk, say.
void print_result(std::string_view text);

/// Prints to stderr. When that fails, nobody is left to be told, and the work goes on.
void print_message(std::string_view text) noexcept;

}  // namespace indexer
