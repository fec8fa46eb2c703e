// Reads a Value as any type that converts.
#pragma once

#include "base/path.h"
#include "interpool/value.h"

#include <string>
#include <string_view>

namespace interpool {

/// "an int", "None", …
std::string named(Kind kind);

/// `.name`, or `[1]`
void append_value_key(std::string& text, const Value& key);

/// Refers to what it is made of.
class ValueDecoder : public Decoder {
 public:
  ValueDecoder(const Value& value, detail::Attempts& attempts, const PathStep* at = nullptr) noexcept
      : value_(value), attempts_(attempts), at_(at) {}

  [[nodiscard]] Kind kind() const override { return value_.kind(); }
  [[nodiscard]] std::string type_name() const override { return to_string(kind()); }
  bool get_bool() override;
  std::int64_t get_int() override;
  std::optional<std::int64_t> small_int() override;
  std::uint64_t get_uint() override;
  Bytes get_big_int() override;
  double get_float() override;
  std::string get_str() override;
  Bytes get_bytes() override;
  Buffer get_buffer() override;
  DayTime get_duration() override { fail_kind("a timedelta"); }
  DayTime get_time() override { fail_kind("a datetime"); }
  std::int32_t get_date() override { fail_kind("a date"); }
  std::size_t size() override;
  void items(detail::FunctionRef<void(Decoder&)> visit) override;
  void entries(detail::FunctionRef<void(Decoder&, Decoder&)> visit) override;
  void members(detail::FunctionRef<void(Decoder&)> visit) override {
    require(Kind::kList);  // which a set is here
    items(visit);
  }
  bool field(std::string_view name, detail::FunctionRef<void(Decoder&)> visit) override;
  std::string get_path() override;
  [[nodiscard]] std::string path() const override { return at_ == nullptr ? std::string() : at_->text(); }
  detail::Attempts& attempts() noexcept override { return attempts_; }

 protected:
  [[nodiscard]] const Value& value() const noexcept { return value_; }
  [[nodiscard]] const PathStep* at() const noexcept { return at_; }
  [[noreturn]] void fail_kind(const std::string& wanted) const;

 private:
  // Decoders for what is inside.
  virtual void visit_value(const Value& value, const PathStep& at, detail::FunctionRef<void(Decoder&)> visit);
  virtual void visit_entry(const Value::Entry& entry, const PathStep& at,
                           detail::FunctionRef<void(Decoder&, Decoder&)> visit);
  [[nodiscard]] BigInt get_any_int() const;
  void check_depth() const;
  void require(Kind wanted) const;

  const Value& value_;
  detail::Attempts& attempts_;
  const PathStep* at_;
};

}  // namespace interpool
