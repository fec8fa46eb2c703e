// Checks that stay on in release builds. One for the caller's bugs that no exception can report, and
// one for our own, worded so that whoever reads the message knows whom to tell.
#pragma once

namespace interpool {

[[noreturn]] void fail_check(const char* kind, const char* condition, const char* message, const char* file,
                             int line);

}  // namespace interpool

/// The library contradicts itself: a bug of ours.
#define INTERPOOL_CHECK(condition, message)                                                                \
  (static_cast<bool>(condition) ? void(0)                                                                  \
                                : ::interpool::fail_check("internal error (please report it)", #condition, \
                                                          message, __FILE__, __LINE__))
