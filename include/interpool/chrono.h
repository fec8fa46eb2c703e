// Conversion of std::chrono's durations, times and dates.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace interpool {

namespace detail {

/// A count of ticks, without rounding.
struct Ticks {
  bool negative;
  std::uint64_t magnitude;
};
/// The length of a tick, in seconds.
struct TickLength {
  std::intmax_t numerator;
  std::intmax_t denominator;
};

// Each throws ConversionError where there is no such value.

/// What is finer than a microsecond does not convert.
INTERPOOL_API DayTime day_time_of(const Encoder& out, Ticks ticks, TickLength length);
/// Rounded to the nearest microsecond.
INTERPOOL_API DayTime day_time_of(const Encoder& out, long double ticks, TickLength length);
/// What is finer than a tick does not convert.
INTERPOOL_API Ticks ticks_of(const Decoder& in, const DayTime& time, TickLength length);
/// Rounded.
INTERPOOL_API long double float_ticks_of(const DayTime& time, TickLength length) noexcept;
[[noreturn]] INTERPOOL_API void fail_ticks(const Decoder& in);
[[noreturn]] INTERPOOL_API void fail_date(const Encoder& out);

template <class Rep>
concept TickCount = Integer<Rep> || std::floating_point<Rep>;

template <class Period>
inline constexpr TickLength kTickLength{Period::num, Period::den};

template <TickCount Rep, class Period>
DayTime split(const Encoder& out, std::chrono::duration<Rep, Period> duration) {
  const Rep count = duration.count();
  if constexpr (std::floating_point<Rep>) {
    return day_time_of(out, static_cast<long double>(count), kTickLength<Period>);
  } else {
    // Negated as an unsigned number: the lowest number has no positive counterpart.
    const bool negative = count < 0;
    const auto magnitude = static_cast<std::uint64_t>(count);
    return day_time_of(out, Ticks{negative, negative ? 0 - magnitude : magnitude}, kTickLength<Period>);
  }
}

template <class Duration>
Duration join(const Decoder& in, const DayTime& time) {
  using Rep = typename Duration::rep;
  constexpr TickLength kLength = kTickLength<typename Duration::period>;
  if constexpr (std::floating_point<Rep>) {
    return Duration(static_cast<Rep>(float_ticks_of(time, kLength)));
  } else {
    const Ticks ticks = ticks_of(in, time, kLength);
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<Rep>::max());
    // The lowest of a signed type is one farther from 0 than its highest.
    const std::uint64_t most = !ticks.negative ? kMost : kIsSigned<Rep> ? kMost + 1 : 0;
    if (ticks.magnitude > most) fail_ticks(in);
    return Duration(static_cast<Rep>(ticks.negative ? 0 - ticks.magnitude : ticks.magnitude));
  }
}

}  // namespace detail

/// A datetime.timedelta, exactly: a count of nanoseconds that is no whole number of microseconds is a
/// ConversionError, and so is a timedelta that is no whole number of ticks or has more of them than Rep
/// holds. Only where Rep is a floating-point type is it rounded: to the nearest microsecond, or to the
/// nearest Rep. Numbers are no durations.
template <detail::TickCount Rep, class Period>
struct Converter<std::chrono::duration<Rep, Period>> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kOther); }
  using Duration = std::chrono::duration<Rep, Period>;
  static void encode(Encoder& out, Duration value) { out.put_duration(detail::split(out, value)); }
  static Duration decode(Decoder& in) { return detail::join<Duration>(in, in.get_duration()); }
};

/// An aware datetime.datetime, as exactly as durations are: to Python in UTC, from it in any zone. A naive
/// one is a ConversionError: it says no time.
template <detail::TickCount Rep, class Period>
struct Converter<std::chrono::sys_time<std::chrono::duration<Rep, Period>>> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kOther); }
  using Duration = std::chrono::duration<Rep, Period>;
  using Time = std::chrono::sys_time<Duration>;
  static void encode(Encoder& out, Time value) { out.put_time(detail::split(out, value.time_since_epoch())); }
  static Time decode(Decoder& in) { return Time(detail::join<Duration>(in, in.get_time())); }
};

/// A datetime.date; a datetime is none.
template <>
struct Converter<std::chrono::sys_days> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kOther); }
  static void encode(Encoder& out, std::chrono::sys_days value) {
    out.put_date(value.time_since_epoch().count());
  }
  static std::chrono::sys_days decode(Decoder& in) {
    return std::chrono::sys_days(std::chrono::days(in.get_date()));
  }
};

/// A datetime.date, if it is ok(); a datetime is none.
template <>
struct Converter<std::chrono::year_month_day> {
  static constexpr Fit takes(Kind kind) { return detail::fit_of(kind, Kind::kOther); }
  static void encode(Encoder& out, std::chrono::year_month_day value) {
    if (!value.ok()) detail::fail_date(out);
    Converter<std::chrono::sys_days>::encode(out, value);
  }
  static std::chrono::year_month_day decode(Decoder& in) {
    return Converter<std::chrono::sys_days>::decode(in);
  }
};

}  // namespace interpool
