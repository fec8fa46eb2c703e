// What has no form of its own in JSON, as text: base64 (RFC 4648), and times as ISO 8601 and RFC 3339 have
// them.
#pragma once

#include "interpool/convert.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace interpool {

std::string base64_of(std::span<const std::byte> bytes);
/// Nothing for text that base64_of() does not give: with blanks, without padding, with bits left over.
std::optional<Bytes> bytes_of_base64(std::string_view text);

/// `P1DT2H3M4.5S`, or `-PT1S`.
std::string text_of_duration(const DayTime& duration);
/// Nothing for what is no such text, for years and months, for what is finer than a microsecond and for what
/// is longer than a datetime.timedelta can be.
std::optional<DayTime> duration_of_text(std::string_view text);

// Of the years 1 to 9999, whose dates have ten characters; nothing for others.

/// `2026-11-22`
std::optional<std::string> text_of_date(std::int64_t days_since_epoch);
std::optional<std::int32_t> date_of_text(std::string_view text);
/// `2026-11-22T04:05:06.789Z`
std::optional<std::string> text_of_time(const DayTime& since_epoch);
/// With any offset from UTC, but not without one. Nothing for what is finer than a microsecond.
std::optional<DayTime> time_of_text(std::string_view text);

}  // namespace interpool
