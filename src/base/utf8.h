// UTF-8 as Python reads it: without surrogates, and in the shortest form.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace interpool {

/// The byte at a place, 0 beyond the end.
inline unsigned byte_at(std::string_view text, std::size_t at) noexcept {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}

/// The length of the character that `text` begins with, or 0 where that is none.
std::size_t character_length(std::string_view text) noexcept;

/// The longest beginning of `text` that has no more than `size` bytes and does not end within a character.
std::string_view cut(std::string_view text, std::size_t size) noexcept;

bool is_utf8(std::string_view bytes) noexcept;

/// The same with `\xff`, say, for each byte that is no part of a character.
std::string with_escapes(std::string_view bytes);

}  // namespace interpool
