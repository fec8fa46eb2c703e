// Buffer: memory that C++ and Python use together, without a copy.
#pragma once

#include <interpool/convert.h>
#include <interpool/detail/api.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace interpool {

/// How the elements of a Buffer lie in its memory.
struct BufferLayout {
  /// One element, as Python's struct module writes it: one of `c b B ? h H i I l L q Q n N e f d P`, with a
  /// byte order (`@ = < > !`) in front or without one, which is the native one. Buffer::format_of<T>() is
  /// that of a C++ type.
  std::string format = "B";
  /// The number of elements along each dimension, the outermost first. Empty: one dimension, with as many
  /// elements as the memory holds from `offset` on, which must be a whole number of them.
  std::vector<std::ptrdiff_t> shape = {};
  /// The bytes from one element to the next along each dimension; may be zero or negative. Empty: C order,
  /// without gaps.
  std::vector<std::ptrdiff_t> strides = {};
  /// Where in the memory the element is whose indices are all 0, in bytes.
  std::size_t offset = 0;
  /// Python may not write into it, nor as<T>() with a T that is not const.
  bool read_only = false;
};

namespace detail {

/// The letter that the struct module has for a C++ type; 0: it has none.
template <class T>
constexpr char element_code() noexcept {
  if constexpr (std::same_as<T, std::byte> || std::same_as<T, char> || std::same_as<T, unsigned char>) {
    return 'B';
  } else if constexpr (std::same_as<T, signed char>) {
    return 'b';
  } else if constexpr (std::same_as<T, short>) {
    return 'h';
  } else if constexpr (std::same_as<T, unsigned short>) {
    return 'H';
  } else if constexpr (std::same_as<T, int>) {
    return 'i';
  } else if constexpr (std::same_as<T, unsigned int>) {
    return 'I';
  } else if constexpr (std::same_as<T, long>) {
    return 'l';
  } else if constexpr (std::same_as<T, unsigned long>) {
    return 'L';
  } else if constexpr (std::same_as<T, long long>) {
    return 'q';
  } else if constexpr (std::same_as<T, unsigned long long>) {
    return 'Q';
  } else if constexpr (std::same_as<T, float>) {
    return 'f';
  } else if constexpr (std::same_as<T, double>) {
    return 'd';
  } else {
    return 0;
  }
}

/// What Buffer::as() looks for.
struct ElementType {
  char code;
  std::size_t size;
  std::size_t alignment;
  bool any_byte;  // every element of one byte will do
};

struct BufferAccess;

}  // namespace detail

/// A C++ type that the elements of a Buffer can have: the integers of up to 64 bits, char, std::byte, float
/// and double. No bool: Python may write any byte into its place.
template <class T>
concept BufferElement = detail::element_code<T>() != 0;

/// A share of memory that Python sees through the buffer protocol, as an `interpool.Buffer`: memoryview,
/// struct, numpy.asarray and whatever else takes bytes read it, and write it, in place. It goes into Python
/// and comes back without a copy, in every interpreter.
///
/// A handle of one pointer; copies share the memory, its layout is the same for ever. The memory lives as
/// long as a Buffer, a Python object or a Python view of it does, in whatever order these die, beyond the end
/// of the interpreter, the executor and the Runtime, too. The last one to go releases it, on its thread,
/// which may hold a GIL or none. So what releases it (a deleter) must be quick, must not wait for a GIL, must
/// not throw, and runs once.
///
/// Handles are thread-safe as a std::shared_ptr is: different handles of the same memory may be used, copied
/// and destroyed on any thread at the same time. The memory itself is not guarded: who writes while others
/// read has to see to the order, and no GIL does that between interpreters.
///
/// A moved-from and a default-constructed Buffer is empty: no bytes, of format "B", read-only.
class INTERPOOL_API Buffer {
 public:
  /// Of no bytes.
  Buffer() noexcept = default;
  /// Another handle to the same memory; so is what is assigned. What is moved from has no bytes.
  Buffer(const Buffer& other) noexcept;
  Buffer(Buffer&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  Buffer& operator=(const Buffer& other) noexcept {
    Buffer(other).swap(*this);
    return *this;
  }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer() {
    if (rep_ != nullptr) release();
  }
  void swap(Buffer& other) noexcept { std::swap(rep_, other.rep_); }

  // Each throws UsageError, which names what is wrong, for a layout that contradicts itself or the memory: an
  // unknown format, a negative length, sizes beyond what can be addressed, an element outside of the memory.

  /// Memory of its own, with a copy of these bytes.
  static Buffer copy_of(std::span<const std::byte> bytes, const BufferLayout& layout = {});
  /// `size` bytes of zeros. Aligned for any element.
  static Buffer allocate(std::size_t size);
  /// Zeros for as many elements as `layout` has a shape for, which it must have. No strides, no offset.
  static Buffer allocate(const BufferLayout& layout);
  /// The vector's elements where they are. It is taken, and empty afterwards, also if this throws. `shape`:
  /// of the same number of elements or fewer; none: one dimension.
  template <BufferElement T>
  static Buffer adopt(std::vector<T>&& values, const std::vector<std::ptrdiff_t>& shape = {}) {
    const auto owner = std::make_shared<std::vector<T>>(std::move(values));
    const BufferLayout layout{.format = format_of<T>(), .shape = shape};
    return make(owner, owner->data(), owner->size() * sizeof(T), layout);
  }
  /// `size` bytes at `data`, which are released by `deleter(data)`; see above for when and where. Also if
  /// this throws.
  ///
  ///     Buffer::adopt(mapped, size, [size](void* data) { munmap(data, size); }, {.format = "f"});
  template <std::invocable<void*> Deleter>
  static Buffer adopt(void* data, std::size_t size, Deleter deleter, const BufferLayout& layout = {}) {
    return make(std::shared_ptr<void>(data, std::move(deleter)), data, size, layout);
  }
  /// The same of memory that nobody may write to: the layout counts as read-only. `deleter(data)` gets a
  /// pointer to const.
  template <std::invocable<const void*> Deleter>
  static Buffer adopt(const void* data, std::size_t size, Deleter deleter, BufferLayout layout = {}) {
    layout.read_only = true;
    return make(std::shared_ptr<const void>(data, std::move(deleter)), data, size, layout);
  }

  /// The bytes of these elements under another layout. It is read-only if this one is. Throws UsageError as
  /// above, and where the elements do not lie in C order without gaps.
  [[nodiscard]] Buffer view(const BufferLayout& layout) const;
  /// This one if its elements lie in C order without gaps, else a copy in which they do.
  [[nodiscard]] Buffer contiguous() const;

  /// The bytes of all elements: what Python calls nbytes.
  [[nodiscard]] std::size_t size() const noexcept;
  /// The bytes of one element.
  [[nodiscard]] std::size_t item_size() const noexcept;
  /// As BufferLayout::format. What Python has made may have others: numpy's complex numbers are "Zd". The
  /// references that this and the next two return are valid as long as the memory's layout has a handle.
  [[nodiscard]] const std::string& format() const noexcept;
  /// The number of elements along each dimension. No dimension, which only Python makes, means one element.
  [[nodiscard]] const std::vector<std::ptrdiff_t>& shape() const noexcept;
  /// The bytes from one element to the next along each dimension.
  [[nodiscard]] const std::vector<std::ptrdiff_t>& strides() const noexcept;
  /// Whether this share of the memory must not be written to. Others may be writable.
  [[nodiscard]] bool read_only() const noexcept;
  /// Whether the elements lie in C order without gaps.
  [[nodiscard]] bool is_contiguous() const noexcept;

  // Views of the memory, valid as long as a Buffer that shares it is; so there is none of a temporary.

  /// All elements in C order. T is their type, or const T where nobody may write; std::byte and char see any
  /// element of one byte. Throws ConversionError when they are of another type or byte order, have gaps, are
  /// read-only and T is not const, or are not aligned as a T is.
  template <class T>
    requires BufferElement<std::remove_const_t<T>>
  [[nodiscard]] std::span<T> as() const& {
    using Element = std::remove_const_t<T>;
    constexpr detail::ElementType kType{detail::element_code<Element>(), sizeof(T), alignof(T),
                                        std::same_as<Element, std::byte> || std::same_as<Element, char>};
    return {static_cast<T*>(elements(kType, !std::is_const_v<T>)), size() / sizeof(T)};
  }
  template <class T>
  std::span<T> as() const&& = delete;
  /// The bytes of all elements, whatever these are. Throws ConversionError when they have gaps.
  [[nodiscard]] std::span<const std::byte> bytes() const&;
  [[nodiscard]] std::span<const std::byte> bytes() const&& = delete;

  /// The format of a C++ type: "f", "q", …
  template <BufferElement T>
  static std::string format_of() {
    return {detail::element_code<T>()};
  }

  /// Equal shape, format and bytes; not the same memory. Compares all bytes, and copies first where they have
  /// gaps.
  friend INTERPOOL_API bool operator==(const Buffer& a, const Buffer& b);

 private:
  friend struct detail::BufferAccess;
  struct Rep;

  explicit Buffer(const Rep* rep) noexcept : rep_(rep) {}
  static Buffer make(std::shared_ptr<const void> owner, const void* data, std::size_t size,
                     const BufferLayout& layout);
  [[nodiscard]] const Rep& rep() const noexcept;
  void release() noexcept;
  [[nodiscard]] void* elements(const detail::ElementType& type, bool write) const;

  const Rep* rep_ = nullptr;  // null: empty
};

/// Shape and format, not the contents: `<interpool.Buffer shape=(2, 3) format='f'>`.
INTERPOOL_API std::string to_string(const Buffer& buffer);

/// An `interpool.Buffer` of the same memory. From Python an `interpool.Buffer` or a memoryview of one is the
/// same memory, and keeps it alive; anything else that has the buffer protocol (bytes, bytearray, array,
/// numpy.ndarray) is copied once, in C order, with its format and shape.
template <>
struct INTERPOOL_API Converter<Buffer> {
  static void encode(Encoder& out, const Buffer& value) { out.put_buffer(value); }
  static Buffer decode(Decoder& in) { return in.get_buffer(); }
};

}  // namespace interpool
