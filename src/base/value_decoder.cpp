#include "base/value_decoder.h"

#include "interpool/error.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace interpool {

namespace {

class ValueKeyStep final : public PathStep {
 public:
  ValueKeyStep(const PathStep* parent, const Value& key) noexcept : PathStep(parent), key_(key) {}

 private:
  void append(std::string& text) const override { append_value_key(text, key_); }
  const Value& key_;
};

}  // namespace

std::string named(Kind kind) {
  switch (kind) {
    case Kind::kNone: return "None";
    case Kind::kInt:
    case Kind::kOther: return fmt::format("an {}", to_string(kind));
    case Kind::kBytes: return "bytes";
    default: return fmt::format("a {}", to_string(kind));
  }
}

void append_value_key(std::string& text, const Value& key) {
  if (key.kind() == Kind::kStr) {
    append_key(text, key.as_str());
  } else {
    append_subscript(text, to_string(key));
  }
}

bool ValueDecoder::get_bool() {
  require(Kind::kBool);
  return value_.as_bool();
}

std::int64_t ValueDecoder::get_int() {
  if (const auto value = small_int()) return *value;
  fail("an int that does not fit into a signed 64-bit integer");
}

std::optional<std::int64_t> ValueDecoder::small_int() {
  if (value_.kind() == Kind::kBool) return value_.as_bool() ? 1 : 0;  // as in Python
  require(Kind::kInt);
  return value_.small_int();
}

std::uint64_t ValueDecoder::get_uint() {
  if (const auto value = get_any_int().to<std::uint64_t>()) return *value;
  fail("an int that does not fit into an unsigned 64-bit integer");
}

Bytes ValueDecoder::get_big_int() {
  const BigInt number = get_any_int();
  return {number.bytes().begin(), number.bytes().end()};
}

double ValueDecoder::get_float() {
  if (value_.kind() == Kind::kFloat) return value_.as_float();
  if (value_.kind() != Kind::kInt && value_.kind() != Kind::kBool) fail_kind(named(Kind::kFloat));
  if (const auto number = get_any_int().to_double()) return *number;
  fail("an int that is not exactly a double");
}

std::string ValueDecoder::get_str() {
  require(Kind::kStr);
  return value_.as_str();
}

Bytes ValueDecoder::get_bytes() {
  if (kind() == Kind::kBuffer) {
    if (!value_.as_buffer().is_contiguous())
      fail("a Buffer whose elements do not lie in C order is no bytes");
    const std::span<const std::byte> bytes = value_.as_buffer().bytes();
    return {bytes.begin(), bytes.end()};
  }
  require(Kind::kBytes);
  return value_.as_bytes();
}

Buffer ValueDecoder::get_buffer() {
  if (kind() == Kind::kBytes) return Buffer::copy_of(value_.as_bytes());
  require(Kind::kBuffer);
  return value_.as_buffer();
}

std::size_t ValueDecoder::size() {
  if (kind() != Kind::kList && kind() != Kind::kTuple && kind() != Kind::kDict)
    fail_kind("a list, tuple or dict");
  return value_.size();
}

void ValueDecoder::items(detail::FunctionRef<void(Decoder&)> visit) {
  if (kind() != Kind::kList && kind() != Kind::kTuple) fail_kind("a list or tuple");
  check_depth();
  std::size_t index = 0;
  for (const Value& item : value_.as_list()) visit_value(item, IndexStep(at_, index++), visit);
}

void ValueDecoder::entries(detail::FunctionRef<void(Decoder&, Decoder&)> visit) {
  require(Kind::kDict);
  check_depth();
  for (const Value::Entry& entry : value_.as_dict()) {
    visit_entry(entry, ValueKeyStep(at_, entry.first), visit);
  }
}

bool ValueDecoder::field(std::string_view name, detail::FunctionRef<void(Decoder&)> visit) {
  require(Kind::kDict);
  check_depth();
  for (const auto& [key, mapped] : value_.as_dict()) {
    if (key.kind() != Kind::kStr || key.as_str() != name) continue;
    visit_value(mapped, FieldStep(at_, name), visit);
    return true;
  }
  return false;
}

std::string ValueDecoder::get_path() {
  std::optional<std::string> path;
  if (kind() == Kind::kBytes) {
    const Bytes& bytes = value_.as_bytes();
    path.emplace(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else {
    path = detail::path_of_text(get_str());
  }
  if (!path) fail("no path has a lone surrogate like the one in this text");
  if (path->find('\0') != std::string::npos) fail("no path has a NUL in it");
  return std::move(*path);
}

void ValueDecoder::visit_value(const Value& value, const PathStep& at,
                               detail::FunctionRef<void(Decoder&)> visit) {
  ValueDecoder decoder(value, attempts_, &at);
  visit(decoder);
}

void ValueDecoder::visit_entry(const Value::Entry& entry, const PathStep& at,
                               detail::FunctionRef<void(Decoder&, Decoder&)> visit) {
  ValueDecoder key(entry.first, attempts_, &at);
  ValueDecoder mapped(entry.second, attempts_, &at);
  visit(key, mapped);
}

BigInt ValueDecoder::get_any_int() const {
  if (value_.kind() == Kind::kBool) return {value_.as_bool() ? 1 : 0};  // as in Python
  require(Kind::kInt);
  return value_.as_big_int();
}

void ValueDecoder::check_depth() const {
  if (at_ != nullptr && at_->depth() >= kMaxDepth) {
    attempts_.final = true;
    fail(fmt::format("nested deeper than {} containers", kMaxDepth));
  }
}

void ValueDecoder::require(Kind wanted) const {
  if (value_.kind() != wanted) fail_kind(named(wanted));
}

void ValueDecoder::fail_kind(const std::string& wanted) const {
  fail(fmt::format("{} wanted, {} found", wanted, named(kind())));
}

}  // namespace interpool
