// What a person can put right: one clear line, and exit code 2.
#pragma once

#include <stdexcept>

namespace indexer {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitBadInput = 2;

class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace indexer
