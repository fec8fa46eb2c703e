#include "interpool/json.h"

#include "base/json_text.h"
#include "base/path.h"
#include "base/utf8.h"
#include "base/value_decoder.h"
#include "interpool/error.h"
#include "interpool/value.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <system_error>
#include <vector>

namespace interpool {

namespace {

/// The digits that Python's int() and str() take, by default. The time that more of them take grows with the
/// square of their number.
constexpr std::size_t kMostDigits = 4300;

[[noreturn]] void fail_digits(const std::string& path) {
  throw ConversionError(
      path,
      fmt::format("an int of more than {} digits, which JSON is not read or written with", kMostDigits));
}

/// Writes text. The containers that are open are a stack of frames.
class JsonEncoder final : public Encoder {
 public:
  explicit JsonEncoder(const JsonOptions& options) noexcept : options_(options) {}

  std::string take() {
    if (!frames_.empty()) fail("its Converter left a container open");
    if (text_.empty()) fail("its Converter wrote no value");
    return std::move(text_);
  }

  void put_none() override {
    if (at_key()) fail_key("None");
    put_scalar("null");
  }
  void put_bool(bool value) override { put_scalar(value ? "true" : "false"); }
  void put_int(std::int64_t value) override { put_scalar(fmt::format_int(value).c_str()); }
  void put_uint(std::uint64_t value) override { put_scalar(fmt::format_int(value).c_str()); }
  void put_big_int(std::span<const std::byte> bytes) override {
    constexpr std::size_t kMostBytes = 1800;  // more than that many digits take
    const auto minimal = detail::minimal(bytes);
    if (minimal.size() > kMostBytes) fail_digits(path());
    const std::string digits = to_string(BigInt::from_bytes(minimal));
    if (digits.size() - (digits.starts_with('-') ? 1 : 0) > kMostDigits) fail_digits(path());
    put_scalar(digits);
  }
  void put_float(double value) override {
    if (!std::isfinite(value)) fail(fmt::format("JSON has no {}", value));
    // The fewest digits that make the same number, and something that tells it from an int.
    std::string digits = fmt::format("{}", value);
    if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
    put_scalar(digits);
  }
  void put_str(std::string_view utf8) override {
    std::string escaped;
    if (!is_utf8(utf8)) {
      if (!options_.escape_invalid_text) fail_text(utf8);
      escaped = with_escapes(utf8);
      utf8 = escaped;
    }
    begin_value();
    append_string(utf8);
    if (is_key()) frames_.back().keys.emplace_back(utf8);
  }
  void put_bytes(std::span<const std::byte> bytes) override { put_str(base64_of(bytes)); }
  void put_buffer(const Buffer& buffer) override {
    if (buffer.shape().size() != 1 || buffer.format() != "B" || !buffer.is_contiguous()) {
      fail("only a Buffer of one row of bytes is text in JSON: of this one, it would lose the layout");
    }
    put_bytes(buffer.bytes());
  }
  void put_duration(const DayTime& duration) override {
    const std::string text = text_of_duration(duration);
    if (!duration_of_text(text)) fail("longer than a datetime.timedelta can be, which is 999999999 days");
    put_str(text);
  }
  void put_time(const DayTime& since_epoch) override { put_date_text(text_of_time(since_epoch)); }
  void put_date(std::int64_t days_since_epoch) override { put_date_text(text_of_date(days_since_epoch)); }
  void begin_list(std::size_t size) override { begin(Kind::kList, size); }
  void begin_tuple(std::size_t size) override { begin(Kind::kList, size); }
  void begin_dict(std::size_t size) override { begin(Kind::kDict, 2 * size); }
  void begin_set(std::size_t size) override { begin(Kind::kList, size); }
  void put_callable(detail::NativeCallable& /*callable*/) override { fail("JSON has no functions"); }
  void end() override {
    if (frames_.empty()) fail("its Converter closed a container that it did not open");
    Frame& frame = frames_.back();
    if (frame.written != frame.size) {
      fail(fmt::format("its Converter announced {} values and wrote {}", frame.size, frame.written));
    }
    std::ranges::sort(frame.keys);
    if (const auto twice = std::ranges::adjacent_find(frame.keys); twice != frame.keys.end()) {
      fail(fmt::format("two of its keys are '{}' in JSON", *twice));
    }
    const char bracket = frame.kind == Kind::kList ? ']' : '}';
    const bool lines = frame.size != 0;
    frames_.pop_back();
    if (lines) append_line();
    text_ += bracket;
  }
  [[nodiscard]] std::string path() const override {
    std::string text;
    for (const Frame& frame : frames_) {
      // The value that is open inside has been counted already, but for the last frame's next one.
      const bool inner = &frame != &frames_.back();
      const std::size_t place = inner ? frame.written - 1 : frame.written;
      if (frame.kind == Kind::kList) {
        append_subscript(text, std::to_string(place));
      } else if (place % 2 != 0) {  // else it is a key that comes next
        append_key(text, frame.keys.back());
      }
    }
    return text;
  }

 private:
  struct Frame {
    Kind kind;
    std::size_t size;  // the values that it takes; those of a dict are keys and values
    std::size_t written = 0;
    std::vector<std::string> keys = {};
  };

  /// Whether a key comes next.
  [[nodiscard]] bool at_key() const {
    return !frames_.empty() && frames_.back().kind == Kind::kDict && frames_.back().written % 2 == 0;
  }
  /// Whether the value that begin_value() has begun is a key.
  [[nodiscard]] bool is_key() const {
    return !frames_.empty() && frames_.back().kind == Kind::kDict && frames_.back().written % 2 != 0;
  }
  [[noreturn]] void fail_key(std::string_view what) {
    fail(fmt::format("a key is text in JSON, and {} has none", what));
  }

  void begin_value() {
    if (frames_.empty()) {
      if (!text_.empty()) fail("its Converter wrote more than one value");
      return;
    }
    Frame& frame = frames_.back();
    if (frame.written == frame.size) fail("its Converter wrote more values than it announced");
    if (frame.kind == Kind::kDict && frame.written % 2 != 0) {
      text_ += options_.indent == 0 ? ":" : ": ";
    } else {
      if (frame.written != 0) text_ += ',';
      append_line();
    }
    ++frame.written;
  }
  void append_line() {
    if (options_.indent == 0) return;
    text_ += '\n';
    text_.append(options_.indent * frames_.size(), ' ');
  }
  void begin(Kind kind, std::size_t size) {
    if (at_key()) fail_key("a container");
    if (frames_.size() >= kMaxDepth) {
      fail(fmt::format("nested deeper than {} containers, or contains itself", kMaxDepth));
    }
    begin_value();
    text_ += kind == Kind::kList ? '[' : '{';
    frames_.push_back({.kind = kind, .size = size});
  }
  void put_scalar(std::string_view token) {
    begin_value();
    if (!is_key()) {
      text_ += token;
      return;
    }
    text_ += '"';
    text_ += token;
    text_ += '"';
    frames_.back().keys.emplace_back(token);
  }
  void put_date_text(const std::optional<std::string>& text) {
    if (!text) fail("dates are of the years 1 to 9999, and this is none of them");
    put_str(*text);
  }
  [[noreturn]] void fail_text(std::string_view text) const {
    std::size_t at = 0;
    while (const std::size_t length = character_length(text.substr(at, 4))) at += length;
    const bool surrogate = byte_at(text, at) == 0xED && byte_at(text, at + 1) >= 0xA0;
    fail(fmt::format("this text {} at byte {}; use interpool::Bytes for data that is not text",
                     surrogate ? "has a lone surrogate, which is no character," : "is not UTF-8", at));
  }
  void append_string(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      switch (c) {
        case '"': text_ += "\\\""; break;
        case '\\': text_ += "\\\\"; break;
        case '\b': text_ += "\\b"; break;
        case '\f': text_ += "\\f"; break;
        case '\n': text_ += "\\n"; break;
        case '\r': text_ += "\\r"; break;
        case '\t': text_ += "\\t"; break;
        default:
          if (static_cast<unsigned char>(c) < 0x20) {
            fmt::format_to(std::back_inserter(text_), "\\u{:04x}", static_cast<unsigned char>(c));
          } else {
            text_ += c;
          }
      }
    }
    text_ += '"';
  }

  const JsonOptions options_;
  std::string text_;
  std::vector<Frame> frames_;
};

// The numbers that a double has no room for are read by their digits: of those of an int, which may be many,
// the parser has to find that they are a finite number.
using Number = long double;
static_assert(std::numeric_limits<Number>::max_exponent10 > static_cast<int>(kMostDigits));
using Json =
    nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t, std::uint64_t, Number>;

/// Takes what the parser finds. Its functions have the parser's names; what they throw ends the parsing.
class ValueBuilder {
 public:
  explicit ValueBuilder(std::string_view text) noexcept : text_(text) {}

  Value take() { return std::move(result_); }

  bool null() { return put(Value()); }
  bool boolean(bool value) { return put(Value(value)); }
  bool number_integer(std::int64_t value) { return put(Value(value)); }
  bool number_unsigned(std::uint64_t value) { return put(Value(value)); }
  bool number_float(Number value, const std::string& digits) {
    if (digits.find_first_not_of("-0123456789") == std::string::npos) {
      if (digits.size() - (digits.starts_with('-') ? 1 : 0) > kMostDigits) fail_digits(path());
      return put(Value(*BigInt::parse(digits)));
    }
    return put(Value(to_double(value, digits)));
  }
  bool string(std::string& value) { return put(Value(std::move(value))); }
  bool binary(Json::binary_t& /*value*/) { return false; }  // not in text
  bool start_object(std::size_t /*size*/) { return begin(Kind::kDict); }
  bool start_array(std::size_t /*size*/) { return begin(Kind::kList); }
  bool key(std::string& name) {
    frames_.back().dict.emplace_back(std::move(name), Value());
    frames_.back().has_key = true;
    return true;
  }
  bool end_array() {
    Value::List list = std::move(frames_.back().list);
    frames_.pop_back();
    return put(Value(std::move(list)));
  }
  bool end_object() {
    Value::Dict dict = std::move(frames_.back().dict);
    frames_.pop_back();
    std::vector<std::string_view> keys;
    keys.reserve(dict.size());
    for (const auto& [key, mapped] : dict) keys.emplace_back(key.as_str());
    std::ranges::sort(keys);
    if (const auto twice = std::ranges::adjacent_find(keys); twice != keys.end()) {
      fail(fmt::format("the key '{}' twice in one object", *twice));
    }
    return put(Value(std::move(dict)));
  }
  [[noreturn]] bool parse_error(std::size_t position, const std::string& token,
                                const Json::exception& error) {
    // Its text begins with names and places of its own, and quotes what was read last, however long.
    std::string_view what = error.what();
    std::string reason;
    if (const auto* syntax = dynamic_cast<const Json::parse_error*>(&error)) {
      position = syntax->byte;
      if (const auto at = what.find("syntax error while"); at != std::string_view::npos)
        what.remove_prefix(at);
      constexpr std::string_view kQuotes = "; last read: '";
      const auto quoted = what.find(kQuotes);
      reason = what.substr(0, quoted);
      const std::string_view last =
          std::string_view(token).substr(token.size() - std::min<std::size_t>(token.size(), 40));
      if (quoted != std::string_view::npos) {
        reason += fmt::format("; last read: '{}'", with_escapes(last));
        // Behind the quotation, which may contain anything.
        const std::size_t rest = quoted + kQuotes.size() + token.size() + 1;
        if (rest < what.size()) reason += what.substr(rest);
      }
    } else {
      reason = fmt::format("a number that is too large: {}…", std::string_view(token).substr(0, 40));
    }
    fail_at(position == 0 ? 0 : position - 1, reason);
  }
  /// `position`: of the byte that is wrong.
  [[noreturn]] void fail_at(std::size_t position, std::string_view reason) const {
    const std::string_view before = text_.substr(0, std::min(position, text_.size()));
    const auto line = 1 + std::ranges::count(before, '\n');
    const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    throw ConversionError(path(), fmt::format("no JSON at line {}, column {}: {}", line, column, reason));
  }

 private:
  struct Frame {
    Kind kind;
    bool has_key = false;  // whose value comes next
    Value::List list = {};
    Value::Dict dict = {};
  };

  [[noreturn]] void fail(std::string reason) const { throw ConversionError(path(), std::move(reason)); }
  [[nodiscard]] std::string path() const {
    std::string text;
    for (const Frame& frame : frames_) {
      if (frame.kind == Kind::kList) {
        append_subscript(text, std::to_string(frame.list.size()));
      } else if (frame.has_key) {
        append_value_key(text, frame.dict.back().first);
      }
    }
    return text;
  }
  [[nodiscard]] double to_double(Number value, std::string digits) const {
    // The parser has put in the point of the process' locale.
    for (char& c : digits) {
      if (std::string_view("+-0123456789eE").find(c) == std::string_view::npos) c = '.';
    }
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc()) return number;
    number = static_cast<double>(value);  // too large, or so small that it is 0
    if (!std::isfinite(number)) fail("a number that is too large for a double");
    return number;
  }
  bool begin(Kind kind) {
    if (frames_.size() >= kMaxDepth) fail(fmt::format("nested deeper than {} containers", kMaxDepth));
    frames_.push_back({.kind = kind});
    return true;
  }
  bool put(Value value) {
    if (frames_.empty()) {
      result_ = std::move(value);
    } else if (frames_.back().kind == Kind::kList) {
      frames_.back().list.push_back(std::move(value));
    } else {
      frames_.back().dict.back().second = std::move(value);
      frames_.back().has_key = false;
    }
    return true;
  }

  const std::string_view text_;
  std::vector<Frame> frames_;
  Value result_;
};

Value parse(std::string_view text) {
  ValueBuilder builder(text);
  // The parser takes one for the end.
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) builder.fail_at(nul, "a NUL");
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

/// Reads what has no form of its own from its text.
class JsonDecoder : public ValueDecoder {
 public:
  using ValueDecoder::ValueDecoder;

  [[nodiscard]] Kind str_stands_for() const override { return Kind::kOther; }
  Bytes get_bytes() override {
    return read("bytes", bytes_of_base64, "no base64 as RFC 4648 has it, with padding");
  }
  Buffer get_buffer() override { return Buffer::copy_of(get_bytes()); }
  DayTime get_duration() override {
    return read(
        "a duration", duration_of_text,
        "no duration like 'P1DT2H3M4.5S', in days or less, whole microseconds and up to 999999999 days");
  }
  DayTime get_time() override {
    return read(
        "a time", time_of_text,
        "no time like '2026-11-22T04:05:06.789Z', with its offset from UTC and in whole microseconds");
  }
  std::int32_t get_date() override { return read("a date", date_of_text, "no date like '2026-11-22'"); }

 private:
  template <class T>
  T read(const char* wanted, std::optional<T> (*of_text)(std::string_view), const char* reason) {
    if (kind() != Kind::kStr) fail_kind(wanted);
    if (std::optional<T> result = of_text(value().as_str())) return std::move(*result);
    fail(reason);
  }
  void visit_value(const Value& value, const PathStep& at,
                   detail::FunctionRef<void(Decoder&)> visit) override {
    JsonDecoder decoder(value, attempts(), &at);
    visit(decoder);
  }
  void visit_entry(const Value::Entry& entry, const PathStep& at,
                   detail::FunctionRef<void(Decoder&, Decoder&)> visit) override;
};

/// The text of a number or bool is one, to those who ask for it.
class JsonKeyDecoder final : public JsonDecoder {
 public:
  using JsonDecoder::JsonDecoder;

  [[nodiscard]] Kind str_stands_for() const override {
    const Value scalar = of_text();
    return scalar.kind() == Kind::kStr ? Kind::kOther : scalar.kind();
  }
  bool get_bool() override { return of_scalar(&Decoder::get_bool); }
  std::int64_t get_int() override { return of_scalar(&Decoder::get_int); }
  std::optional<std::int64_t> small_int() override { return of_scalar(&Decoder::small_int); }
  std::uint64_t get_uint() override { return of_scalar(&Decoder::get_uint); }
  Bytes get_big_int() override { return of_scalar(&Decoder::get_big_int); }
  double get_float() override { return of_scalar(&Decoder::get_float); }

 private:
  /// The bool or number that the text is, or the text.
  [[nodiscard]] Value of_text() const {
    const std::string& text = value().as_str();
    // Nothing but the scalar: no blanks around it.
    constexpr std::string_view kBegin = "-0123456789tf";
    if (!text.empty() && kBegin.find(text.front()) != std::string_view::npos &&
        text.find_first_of(" \t\r\n") == std::string::npos) {
      try {
        return parse(text);
      } catch (const ConversionError&) {
        // It is text, then.
      }
    }
    return value();
  }
  template <class T>
  T of_scalar(T (Decoder::*get)()) {
    const Value scalar = of_text();
    ValueDecoder decoder(scalar, attempts(), at());
    return (decoder.*get)();
  }
};

void JsonDecoder::visit_entry(const Value::Entry& entry, const PathStep& at,
                              detail::FunctionRef<void(Decoder&, Decoder&)> visit) {
  JsonKeyDecoder key(entry.first, attempts(), &at);
  JsonDecoder mapped(entry.second, attempts(), &at);
  visit(key, mapped);
}

}  // namespace

namespace detail {

std::string encode_json(FunctionRef<void(Encoder&)> write, const JsonOptions& options) {
  constexpr std::size_t kMostIndent = 100;
  if (options.indent > kMostIndent) {
    throw UsageError(
        fmt::format("JsonOptions::indent is {}, and must be at most {}", options.indent, kMostIndent));
  }
  JsonEncoder encoder(options);
  write(encoder);
  return encoder.take();
}

void encode_texts(Encoder& out,
                  std::initializer_list<std::pair<std::string_view, std::string_view>> entries) {
  out.begin_dict(entries.size());
  for (const auto& [key, text] : entries) {
    out.put_str(key);
    out.put_str(text);
  }
  out.end();
}

void decode_json(std::string_view text, FunctionRef<void(Decoder&)> read) {
  const Value value = parse(text);
  Attempts attempts;
  JsonDecoder decoder(value, attempts);
  read(decoder);
}

}  // namespace detail

}  // namespace interpool
