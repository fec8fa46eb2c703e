// Inside: what the Python side asks of the library, and hands to it.
#pragma once

#include "python/module.h"

#include <optional>
#include <string_view>

namespace interpool::detail {

/// Shared-owned by the Runtime and by the module `interpool` of every interpreter. Thread-safe.
class Inside final : public python::Host {
 public:
  [[nodiscard]] std::string_view worker() const noexcept override;
  [[nodiscard]] std::optional<std::string_view> task() const noexcept override;
};

}  // namespace interpool::detail
