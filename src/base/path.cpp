#include "base/path.h"

#include <algorithm>

namespace interpool {

namespace {

bool is_name(std::string_view key) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !key.empty() && is_letter(key.front()) &&
         std::ranges::all_of(key, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

std::string PathStep::text() const {
  std::string text = parent_ == nullptr ? std::string() : parent_->text();
  append(text);
  return text;
}

void IndexStep::append(std::string& text) const { append_subscript(text, std::to_string(index_)); }

void FieldStep::append(std::string& text) const { append_key(text, name_); }

void append_key(std::string& text, std::string_view key) {
  if (is_name(key)) {
    if (!text.empty()) text += '.';
    text += key;
  } else {
    text += "['";
    text += key;
    text += "']";
  }
}

void append_subscript(std::string& text, std::string_view subscript) {
  text += '[';
  text += subscript;
  text += ']';
}

}  // namespace interpool
