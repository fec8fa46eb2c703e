// What the Python side sees of a Buffer.
#pragma once

#include "interpool/buffer.h"

#include <cstddef>
#include <string>
#include <vector>

namespace interpool::detail {

/// A layout that Python has made: of any format, and also of no dimension, which is one element.
struct ForeignLayout {
  std::string format;
  std::size_t item_size;  // not 0
  std::vector<std::ptrdiff_t> shape;
  std::vector<std::ptrdiff_t> strides;  // empty: C order, without gaps
  bool read_only = false;
};

struct BufferAccess {
  /// Where the element is whose indices are all 0; never null.
  static std::byte* start(const Buffer& buffer) noexcept;
  /// The memory of `buffer` under another layout, whose first element is at `start`. UsageError when that
  /// leads out of the memory.
  static Buffer view(const Buffer& buffer, const std::byte* start, ForeignLayout layout);
  /// Zeros. UsageError, as for all others, when the shape is more than memory can be.
  static Buffer allocate(ForeignLayout layout);
};

}  // namespace interpool::detail
