#include "interpool/chrono.h"

#include "base/day_time.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace interpool::detail {

namespace {

using UWide = Uint128;

[[noreturn]] void fail_too_long(const Encoder& out) {
  out.fail("longer than a datetime.timedelta can be, which is 999999999 days");
}

}  // namespace

DayTime day_time_of(const Encoder& out, Ticks ticks, TickLength length) {
  const auto denominator = static_cast<UWide>(length.denominator);
  const UWide parts = static_cast<UWide>(ticks.magnitude) * static_cast<UWide>(length.numerator);
  const UWide seconds = parts / denominator;
  const UWide micros = parts % denominator * kMicro;
  if (micros % denominator != 0) {
    out.fail(
        "finer than a microsecond, which is as fine as Python's times are: "
        "std::chrono::floor<std::chrono::microseconds>() or round() makes one that fits");
  }
  if (seconds > static_cast<UWide>(kMostDays) * kDay + kDay) fail_too_long(out);
  const auto total = static_cast<Wide>(seconds * kMicro + micros / denominator) * (ticks.negative ? -1 : 1);
  const DayTime time = day_time_of(total);
  if (time.days > kMostDays || time.days < -kMostDays) fail_too_long(out);
  return time;
}

DayTime day_time_of(const Encoder& out, long double ticks, TickLength length) {
  const long double seconds =
      ticks * static_cast<long double>(length.numerator) / static_cast<long double>(length.denominator);
  if (std::isnan(seconds)) out.fail("NaN is no time");
  if (std::abs(seconds) > static_cast<long double>(kMostDays * kDay + kDay)) fail_too_long(out);
  const long double whole = std::floor(seconds);
  const auto micros = static_cast<std::int64_t>(std::nearbyint((seconds - whole) * kMicro));
  const bool negative = whole < 0;
  const auto magnitude = static_cast<std::uint64_t>(std::abs(whole));
  // The rest of a second belongs to the whole ones, which may become one more by it.
  const Ticks exact = negative ? Ticks{true, magnitude * kMicro - static_cast<std::uint64_t>(micros)}
                               : Ticks{false, magnitude * kMicro + static_cast<std::uint64_t>(micros)};
  return day_time_of(out, exact, {1, kMicro});
}

Ticks ticks_of(const Decoder& in, const DayTime& time, TickLength length) {
  const Wide micros = micros_of(time);
  const std::intmax_t common = std::gcd(length.denominator, static_cast<std::intmax_t>(kMicro));
  // A tick is `divisor` / `factor` microseconds, in lowest terms; so the remainder tells the whole truth.
  const Wide divisor = static_cast<Wide>(length.numerator) * (kMicro / common);
  const Wide factor = length.denominator / common;
  if (micros % divisor != 0) {
    in.fail(fmt::format(
        "this '{}' is finer than the std::chrono type that it is read into: use one with shorter ticks, as "
        "std::chrono::microseconds",
        in.type_name()));
  }
  const Wide quotient = micros / divisor;
  const bool negative = quotient < 0;
  Wide magnitude = 0;
  if (__builtin_mul_overflow(negative ? -quotient : quotient, factor, &magnitude) ||
      magnitude > static_cast<Wide>(std::numeric_limits<std::uint64_t>::max())) {
    fail_ticks(in);
  }
  return {negative, static_cast<std::uint64_t>(magnitude)};
}

long double float_ticks_of(const DayTime& time, TickLength length) noexcept {
  const Wide micros = micros_of(time);
  return static_cast<long double>(micros) * static_cast<long double>(length.denominator) /
         (static_cast<long double>(length.numerator) * kMicro);
}

void fail_ticks(const Decoder& in) {
  in.fail(
      fmt::format("this '{}' is out of the range of the std::chrono type that it is read into: use one with "
                  "longer ticks, "
                  "or more bits",
                  in.type_name()));
}

void fail_date(const Encoder& out) { out.fail("no date of the calendar"); }

}  // namespace interpool::detail
