#include "interpool/buffer.h"

#include "base/buffer_access.h"
#include "interpool/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <string_view>

namespace interpool {

namespace {

using Dimensions = std::vector<std::ptrdiff_t>;

constexpr std::size_t kMaxDimensions = 64;  // PyBUF_MAX_NDIM
constexpr auto kMaxSize = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

enum class Class : std::uint8_t { kSigned, kUnsigned, kFloat, kOther };

/// One letter of the struct module.
struct Letter {
  char code;
  Class kind;
  std::size_t native;    // bytes
  std::size_t standard;  // bytes where a byte order stands in front; 0: there is none
};

constexpr Letter kLetters[] = {
    {'c', Class::kOther, 1, 1},
    {'b', Class::kSigned, 1, 1},
    {'B', Class::kUnsigned, 1, 1},
    {'?', Class::kOther, sizeof(bool), 1},
    {'h', Class::kSigned, sizeof(short), 2},
    {'H', Class::kUnsigned, sizeof(short), 2},
    {'i', Class::kSigned, sizeof(int), 4},
    {'I', Class::kUnsigned, sizeof(int), 4},
    {'l', Class::kSigned, sizeof(long), 4},
    {'L', Class::kUnsigned, sizeof(long), 4},
    {'q', Class::kSigned, sizeof(long long), 8},
    {'Q', Class::kUnsigned, sizeof(long long), 8},
    {'n', Class::kSigned, sizeof(std::ptrdiff_t), 0},
    {'N', Class::kUnsigned, sizeof(std::size_t), 0},
    {'e', Class::kOther, 2, 2},
    {'f', Class::kFloat, sizeof(float), 4},
    {'d', Class::kFloat, sizeof(double), 8},
    {'P', Class::kOther, sizeof(void*), 0},
};

struct Format {
  Class kind;
  std::size_t size;
  bool native_order;
};

/// None: no element that this library knows.
std::optional<Format> parse(std::string_view format) {
  char order = '@';
  if (!format.empty() && std::string_view("@=<>!").find(format.front()) != std::string_view::npos) {
    order = format.front();
    format.remove_prefix(1);
  }
  if (format.size() != 1) return std::nullopt;
  for (const Letter& letter : kLetters) {
    if (letter.code != format.front()) continue;
    const std::size_t size = order == '@' ? letter.native : letter.standard;
    if (size == 0) return std::nullopt;
    constexpr bool kLittle = std::endian::native == std::endian::little;
    const bool foreign = kLittle ? order == '>' || order == '!' : order == '<';
    return Format{letter.kind, size, size == 1 || !foreign};
  }
  return std::nullopt;
}

std::string text_of(const Dimensions& numbers) {
  return fmt::format("({}{})", fmt::join(numbers, ", "), numbers.size() == 1 ? "," : "");
}

/// The bytes of so many elements; throws UsageError where no memory has as many.
std::size_t size_of(const Dimensions& shape, std::size_t item_size) {
  if (shape.size() > kMaxDimensions) {
    throw UsageError(
        fmt::format("shape: {} dimensions; Python has no more than {}", shape.size(), kMaxDimensions));
  }
  bool none = false;
  for (const std::ptrdiff_t length : shape) {
    if (length < 0) throw UsageError(fmt::format("shape: {} has a negative length", text_of(shape)));
    none = none || length == 0;
  }
  if (none) return 0;
  std::size_t size = item_size;
  for (const std::ptrdiff_t length : shape) {
    if (__builtin_mul_overflow(size, static_cast<std::size_t>(length), &size) || size > kMaxSize) {
      throw UsageError(fmt::format("shape: {} elements of {} bytes are more than memory can hold",
                                   text_of(shape), item_size));
    }
  }
  return size;
}

/// C order, without gaps. The shape has been checked by size_of().
Dimensions c_strides(const Dimensions& shape, std::size_t item_size) {
  Dimensions strides(shape.size());
  auto stride = static_cast<std::ptrdiff_t>(item_size);
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    // Beyond what can be addressed only beside a length of 0, when nobody takes a step.
    if (__builtin_mul_overflow(stride, shape[i] == 0 ? 1 : shape[i], &stride)) stride = 0;
  }
  return strides;
}

/// As PyBuffer_IsContiguous has it: a stride that nobody takes may be anything.
bool is_c_order(const Dimensions& shape, const Dimensions& strides, std::size_t item_size) {
  const Dimensions wanted = c_strides(shape, item_size);
  bool same = true;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return true;
    same = same && (shape[i] == 1 || strides[i] == wanted[i]);
  }
  return same;
}

/// Throws UsageError unless all elements are inside of the memory.
void check_inside(std::size_t memory, std::size_t offset, std::size_t item_size, const Dimensions& shape,
                  const Dimensions& strides, std::size_t size) {
  const auto fail = [&] {
    throw UsageError(
        fmt::format("strides: elements of {} bytes with shape {} and strides {} from offset {} on are not "
                    "all inside of {} "
                    "bytes",
                    item_size, text_of(shape), text_of(strides), offset, memory));
  };
  if (offset > memory) fail();
  if (size == 0) return;
  auto low = static_cast<std::ptrdiff_t>(offset);
  auto high = low;
  if (__builtin_add_overflow(high, static_cast<std::ptrdiff_t>(item_size), &high)) fail();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::ptrdiff_t extent = 0;
    std::ptrdiff_t& end = strides[i] < 0 ? low : high;
    if (__builtin_mul_overflow(shape[i] - 1, strides[i], &extent) ||
        __builtin_add_overflow(end, extent, &end)) {
      fail();
    }
  }
  if (low < 0 || static_cast<std::size_t>(high) > memory) fail();
}

std::size_t item_size_of(const std::string& format) {
  if (const std::optional<Format> known = parse(format)) return known->size;
  throw UsageError(fmt::format(
      "format: '{}' is no element of Python's struct module: write one letter, as 'f' or '<q' do, or "
      "Buffer::format_of<T>()",
      format));
}

std::shared_ptr<void> zeros(std::size_t size) {
  void* memory = std::calloc(size == 0 ? 1 : size, 1);
  if (memory == nullptr) throw std::bad_alloc();
  return {memory, [](void* data) { std::free(data); }};
}

}  // namespace

/// What handles share: immutable but for the count.
struct Buffer::Rep {
  Rep(std::shared_ptr<const void> memory_owner, const void* memory, std::size_t memory_size,
      std::size_t from_offset, detail::ForeignLayout layout)
      : owner(std::move(memory_owner)),
        data(static_cast<std::byte*>(const_cast<void*>(memory))),
        data_size(memory_size),
        offset(from_offset),
        format(std::move(layout.format)),
        item_size(layout.item_size),
        shape(std::move(layout.shape)),
        strides(std::move(layout.strides)),
        read_only(layout.read_only) {
    if (data_size > kMaxSize) {
      throw UsageError(fmt::format("size: {} bytes are more than memory can hold", data_size));
    }
    if (data == nullptr && data_size > 0) {
      throw UsageError(fmt::format("data: null is no memory of {} bytes", data_size));
    }
    size = size_of(shape, item_size);
    if (strides.empty()) strides = c_strides(shape, item_size);
    if (strides.size() != shape.size()) {
      throw UsageError(
          fmt::format("strides: {} for a shape of {} dimensions", text_of(strides), shape.size()));
    }
    check_inside(data_size, offset, item_size, shape, strides, size);
    contiguous = is_c_order(shape, strides, item_size);
  }

  mutable std::atomic<std::size_t> count{1};  // of handles
  std::shared_ptr<const void> owner;          // of the memory
  std::byte* data;                            // the memory, from its beginning
  std::size_t data_size;
  std::size_t offset;
  std::string format;
  std::size_t item_size;
  Dimensions shape;
  Dimensions strides;
  bool read_only;
  bool contiguous = false;
  std::size_t size = 0;
};

Buffer::Buffer(const Buffer& other) noexcept : rep_(other.rep_) {
  // Relaxed: whoever copies a handle has one, so the count cannot reach 0 meanwhile.
  if (rep_ != nullptr) rep_->count.fetch_add(1, std::memory_order_relaxed);
}

void Buffer::release() noexcept {
  // Release: what this handle's holder did to the memory comes before its end. Acquire: the end comes after
  // what all the others did.
  if (rep_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) delete rep_;
}

const Buffer::Rep& Buffer::rep() const noexcept {
  // Never destroyed: an empty handle may outlive all statics.
  static const Rep* const empty =
      new Rep(nullptr, nullptr, 0, 0,
              {.format = "B", .item_size = 1, .shape = {0}, .strides = {}, .read_only = true});
  return rep_ == nullptr ? *empty : *rep_;
}

Buffer Buffer::make(std::shared_ptr<const void> owner, const void* data, std::size_t size,
                    const BufferLayout& layout) {
  const std::size_t item_size = item_size_of(layout.format);
  detail::ForeignLayout whole{.format = layout.format,
                              .item_size = item_size,
                              .shape = layout.shape,
                              .strides = layout.strides,
                              .read_only = layout.read_only};
  if (layout.shape.empty()) {
    if (!layout.strides.empty()) throw UsageError("strides: need a shape");
    if (layout.offset > size) {
      throw UsageError(fmt::format("offset: {} is outside of {} bytes", layout.offset, size));
    }
    const std::size_t rest = size - layout.offset;
    if (rest % item_size != 0) {
      throw UsageError(fmt::format("shape: {} bytes are no whole number of elements of {} bytes ('{}')", rest,
                                   item_size, layout.format));
    }
    whole.shape = {static_cast<std::ptrdiff_t>(rest / item_size)};
  }
  return Buffer(new Rep(std::move(owner), data, size, layout.offset, std::move(whole)));
}

Buffer Buffer::copy_of(std::span<const std::byte> bytes, const BufferLayout& layout) {
  const std::shared_ptr<void> memory = zeros(bytes.size());
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  return make(memory, memory.get(), bytes.size(), layout);
}

Buffer Buffer::allocate(std::size_t size) {
  if (size > kMaxSize) throw UsageError(fmt::format("size: {} bytes are more than memory can hold", size));
  const std::shared_ptr<void> memory = zeros(size);
  return make(memory, memory.get(), size, {});
}

Buffer Buffer::allocate(const BufferLayout& layout) {
  if (layout.shape.empty()) throw UsageError("shape: missing; it says how much to allocate");
  if (!layout.strides.empty() || layout.offset != 0) {
    throw UsageError("strides, offset: new memory has neither; use view() on it");
  }
  return detail::BufferAccess::allocate({.format = layout.format,
                                         .item_size = item_size_of(layout.format),
                                         .shape = layout.shape,
                                         .strides = {},
                                         .read_only = layout.read_only});
}

Buffer Buffer::view(const BufferLayout& layout) const {
  if (!is_contiguous()) {
    throw UsageError(
        fmt::format("{}: its elements do not lie in C order without gaps, so there is no other view of them",
                    to_string(*this)));
  }
  BufferLayout mine = layout;
  mine.read_only = layout.read_only || read_only();
  return make(rep().owner, detail::BufferAccess::start(*this), size(), mine);
}

namespace {

/// Copies the elements from dimension `at` on, in C order; returns where the next ones go.
std::byte* copy_elements(std::byte* to, const std::byte* from, const Dimensions& shape,
                         const Dimensions& strides, std::size_t item_size, std::size_t at = 0) {
  if (at == shape.size()) {
    std::memcpy(to, from, item_size);
    return to + item_size;
  }
  for (std::ptrdiff_t i = 0; i < shape[at]; ++i) {
    to = copy_elements(to, from + i * strides[at], shape, strides, item_size, at + 1);
  }
  return to;
}

}  // namespace

Buffer Buffer::contiguous() const {
  if (is_contiguous()) return *this;
  Buffer copy = detail::BufferAccess::allocate(
      {.format = format(), .item_size = item_size(), .shape = shape(), .strides = {}, .read_only = false});
  copy_elements(detail::BufferAccess::start(copy), detail::BufferAccess::start(*this), shape(), strides(),
                item_size());
  return copy;
}

std::size_t Buffer::size() const noexcept { return rep().size; }
std::size_t Buffer::item_size() const noexcept { return rep().item_size; }
const std::string& Buffer::format() const noexcept { return rep().format; }
const std::vector<std::ptrdiff_t>& Buffer::shape() const noexcept { return rep().shape; }
const std::vector<std::ptrdiff_t>& Buffer::strides() const noexcept { return rep().strides; }
bool Buffer::read_only() const noexcept { return rep().read_only; }
bool Buffer::is_contiguous() const noexcept { return rep().contiguous; }

void* Buffer::elements(const detail::ElementType& type, bool write) const {
  const auto fail = [this](std::string_view reason) {
    throw ConversionError({}, fmt::format("{}: {}", to_string(*this), reason));
  };
  const std::optional<Format> mine = parse(format());
  const std::optional<Format> wanted = parse({&type.code, 1});
  const bool any_byte = type.any_byte && item_size() == 1;
  if (!any_byte && (!mine || mine->kind != wanted->kind || !mine->native_order || item_size() != type.size)) {
    fail(fmt::format("its elements are no '{}' of {} bytes in native order", type.code, type.size));
  }
  if (!is_contiguous())
    fail("its elements do not lie in C order without gaps; contiguous() is a copy that does");
  if (write && read_only()) fail("it is read-only: as<const T>() sees it");
  std::byte* start = detail::BufferAccess::start(*this);
  if (size() > 0 && reinterpret_cast<std::uintptr_t>(start) % type.alignment != 0) {
    fail(fmt::format("its elements are not aligned to {} bytes; copy_of(bytes(), ...) is", type.alignment));
  }
  return start;
}

std::span<const std::byte> Buffer::bytes() const& {
  if (!is_contiguous()) {
    throw ConversionError({},
                          fmt::format("{}: its elements do not lie in C order without gaps; contiguous() is "
                                      "a copy that does",
                                      to_string(*this)));
  }
  return {detail::BufferAccess::start(*this), size()};
}

bool operator==(const Buffer& a, const Buffer& b) {
  if (a.format() != b.format() || a.item_size() != b.item_size() || a.shape() != b.shape()) return false;
  const Buffer left = a.contiguous();
  const Buffer right = b.contiguous();
  return left.size() == 0 || std::memcmp(left.bytes().data(), right.bytes().data(), left.size()) == 0;
}

std::string to_string(const Buffer& buffer) {
  return fmt::format("<interpool.Buffer shape={} format='{}'{}>", text_of(buffer.shape()), buffer.format(),
                     buffer.read_only() ? " read-only" : "");
}

namespace detail {

std::byte* BufferAccess::start(const Buffer& buffer) noexcept {
  static std::byte nothing{};
  const Buffer::Rep& rep = buffer.rep();
  return rep.data == nullptr ? &nothing : rep.data + rep.offset;
}

Buffer BufferAccess::view(const Buffer& buffer, const std::byte* start, ForeignLayout layout) {
  const Buffer::Rep& rep = buffer.rep();
  layout.read_only = layout.read_only || rep.read_only;
  // Where there are no elements, the address is as good as any other.
  std::size_t offset = 0;
  if (size_of(layout.shape, layout.item_size) > 0) {
    // As numbers: whether they point into the same memory is what is to be found out.
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    const auto base = reinterpret_cast<std::uintptr_t>(rep.data);
    if (from < base || from - base > rep.data_size) throw UsageError("start: it is outside of the memory");
    offset = from - base;
  }
  return Buffer(new Buffer::Rep(rep.owner, rep.data, rep.data_size, offset, std::move(layout)));
}

Buffer BufferAccess::allocate(ForeignLayout layout) {
  const std::size_t size = size_of(layout.shape, layout.item_size);
  const std::shared_ptr<void> memory = zeros(size);
  return Buffer(new Buffer::Rep(memory, memory.get(), size, 0, std::move(layout)));
}

}  // namespace detail

}  // namespace interpool
