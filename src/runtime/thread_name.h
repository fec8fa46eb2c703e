// Names for threads, as debuggers and `top -H` show them.
#pragma once

#include <pthread.h>

#include <string>

namespace interpool {

inline void name_this_thread(const std::string& name) noexcept {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the system's limit
}

}  // namespace interpool
