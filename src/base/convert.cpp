#include "interpool/convert.h"

#include "interpool/error.h"

#include <fmt/format.h>

#include <utility>

namespace interpool {

Encoder::~Encoder() = default;
Decoder::~Decoder() = default;

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
    case Kind::kOther: return "object";
  }
  return "object";
}

namespace detail {

void fail_range(const Decoder& in, std::string_view text, bool is_signed, unsigned bits) {
  in.fail(fmt::format("{} does not fit into {} {}-bit integer", text, is_signed ? "a signed" : "an unsigned",
                      bits));
}

void fail_range(const Decoder& in, double value, unsigned bits) {
  in.fail(fmt::format("{} does not fit into a {}-bit float", value, bits));
}

void fail_range(long double value) {
  throw ConversionError({}, fmt::format("{} does not fit into a double", value));
}

void fail_none(const Decoder& in) { in.fail(fmt::format("None wanted, a '{}' found", in.type_name())); }

void fail_size(const Decoder& in, std::size_t wanted, std::size_t found) {
  in.fail(fmt::format("{} items wanted, {} found", wanted, found));
}

}  // namespace detail

}  // namespace interpool
