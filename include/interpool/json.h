// JSON text of whatever converts, and back.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>
#include <interpool/detail/function_ref.h>
#include <interpool/log.h>
#include <interpool/output.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace interpool {

/// How JSON text is laid out.
struct JsonOptions {
  /// Blanks by which each level of containers is indented, an entry to a line, at most 100. 0: all in one
  /// line, without blanks.
  std::size_t indent = 0;
  /// What to_json() does with text that is not UTF-8. False: a ConversionError. True: it writes `\xff`, say,
  /// for each byte that is no part of a character; for logs, which should not fail.
  bool escape_invalid_text = false;
};

namespace detail {

INTERPOOL_API std::string encode_json(FunctionRef<void(Encoder&)> write, const JsonOptions& options);
INTERPOOL_API void decode_json(std::string_view text, FunctionRef<void(Decoder&)> read);
/// A dict of texts.
INTERPOOL_API void encode_texts(Encoder& out,
                                std::initializer_list<std::pair<std::string_view, std::string_view>> entries);

}  // namespace detail

/// The value as JSON (RFC 8259, in UTF-8), by the same Converter that takes it into Python: a struct with
/// kFields is an object, a std::optional without a value null. docs/conversion.md has the table. What
/// JSON has no form for is a ConversionError with its path: NaN and infinities, text that is not UTF-8, keys
/// that are neither text nor numbers, two keys of one text, callables, Buffers of other elements than bytes.
///
/// The rest comes back from from_json() as it was, with these exceptions: a variant whose alternatives look
/// alike in JSON may come back as another of them (text and bytes are both text there, a vector and a set
/// both arrays, and so is a key "1" of a variant of std::string and int); bytes and tuples in a Value as str
/// and lists, and its keys as str; a path with a NUL is a ConversionError there.
///
/// Uses no Python: any thread, at any time, without a Runtime.
template <Encodable T>
[[nodiscard]] std::string to_json(const T& value, const JsonOptions& options = {}) {
  return detail::encode_json([&](Encoder& out) { Converter<T>::encode(out, value); }, options);
}

/// The value that a JSON text says, by the same Converter that reads it from Python; of a Value, what the
/// text has: None, bool, int, float, str, list and dict. Throws ConversionError: with line and column where
/// the text is no JSON, names a key twice or nests deeper than kMaxDepth; with the path to what does not
/// convert.
///
/// The text may come from anybody: the time and memory that it takes are bounded by its length. Uses no
/// Python, as above.
template <Decodable T>
[[nodiscard]] T from_json(std::string_view text) {
  std::optional<T> result;
  detail::decode_json(text, [&](Decoder& in) { result.emplace(Converter<T>::decode(in)); });
  return std::move(*result);
}

/// A record of Python's logging as an object, for a log with a JSON text to a line; it is not read back.
template <>
struct Converter<LogRecord> {
  static void encode(Encoder& out, const LogRecord& record) {
    detail::encode_texts(out, {{"level", to_string(record.level)},
                               {"logger", record.logger},
                               {"message", record.message},
                               {"worker", record.worker},
                               {"task", record.task}});
  }
};

/// The same for a line that Python code has printed.
template <>
struct Converter<OutputLine> {
  static void encode(Encoder& out, const OutputLine& line) {
    detail::encode_texts(out, {{"stream", to_string(line.stream)},
                               {"text", line.text},
                               {"worker", line.worker},
                               {"task", line.task}});
  }
};

}  // namespace interpool
