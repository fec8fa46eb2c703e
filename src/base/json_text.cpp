#include "base/json_text.h"

#include "base/day_time.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <iterator>

namespace interpool {

namespace {

using detail::day_time_of;
using detail::kDay;
using detail::kMicro;
using detail::kMostDays;
using detail::micros_of;
using detail::Wide;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::int64_t kMinute = 60;  // in seconds
constexpr std::int64_t kHour = 3600;  // in seconds

constexpr auto kDigitOf = [] {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits.at(static_cast<unsigned char>(kAlphabet[i])) = static_cast<std::int8_t>(i);
  }
  return digits;
}();

/// Takes what it is asked for from the beginning of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) noexcept : text_(text) {}

  [[nodiscard]] bool done() const noexcept { return text_.empty(); }
  bool take(char c) noexcept {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// As many digits as there are, but at least one and at most `most`.
  std::optional<std::int64_t> number(std::size_t most) noexcept {
    std::int64_t value = 0;
    std::size_t count = 0;
    while (count < text_.size() && text_[count] >= '0' && text_[count] <= '9') {
      if (count == most) return std::nullopt;
      value = 10 * value + (text_[count++] - '0');
    }
    text_.remove_prefix(count);
    return count == 0 ? std::nullopt : std::optional(value);
  }
  /// Exactly two digits, or four: the number, if it is in the range.
  std::optional<std::int32_t> field(std::size_t digits, std::int32_t least, std::int32_t most) noexcept {
    const std::size_t before = text_.size();
    const auto value = number(digits);
    if (!value || before - text_.size() != digits || *value < least || *value > most) return std::nullopt;
    return static_cast<std::int32_t>(*value);
  }
  /// What stands behind the point: the microseconds, if it is a whole number of them.
  std::optional<std::int32_t> fraction() noexcept {
    std::int32_t value = 0;
    std::size_t count = 0;
    while (count < text_.size() && text_[count] >= '0' && text_[count] <= '9') {
      const int digit = text_[count++] - '0';
      if (count <= 6) value = 10 * value + digit;
      if (count > 6 && digit != 0) return std::nullopt;
    }
    text_.remove_prefix(count);
    for (std::size_t i = count; i < 6; ++i) value *= 10;
    return count == 0 ? std::nullopt : std::optional(value);
  }
  std::optional<std::int32_t> date() noexcept {
    using namespace std::chrono;
    const auto year_number = field(4, 1, 9999);
    if (!year_number || !take('-')) return std::nullopt;
    const auto month_number = field(2, 1, 12);
    if (!month_number || !take('-')) return std::nullopt;
    const auto day_number = field(2, 1, 31);
    if (!day_number) return std::nullopt;
    const year_month_day date(year{*year_number}, month{static_cast<unsigned>(*month_number)},
                              day{static_cast<unsigned>(*day_number)});
    if (!date.ok()) return std::nullopt;
    return static_cast<std::int32_t>(sys_days(date).time_since_epoch().count());
  }

 private:
  std::string_view text_;
};

void append_fraction(std::string& text, std::int32_t microseconds) {
  if (microseconds == 0) return;
  fmt::format_to(std::back_inserter(text), ".{:06}", microseconds);
  text.erase(text.find_last_not_of('0') + 1);
}

}  // namespace

std::string base64_of(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8) | (k < count ? std::to_integer<unsigned>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kAlphabet[(group >> (18 - 6 * k)) & 0x3F] : '=';
    }
  }
  return text;
}

std::optional<Bytes> bytes_of_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  unsigned group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::int8_t digit = kDigitOf.at(static_cast<unsigned char>(c));
    if (digit < 0) return std::nullopt;
    group = ((group << 6) | static_cast<unsigned char>(digit)) & 0xFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::byte>((group >> bits) & 0xFF));
  }
  // Other bits would make two texts of the same bytes.
  if ((group & ((1U << bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::string text_of_duration(const DayTime& duration) {
  const Wide micros = micros_of(duration);
  if (micros == 0) return "PT0S";
  const DayTime length = day_time_of(micros < 0 ? -micros : micros);
  std::string text = micros < 0 ? "-P" : "P";
  const auto append = [&](std::int64_t count, char unit) {
    if (count != 0) fmt::format_to(std::back_inserter(text), "{}{}", count, unit);
  };
  append(length.days, 'D');
  if (length.seconds == 0 && length.microseconds == 0) return text;
  text += 'T';
  append(length.seconds / 3600, 'H');
  append(length.seconds / 60 % 60, 'M');
  if (length.seconds % 60 == 0 && length.microseconds == 0) return text;
  fmt::format_to(std::back_inserter(text), "{}", length.seconds % 60);
  append_fraction(text, length.microseconds);
  return text += 'S';
}

std::optional<DayTime> duration_of_text(std::string_view text) {
  constexpr std::size_t kMostDigits = 15;  // of a number: enough for the longest one in seconds
  Scanner scanner(text);
  const bool negative = scanner.take('-');
  if (!scanner.take('P') || scanner.done()) return std::nullopt;
  Wide micros = 0;  // cannot overflow: each unit comes once at most, with few digits
  if (const auto days = scanner.number(kMostDigits)) {
    if (!scanner.take('D')) return std::nullopt;
    micros = static_cast<Wide>(*days) * kDay * kMicro;
  }
  if (!scanner.done() && (!scanner.take('T') || scanner.done())) return std::nullopt;
  std::string_view units = "HMS";  // those that may follow
  while (!scanner.done()) {
    const auto count = scanner.number(kMostDigits);
    if (!count) return std::nullopt;
    std::optional<std::int32_t> rest = 0;
    if (scanner.take('.')) {
      if (!units.ends_with('S')) return std::nullopt;
      units = "S";
      rest = scanner.fraction();
      if (!rest) return std::nullopt;
    }
    while (!units.empty() && !scanner.take(units.front())) units.remove_prefix(1);
    if (units.empty()) return std::nullopt;
    const std::int64_t seconds = units.front() == 'H' ? 3600 : units.front() == 'M' ? 60 : 1;
    micros += static_cast<Wide>(*count) * seconds * kMicro + *rest;
    units.remove_prefix(1);
  }
  if (micros > static_cast<Wide>(kMostDays + 1) * kDay * kMicro) return std::nullopt;
  const DayTime duration = day_time_of(negative ? -micros : micros);
  if (duration.days > kMostDays || duration.days < -kMostDays) return std::nullopt;
  return duration;
}

std::optional<std::string> text_of_date(std::int64_t days_since_epoch) {
  using namespace std::chrono;
  constexpr std::int64_t kFirstDay = sys_days(year(1) / 1 / 1).time_since_epoch().count();
  constexpr std::int64_t kLastDay = sys_days(year(9999) / 12 / 31).time_since_epoch().count();
  if (days_since_epoch < kFirstDay || days_since_epoch > kLastDay) return std::nullopt;
  const year_month_day date = sys_days(days(static_cast<std::int32_t>(days_since_epoch)));
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::optional<std::int32_t> date_of_text(std::string_view text) {
  Scanner scanner(text);
  const auto date = scanner.date();
  return scanner.done() ? date : std::nullopt;
}

std::optional<std::string> text_of_time(const DayTime& since_epoch) {
  auto text = text_of_date(since_epoch.days);
  if (!text) return std::nullopt;
  fmt::format_to(std::back_inserter(*text), "T{:02}:{:02}:{:02}", since_epoch.seconds / 3600,
                 since_epoch.seconds / 60 % 60, since_epoch.seconds % 60);
  append_fraction(*text, since_epoch.microseconds);
  *text += 'Z';
  return text;
}

std::optional<DayTime> time_of_text(std::string_view text) {
  Scanner scanner(text);
  const auto date = scanner.date();
  if (!date || !scanner.take('T')) return std::nullopt;
  const auto hours = scanner.field(2, 0, 23);
  if (!hours || !scanner.take(':')) return std::nullopt;
  const auto minutes = scanner.field(2, 0, 59);
  if (!minutes || !scanner.take(':')) return std::nullopt;
  const auto seconds = scanner.field(2, 0, 59);
  if (!seconds) return std::nullopt;
  std::optional<std::int32_t> microseconds = 0;
  if (scanner.take('.')) microseconds = scanner.fraction();
  if (!microseconds) return std::nullopt;
  std::int64_t offset = 0;  // in seconds, east of Greenwich
  if (!scanner.take('Z')) {
    const bool west = scanner.take('-');
    if (!west && !scanner.take('+')) return std::nullopt;
    const auto offset_hours = scanner.field(2, 0, 23);
    if (!offset_hours || !scanner.take(':')) return std::nullopt;
    const auto offset_minutes = scanner.field(2, 0, 59);
    if (!offset_minutes) return std::nullopt;
    offset = (*offset_hours * kHour + *offset_minutes * kMinute) * (west ? -1 : 1);
  }
  if (!scanner.done()) return std::nullopt;
  const std::int64_t second = *date * kDay + *hours * kHour + *minutes * kMinute + *seconds - offset;
  return day_time_of(static_cast<Wide>(second) * kMicro + *microseconds);
}

}  // namespace interpool
