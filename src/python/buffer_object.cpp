#include "python/buffer_object.h"

#include "base/buffer_access.h"
#include "interpool/error.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace interpool::python {

namespace {

using detail::BufferAccess;
using detail::ForeignLayout;

// Py_buffer refers to a Buffer's own shape and strides.
static_assert(std::is_same_v<std::ptrdiff_t, Py_ssize_t>);

/// Refers to no Python object but its type, which is immutable: it is in no cycle, and needs no garbage
/// collection.
struct BufferObject {
  PyObject_HEAD Buffer
      buffer;  // never changes, so that each view that keeps this object alive keeps the memory alive
  PyObject* weak_references;
};

/// Sets the exception for the C++ one at hand.
void raise_current() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  }
}

bool has(int flags, int wanted) noexcept { return (flags & wanted) == wanted; }

int refuse(Py_buffer* view, const char* reason) noexcept {
  PyErr_SetString(PyExc_BufferError, reason);
  view->obj = nullptr;
  return -1;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) noexcept {
  if (view == nullptr) {
    PyErr_SetString(PyExc_BufferError, "interpool.Buffer: there is no view to fill in");
    return -1;
  }
  const Buffer& buffer = buffer_of(self);
  view->buf = BufferAccess::start(buffer);
  view->len = static_cast<Py_ssize_t>(buffer.size());
  view->itemsize = static_cast<Py_ssize_t>(buffer.item_size());
  view->readonly = buffer.read_only() ? 1 : 0;
  view->ndim = static_cast<int>(buffer.shape().size());
  // Not written to: the protocol's structure has no place for const.
  view->format = const_cast<char*>(buffer.format().c_str());
  view->shape = buffer.shape().empty() ? nullptr : const_cast<Py_ssize_t*>(buffer.shape().data());
  view->strides = buffer.strides().empty() ? nullptr : const_cast<Py_ssize_t*>(buffer.strides().data());
  view->suboffsets = nullptr;
  view->internal = nullptr;

  if (has(flags, PyBUF_WRITABLE) && buffer.read_only()) {
    return refuse(view, "interpool.Buffer: it is read-only");
  }
  if (has(flags, PyBUF_C_CONTIGUOUS) && !buffer.is_contiguous()) {
    return refuse(view, "interpool.Buffer: its elements do not lie in C order without gaps");
  }
  if (has(flags, PyBUF_F_CONTIGUOUS) && PyBuffer_IsContiguous(view, 'F') == 0) {
    return refuse(view, "interpool.Buffer: its elements do not lie in Fortran order without gaps");
  }
  if (has(flags, PyBUF_ANY_CONTIGUOUS) && PyBuffer_IsContiguous(view, 'A') == 0) {
    return refuse(view, "interpool.Buffer: its elements have gaps");
  }
  if (!has(flags, PyBUF_FORMAT)) view->format = nullptr;
  if (!has(flags, PyBUF_STRIDES)) {
    if (!buffer.is_contiguous()) {
      return refuse(view,
                    "interpool.Buffer: its elements do not lie in C order, and no strides were asked for");
    }
    view->strides = nullptr;
  }
  if (!has(flags, PyBUF_ND)) {
    // All of it as one row of bytes, which no other format can describe.
    if (view->format != nullptr) {
      return refuse(view, "interpool.Buffer: a format without a shape was asked for");
    }
    view->ndim = 1;
    view->shape = nullptr;
  }
  view->obj = Py_NewRef(self);
  return 0;
}

Py_ssize_t length(PyObject* self) noexcept {
  const Buffer& buffer = buffer_of(self);
  if (!buffer.shape().empty()) return buffer.shape().front();
  PyErr_SetString(PyExc_TypeError, "interpool.Buffer: without a dimension it has no length");
  return -1;
}

PyObject* repr(PyObject* self) noexcept {
  try {
    const std::string text = to_string(buffer_of(self));
    // Foreign formats are whatever their makers liked.
    return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

void deallocate(PyObject* self) noexcept {
  auto* object = reinterpret_cast<BufferObject*>(self);
  PyTypeObject* type = Py_TYPE(self);
  if (object->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  std::destroy_at(&object->buffer);
  type->tp_free(self);
  Py_DECREF(type);  // as for every object of a type on the heap
}

/// An object with an empty Buffer; null: an exception is set.
BufferObject* allocate(PyTypeObject* type) noexcept {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  auto* object = reinterpret_cast<BufferObject*>(self);
  new (&object->buffer) Buffer();
  return object;
}

/// A view of an object's memory, released however this ends.
struct View {
  Py_buffer view{};
  View() = default;
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() { PyBuffer_Release(&view); }  // nothing to do for one that was never filled in
};

ForeignLayout layout_of(const Py_buffer& view) {
  if (view.itemsize <= 0) throw UsageError("its elements have no size");
  ForeignLayout layout{.format = view.format == nullptr ? "B" : view.format,
                       .item_size = static_cast<std::size_t>(view.itemsize),
                       .shape = {},
                       .strides = {},
                       .read_only = view.readonly != 0};
  if (view.shape != nullptr) {
    layout.shape.assign(view.shape, view.shape + view.ndim);
  } else if (view.ndim != 0) {
    layout.shape = {view.len / view.itemsize};
  }
  return layout;
}

Buffer copy_of(const Py_buffer& view, bool& raised) {
  ForeignLayout layout = layout_of(view);
  layout.read_only = false;
  Buffer copy = BufferAccess::allocate(std::move(layout));
  if (static_cast<Py_ssize_t>(copy.size()) != view.len) throw UsageError("its shape and its length differ");
  // The object's own view says how it is stored; 'C' says how it is wanted.
  raised = PyBuffer_ToContiguous(BufferAccess::start(copy), &view, view.len, 'C') != 0;
  return copy;
}

/// The same memory as `owner`, which a memoryview of it shows like this.
Buffer share_of(const Buffer& owner, const Py_buffer& view) {
  ForeignLayout layout = layout_of(view);
  if (view.strides != nullptr) layout.strides.assign(view.strides, view.strides + view.ndim);
  const bool whole = view.buf == BufferAccess::start(owner) && layout.format == owner.format() &&
                     layout.item_size == owner.item_size() && layout.shape == owner.shape() &&
                     layout.strides == owner.strides() && layout.read_only == owner.read_only();
  if (whole) return owner;
  return BufferAccess::view(owner, static_cast<const std::byte*>(view.buf), std::move(layout));
}

PyObject* make_new(PyTypeObject* type, PyObject* args, PyObject* keywords) noexcept {
  static const char* names[] = {"", nullptr};  // by position only
  PyObject* exporter = nullptr;
  if (PyArg_ParseTupleAndKeywords(args, keywords, "O:Buffer", const_cast<char**>(names), &exporter) == 0) {
    return nullptr;
  }
  View exported;
  if (PyObject_GetBuffer(exporter, &exported.view, PyBUF_FULL_RO) != 0) return nullptr;
  try {
    bool raised = false;
    const Buffer copy = copy_of(exported.view, raised);
    return raised ? nullptr : new_buffer(reinterpret_cast<PyObject*>(type), copy);
  } catch (...) {
    raise_current();
    return nullptr;
  }
}

PyMemberDef members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(BufferObject, weak_references), Py_READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

constexpr char kDoc[] =
    "Buffer(bytes_like, /)\n--\n\n"
    "Memory that this interpreter shares with the host and with other interpreters: use memoryview() to see "
    "it.\n\n"
    "The call makes one by a copy of a bytes-like object; hosts hand others in, which are not copied.";

// Only read, by all interpreters.
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDoc)},
                       {Py_tp_new, reinterpret_cast<void*>(make_new)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                       {Py_tp_repr, reinterpret_cast<void*>(repr)},
                       {Py_tp_members, members},
                       {Py_mp_length, reinterpret_cast<void*>(length)},
                       {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
                       {0, nullptr}};

PyType_Spec spec = {.name = "interpool.Buffer",
                    .basicsize = sizeof(BufferObject),
                    .itemsize = 0,
                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                    .slots = slots};

}  // namespace

Object make_buffer_type() noexcept { return Object::take(PyType_FromSpec(&spec)); }

PyObject* new_buffer(PyObject* type, const Buffer& buffer) noexcept {
  BufferObject* object = allocate(reinterpret_cast<PyTypeObject*>(type));
  if (object == nullptr) return nullptr;
  object->buffer = buffer;
  return reinterpret_cast<PyObject*>(object);
}

bool is_buffer(PyObject* object) noexcept {
  // Each interpreter has a type of its own, and all share this function, which no class can inherit from
  // them.
  return Py_TYPE(object)->tp_dealloc == deallocate;
}

const Buffer& buffer_of(PyObject* object) noexcept { return reinterpret_cast<BufferObject*>(object)->buffer; }

bool buffer_from(PyObject* exporter, Buffer& buffer) {
  View exported;
  if (PyObject_GetBuffer(exporter, &exported.view, PyBUF_FULL_RO) != 0) return false;
  if (PyMemoryView_Check(exporter) != 0) {
    // It is not released, and will not be as long as its memory is exported; so what it shows is there.
    PyObject* owner = PyMemoryView_GET_BUFFER(exporter)->obj;
    if (owner != nullptr && is_buffer(owner) && exported.view.suboffsets == nullptr) {
      buffer = share_of(buffer_of(owner), exported.view);
      return true;
    }
  }
  bool raised = false;
  buffer = copy_of(exported.view, raised);
  return !raised;
}

}  // namespace interpool::python
