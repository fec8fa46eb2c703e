// The path to a place inside a nested value, as conversion errors show it: `[3].user.id`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace interpool {

/// One step of a path. The steps live on the stack of the conversion and refer to their parents, so
/// a path costs nothing until an error needs its text.
class PathStep {
 public:
  [[nodiscard]] std::size_t depth() const noexcept { return depth_; }
  /// The text from the outermost step to this one.
  [[nodiscard]] std::string text() const;

 protected:
  explicit PathStep(const PathStep* parent) noexcept
      : parent_(parent), depth_(parent == nullptr ? 1 : parent->depth_ + 1) {}
  ~PathStep() = default;
  PathStep(const PathStep&) = default;
  PathStep& operator=(const PathStep&) = delete;
  virtual void append(std::string& text) const = 0;

 private:
  const PathStep* parent_;
  std::size_t depth_;
};

/// `[3]`
class IndexStep final : public PathStep {
 public:
  IndexStep(const PathStep* parent, std::size_t index) noexcept : PathStep(parent), index_(index) {}

 private:
  void append(std::string& text) const override;
  std::size_t index_;
};

/// `.name`: a field of a struct.
class FieldStep final : public PathStep {
 public:
  FieldStep(const PathStep* parent, std::string_view name) noexcept : PathStep(parent), name_(name) {}

 private:
  void append(std::string& text) const override;
  std::string_view name_;
};

/// `.name`, or `['not a name']`
void append_key(std::string& text, std::string_view key);
/// `[text]`, for a key that is no string.
void append_subscript(std::string& text, std::string_view subscript);

}  // namespace interpool
