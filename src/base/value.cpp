#include "interpool/value.h"

#include "base/value_decoder.h"
#include "interpool/error.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

namespace interpool {

namespace {

/// Builds a Value. The containers under construction are a stack of frames.
class ValueEncoder final : public Encoder {
 public:
  Value take() {
    if (!frames_.empty()) fail("its Converter left a container open");
    if (!result_) fail("its Converter wrote no value");
    return std::move(*result_);
  }

  void put_none() override { put(Value()); }
  void put_bool(bool value) override { put(Value(value)); }
  void put_int(std::int64_t value) override { put(Value(value)); }
  void put_uint(std::uint64_t value) override { put(Value(value)); }
  void put_big_int(std::span<const std::byte> bytes) override { put(Value(BigInt::from_bytes(bytes))); }
  void put_float(double value) override { put(Value(value)); }
  void put_str(std::string_view utf8) override { put(Value(std::string(utf8))); }
  void put_bytes(std::span<const std::byte> bytes) override { put(Value(Bytes(bytes.begin(), bytes.end()))); }
  void put_buffer(const Buffer& buffer) override { put(Value(buffer)); }
  void put_duration(const DayTime& /*duration*/) override { fail("a Value holds no timedelta"); }
  void put_time(const DayTime& /*since_epoch*/) override { fail("a Value holds no datetime"); }
  void put_date(std::int64_t /*days_since_epoch*/) override { fail("a Value holds no date"); }
  void begin_list(std::size_t size) override { begin(Kind::kList, size); }
  void begin_tuple(std::size_t size) override { begin(Kind::kTuple, size); }
  void begin_dict(std::size_t size) override { begin(Kind::kDict, 2 * size); }
  void begin_set(std::size_t size) override { begin_list(size); }
  void put_callable(detail::NativeCallable& /*callable*/) override { fail("a Value cannot hold a callback"); }
  void end() override {
    if (frames_.empty()) fail("its Converter closed a container that it did not open");
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.items.size() != frame.size) {
      fail(fmt::format("its Converter announced {} values and wrote {}", frame.size, frame.items.size()));
    }
    if (frame.kind == Kind::kList) return put(Value(std::move(frame.items)));
    if (frame.kind == Kind::kTuple) return put(Value(Value::Tuple{std::move(frame.items)}));
    Value::Dict dict;
    dict.reserve(frame.items.size() / 2);
    for (std::size_t i = 0; i < frame.items.size(); i += 2) {
      dict.emplace_back(std::move(frame.items[i]), std::move(frame.items[i + 1]));
    }
    put(Value(std::move(dict)));
  }
  [[nodiscard]] std::string path() const override {
    std::string text;
    for (const Frame& frame : frames_) {
      if (frame.kind != Kind::kDict) {
        append_subscript(text, std::to_string(frame.items.size()));
      } else if (frame.items.size() % 2 != 0) {  // else it is a key that comes next
        append_value_key(text, frame.items.back());
      }
    }
    return text;
  }

 private:
  struct Frame {
    Kind kind;
    std::size_t size;
    std::vector<Value> items;
  };

  void begin(Kind kind, std::size_t size) {
    if (frames_.size() >= kMaxDepth) {
      fail(fmt::format("nested deeper than {} containers, or contains itself", kMaxDepth));
    }
    frames_.push_back({kind, size, {}});
    frames_.back().items.reserve(size);
  }
  void put(Value value) {
    if (frames_.empty()) {
      if (result_) fail("its Converter wrote more than one value");
      result_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.items.size() == frame.size) fail("its Converter wrote more values than it announced");
    frame.items.push_back(std::move(value));
  }

  std::vector<Frame> frames_;
  std::optional<Value> result_;
};

void append_repr(std::string& text, const Value& value);

/// As repr() does it: double quotes where that saves escaping. `bytes`: all that is not ASCII is escaped.
void append_quoted(std::string& text, std::string_view characters, bool bytes) {
  const bool has_single = characters.find('\'') != std::string_view::npos;
  const bool has_double = characters.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  text += quote;
  for (const char c : characters) {
    const auto code = static_cast<unsigned char>(c);
    switch (c) {
      case '\\': text += "\\\\"; break;
      case '\n': text += "\\n"; break;
      case '\r': text += "\\r"; break;
      case '\t': text += "\\t"; break;
      default:
        if (c == quote) {
          text += '\\';
          text += c;
        } else if (code < 0x20 || code == 0x7f || (bytes && code >= 0x80)) {
          fmt::format_to(std::back_inserter(text), "\\x{:02x}", code);
        } else {
          text += c;
        }
    }
  }
  text += quote;
}

void append_items(std::string& text, const std::vector<Value>& items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += ", ";
    append_repr(text, items[i]);
  }
}

void append_float(std::string& text, double number) {
  const auto start = text.size();
  fmt::format_to(std::back_inserter(text), "{}", number);
  // Python always shows that it is a float.
  if (std::isfinite(number) && text.find_first_of(".e", start) == std::string::npos) text += ".0";
}

void append_repr(std::string& text, const Value& value) {
  switch (value.kind()) {
    case Kind::kBool: text += value.as_bool() ? "True" : "False"; return;
    case Kind::kInt: text += to_string(value.as_big_int()); return;
    case Kind::kFloat: append_float(text, value.as_float()); return;
    case Kind::kStr: append_quoted(text, value.as_str(), false); return;
    case Kind::kBytes: {
      const Bytes& bytes = value.as_bytes();
      text += 'b';
      append_quoted(text, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, true);
      return;
    }
    case Kind::kList:
      text += '[';
      append_items(text, value.as_list());
      text += ']';
      return;
    case Kind::kTuple:
      text += '(';
      append_items(text, value.as_list());
      text += value.size() == 1 ? ",)" : ")";
      return;
    case Kind::kDict: {
      text += '{';
      bool first = true;
      for (const auto& [key, mapped] : value.as_dict()) {
        if (!std::exchange(first, false)) text += ", ";
        append_repr(text, key);
        text += ": ";
        append_repr(text, mapped);
      }
      text += '}';
      return;
    }
    case Kind::kBuffer: text += to_string(value.as_buffer()); return;
    case Kind::kNone:
    case Kind::kOther: text += "None"; return;
  }
}

}  // namespace

Kind Value::kind() const noexcept {
  static_assert(
      std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(Kind::kBuffer), decltype(data_)>,
                     Buffer>,
      "the alternatives stand in the order of Kind");
  if (std::holds_alternative<BigInt>(data_)) return Kind::kInt;
  return static_cast<Kind>(data_.index());
}

Value::Value(BigInt value) {
  if (const auto small = value.to<std::int64_t>()) {
    data_ = *small;
  } else {
    data_ = std::move(value);
  }
}

void Value::fail_kind(Kind wanted) const {
  throw ConversionError({}, fmt::format("{} wanted, {} found", named(wanted), named(kind())));
}

bool Value::as_bool() const {
  if (const bool* value = std::get_if<bool>(&data_)) return *value;
  fail_kind(Kind::kBool);
}
std::int64_t Value::as_int() const {
  if (const auto value = small_int()) return *value;
  throw ConversionError({}, "an int that does not fit into a signed 64-bit integer; as_big_int() has it");
}
std::optional<std::int64_t> Value::small_int() const {
  if (const std::int64_t* value = std::get_if<std::int64_t>(&data_)) return *value;
  if (kind() == Kind::kInt) return std::nullopt;
  fail_kind(Kind::kInt);
}
BigInt Value::as_big_int() const {
  if (const std::int64_t* value = std::get_if<std::int64_t>(&data_)) return *value;
  if (const BigInt* value = std::get_if<BigInt>(&data_)) return *value;
  fail_kind(Kind::kInt);
}
double Value::as_float() const {
  if (const double* value = std::get_if<double>(&data_)) return *value;
  fail_kind(Kind::kFloat);
}
const std::string& Value::as_str() const {
  if (const std::string* value = std::get_if<std::string>(&data_)) return *value;
  fail_kind(Kind::kStr);
}
const Bytes& Value::as_bytes() const {
  if (const Bytes* value = std::get_if<Bytes>(&data_)) return *value;
  fail_kind(Kind::kBytes);
}
const std::vector<Value>& Value::as_list() const {
  if (const List* value = std::get_if<List>(&data_)) return *value;
  if (const Tuple* value = std::get_if<Tuple>(&data_)) return value->items;
  fail_kind(Kind::kList);
}
const Value::Dict& Value::as_dict() const {
  if (const Dict* value = std::get_if<Dict>(&data_)) return *value;
  fail_kind(Kind::kDict);
}

const Buffer& Value::as_buffer() const {
  if (const Buffer* value = std::get_if<Buffer>(&data_)) return *value;
  fail_kind(Kind::kBuffer);
}

const Value& Value::operator[](std::string_view key) const {
  for (const auto& [candidate, mapped] : as_dict()) {
    const std::string* text = std::get_if<std::string>(&candidate.data_);
    if (text != nullptr && *text == key) return mapped;
  }
  throw ConversionError({}, fmt::format("no key '{}' in this dict", key));
}

const Value& Value::at(std::size_t index) const {
  const auto& items = as_list();
  if (index < items.size()) return items[index];
  throw ConversionError({}, fmt::format("no item {} in a {} of {}", index, to_string(kind()), items.size()));
}

std::size_t Value::size() const noexcept {
  if (const auto* list = std::get_if<List>(&data_)) return list->size();
  if (const auto* tuple = std::get_if<Tuple>(&data_)) return tuple->items.size();
  if (const auto* dict = std::get_if<Dict>(&data_)) return dict->size();
  if (const auto* text = std::get_if<std::string>(&data_)) return text->size();
  if (const auto* bytes = std::get_if<Bytes>(&data_)) return bytes->size();
  if (const auto* buffer = std::get_if<Buffer>(&data_)) return buffer->size();
  return 0;
}

Value Value::encode(detail::FunctionRef<void(Encoder&)> write) {
  ValueEncoder encoder;
  write(encoder);
  return encoder.take();
}

void Value::decode(detail::FunctionRef<void(Decoder&)> read) const {
  detail::Attempts attempts;
  ValueDecoder decoder(*this, attempts);
  read(decoder);
}

std::string to_string(const Value& value) {
  std::string text;
  append_repr(text, value);
  return text;
}

void Converter<Value>::encode(Encoder& out, const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
    case Kind::kOther: return out.put_none();
    case Kind::kBool: return out.put_bool(value.as_bool());
    case Kind::kInt:
      if (const auto number = value.small_int()) return out.put_int(*number);
      return Converter<BigInt>::encode(out, value.as_big_int());
    case Kind::kFloat: return out.put_float(value.as_float());
    case Kind::kStr: return out.put_str(value.as_str());
    case Kind::kBytes: return out.put_bytes(value.as_bytes());
    case Kind::kBuffer: return out.put_buffer(value.as_buffer());
    case Kind::kList: out.begin_list(value.size()); break;
    case Kind::kTuple: out.begin_tuple(value.size()); break;
    case Kind::kDict:
      out.begin_dict(value.size());
      for (const auto& [key, mapped] : value.as_dict()) {
        encode(out, key);
        encode(out, mapped);
      }
      return out.end();
  }
  for (const Value& item : value.as_list()) encode(out, item);
  out.end();
}

Value Converter<Value>::decode(Decoder& in) {
  switch (in.kind()) {
    case Kind::kNone: return {};
    case Kind::kBool: return in.get_bool();
    case Kind::kInt:
      if (const auto number = in.small_int()) return *number;
      return Converter<BigInt>::decode(in);
    case Kind::kFloat: return in.get_float();
    case Kind::kStr: return in.get_str();
    case Kind::kBytes: return in.get_bytes();
    case Kind::kBuffer: return in.get_buffer();
    case Kind::kList: {
      Value::List items;
      items.reserve(detail::believable_size(in.size()));
      in.items([&](Decoder& item) { items.push_back(decode(item)); });
      return items;
    }
    case Kind::kTuple: {
      Value::Tuple tuple;
      tuple.items.reserve(detail::believable_size(in.size()));
      in.items([&](Decoder& item) { tuple.items.push_back(decode(item)); });
      return tuple;
    }
    case Kind::kDict: {
      Value::Dict dict;
      dict.reserve(detail::believable_size(in.size()));
      in.entries([&](Decoder& key, Decoder& mapped) {
        Value key_value = decode(key);
        dict.emplace_back(std::move(key_value), decode(mapped));
      });
      return dict;
    }
    case Kind::kOther: break;
  }
  in.fail(fmt::format("a '{}' does not convert to a Value", in.type_name()));
}

}  // namespace interpool
