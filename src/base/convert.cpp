#include "interpool/convert.h"

#include "base/utf8.h"
#include "interpool/error.h"
#include "interpool/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

namespace interpool {

Encoder::~Encoder() = default;
Decoder::~Decoder() = default;

void Encoder::begin_object(std::string_view /*type*/, std::size_t size) { begin_dict(size); }

void Encoder::fail(std::string reason) const { throw ConversionError(path(), std::move(reason)); }
void Decoder::fail(std::string reason) const { throw ConversionError(path(), std::move(reason)); }

const char* to_string(Kind kind) noexcept {
  switch (kind) {
    case Kind::kNone: return "None";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kStr: return "str";
    case Kind::kBytes: return "bytes";
    case Kind::kList: return "list";
    case Kind::kTuple: return "tuple";
    case Kind::kDict: return "dict";
    case Kind::kBuffer: return "Buffer";
    case Kind::kOther: return "object";
  }
  return "object";
}

namespace detail {

void fail_range(const Decoder& in, std::string_view text, bool is_signed, unsigned bits) {
  in.fail(fmt::format("the {}{}{} does not fit into {} {}-bit integer", in.type_name(),
                      text.empty() ? "" : " ", text, is_signed ? "a signed" : "an unsigned", bits));
}

void fail_range(const Decoder& in, double value, unsigned bits) {
  in.fail(fmt::format("the {} {} does not fit into a {}-bit float", in.type_name(), value, bits));
}

void fail_range(const Encoder& out, long double value) {
  out.fail(fmt::format("the long double {} does not fit into a float of Python, which is a double", value));
}

void fail_none(const Decoder& in) { in.fail(fmt::format("None wanted, a '{}' found", in.type_name())); }

void fail_size(const Decoder& in, std::size_t wanted, std::size_t found) {
  in.fail(
      fmt::format("a tuple, pair or array of {} wanted, a '{}' of {} found", wanted, in.type_name(), found));
}

void fail_field(const Decoder& in, std::string_view name, std::string_view type) {
  in.fail(fmt::format("this '{}' has no '{}', a field of {}", in.type_name(), name, type));
}

void fail_nan(const Decoder& key) {
  key.fail(fmt::format(
      "this {} is a NaN, which has no place in an ordered std::map or std::set: it is neither less nor equal",
      key.type_name()));
}

void decode_alternative(Decoder& in, std::span<const Fit> fits, FunctionRef<void(std::size_t index)> decode) {
  constexpr std::size_t kMostWasted = 100'000;
  constexpr std::size_t kReasonSize = 200;  // of one alternative,
  constexpr std::size_t kTextSize = 1000;   // and of all
  const auto tried = fits.size() - static_cast<std::size_t>(std::ranges::count(fits, Fit::kNever));
  if (tried == 0) in.fail(fmt::format("no alternative of the variant takes a '{}'", in.type_name()));
  Attempts& attempts = in.attempts();
  std::string reasons;
  for (const Fit fit : {Fit::kLikely, Fit::kPossible}) {
    for (std::size_t index = 0; index < fits.size(); ++index) {
      if (fits[index] != fit) continue;
      const std::size_t before = ++attempts.started;
      try {
        return decode(index);
      } catch (const ConversionError& error) {
        if (tried == 1 || attempts.final) throw;
        attempts.wasted += attempts.started - before;
        if (attempts.wasted > kMostWasted) {
          attempts.final = true;
          in.fail(
              "too many attempts: variants inside variants fail after they have read much; let their "
              "alternatives differ in kind, or by a member that is read first");
        }
        if (reasons.size() < kTextSize) {
          reasons +=
              fmt::format("{} ({}) {:.{}}", reasons.empty() ? "" : ";", index, error.message(), kReasonSize);
        }
      }
    }
  }
  in.fail(fmt::format("no alternative of the variant takes this '{}':{}", in.type_name(), reasons));
}

std::string text_of_path(std::string_view native) {
  std::string text;
  text.reserve(native.size());
  while (!native.empty()) {
    const std::size_t length = character_length(native);
    if (length > 0) {
      text += native.substr(0, length);
      native.remove_prefix(length);
      continue;
    }
    // U+DC80 to U+DCFF stand for the bytes 0x80 to 0xFF (PEP 383).
    const unsigned byte = byte_at(native, 0);
    text += {'\xED', static_cast<char>(byte < 0xC0 ? 0xB2 : 0xB3), static_cast<char>(0x80 | (byte & 0x3F))};
    native.remove_prefix(1);
  }
  return text;
}

std::optional<std::string> path_of_text(std::string_view text) {
  std::string native;
  native.reserve(text.size());
  while (!text.empty()) {
    const unsigned second = byte_at(text, 1);
    const unsigned third = byte_at(text, 2);
    if (byte_at(text, 0) == 0xED && second >= 0xA0) {  // a surrogate
      if ((second != 0xB2 && second != 0xB3) || (third & 0xC0U) != 0x80) return std::nullopt;
      native += static_cast<char>((second == 0xB2 ? 0x80U : 0xC0U) | (third & 0x3FU));
      text.remove_prefix(3);
    } else {
      native += text.front();
      text.remove_prefix(1);
    }
  }
  return native;
}

}  // namespace detail

}  // namespace interpool
