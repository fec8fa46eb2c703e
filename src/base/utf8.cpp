#include "base/utf8.h"

#include <fmt/format.h>

#include <iterator>

namespace interpool {

std::size_t character_length(std::string_view text) noexcept {
  const auto follows = [&](std::size_t at, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte_at(text, at) >= low && byte_at(text, at) <= high;
  };
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::string_view cut(std::string_view text, std::size_t size) noexcept {
  if (text.size() <= size) return text;
  // A character has at most three bytes beyond its first; more of them are no characters.
  for (std::size_t end = size; end > 0 && size - end < 4; --end) {
    if ((byte_at(text, end) & 0xC0U) != 0x80) return text.substr(0, end);
  }
  return text.substr(0, size);
}

bool is_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t length = character_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string with_escapes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = character_length(bytes);
    if (length == 0) fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte_at(bytes, 0));
    text += bytes.substr(0, length);
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

}  // namespace interpool
