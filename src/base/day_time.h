// Microseconds, and the days, seconds and microseconds of a Python time that they make.
#pragma once

#include "interpool/convert.h"

#include <cstdint>

namespace interpool::detail {

using Wide = Int128;  // holds each number of microseconds that a time has, many times over

constexpr std::int64_t kDay = 86400;             // in seconds
constexpr std::int64_t kMicro = 1'000'000;       // in a second
constexpr std::int64_t kMostDays = 999'999'999;  // of a datetime.timedelta, on either side of 0

inline Wide micros_of(const DayTime& time) noexcept {
  return (static_cast<Wide>(time.days) * kDay + time.seconds) * kMicro + time.microseconds;
}

/// As Python keeps it: a time before 0 counts forward from the days before it. The days have to fit.
inline DayTime day_time_of(Wide micros) noexcept {
  constexpr Wide kMicrosOfDay = static_cast<Wide>(kDay) * kMicro;
  Wide days = micros / kMicrosOfDay;
  Wide rest = micros % kMicrosOfDay;
  if (rest < 0) {
    --days;
    rest += kMicrosOfDay;
  }
  return {static_cast<std::int64_t>(days), static_cast<std::int32_t>(rest / kMicro),
          static_cast<std::int32_t>(rest % kMicro)};
}

}  // namespace interpool::detail
