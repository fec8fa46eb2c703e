#include "python/output.h"

#include "interpool/output.h"
#include "python/error_capture.h"
#include "python/module.h"

#include <cstddef>
#include <new>
#include <string>

namespace interpool::python {

namespace {

// sys.stdout is a TextIOWrapper like any other, so that everything works on it that works on those. It keeps
// nothing back (write_through), so each write arrives on the thread that wrote, in the buffer beneath: the
// one part that is ours.

struct Buffer {
  OutputStream stream;
};

PyObject* write(PyObject* self, PyTypeObject* type, PyObject* const* args, Py_ssize_t count,
                PyObject* keywords) {
  if (count != 1 || (keywords != nullptr && PyTuple_GET_SIZE(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "write() takes exactly one argument");
    return nullptr;
  }
  Host* host = host_of(type);
  if (host == nullptr) return nullptr;
  Py_buffer bytes;
  if (PyObject_GetBuffer(args[0], &bytes, PyBUF_SIMPLE) != 0) return nullptr;
  const Py_ssize_t size = bytes.len;
  bool written = true;
  try {
    host->write(static_cast<Buffer*>(PyObject_GetTypeData(self, type))->stream,
                {static_cast<const char*>(bytes.buf), static_cast<std::size_t>(size)});
  } catch (const std::bad_alloc&) {
    written = false;
  }
  PyBuffer_Release(&bytes);
  return written ? PyLong_FromSsize_t(size) : PyErr_NoMemory();
}

PyObject* writable(PyObject* /*self*/, PyObject* /*none*/) { Py_RETURN_TRUE; }

PyMethodDef methods[] = {
    {"write", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(write)),
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, "Hands bytes to the program that runs this interpreter."},
    {"writable", writable, METH_NOARGS, "True."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {
    .name = "interpool._OutputBuffer",
    .basicsize = -static_cast<int>(sizeof(Buffer)),  // beyond what the base has
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

/// The type of this interpreter's buffers.
Object make_type(PyObject* io) {
  // The class of the io module is one of Python's, from which types made here cannot be derived; what it is
  // made of can. So registered, ours passes for the former.
  const Object base = Object::take(PyImport_ImportModule("_io"));
  const Object base_type =
      base ? Object::take(PyObject_GetAttrString(base.get(), "_BufferedIOBase")) : Object();
  const Object module = base_type ? Object::take(PyImport_ImportModule("interpool")) : Object();
  Object type =
      module ? Object::take(PyType_FromModuleAndSpec(module.get(), &spec, base_type.get())) : Object();
  const Object abstract = type ? Object::take(PyObject_GetAttrString(io, "BufferedIOBase")) : Object();
  if (!abstract || !Object::take(PyObject_CallMethod(abstract.get(), "register", "O", type.get()))) return {};
  return type;
}

Object make_stream(PyObject* io, PyObject* type, OutputStream kind, const std::string& name) {
  Object buffer = Object::take(PyObject_CallNoArgs(type));
  if (!buffer) return {};
  static_cast<Buffer*>(PyObject_GetTypeData(buffer.get(), reinterpret_cast<PyTypeObject*>(type)))->stream =
      kind;
  const Object wrapper = Object::take(PyObject_GetAttrString(io, "TextIOWrapper"));
  // Not "strict": text that has no UTF-8 is no reason for print() to raise.
  const Object args = Object::take(Py_BuildValue("(Osss)", buffer.get(), "utf-8", "backslashreplace", "\n"));
  const Object options = Object::take(Py_BuildValue("{sO}", "write_through", Py_True));
  if (!wrapper || !args || !options) return {};
  Object stream = Object::take(PyObject_Call(wrapper.get(), args.get(), options.get()));
  // As Python's own have them.
  const Object bracketed = Object::take(PyUnicode_FromFormat("<%s>", name.c_str()));
  const Object mode = Object::take(PyUnicode_FromString("w"));
  if (!stream || !bracketed || !mode || PyObject_SetAttrString(buffer.get(), "name", bracketed.get()) != 0 ||
      PyObject_SetAttrString(stream.get(), "mode", mode.get()) != 0) {
    return {};
  }
  return stream;
}

}  // namespace

Failure redirect_output() {
  const Object io = Object::take(PyImport_ImportModule("io"));
  const Object type = io ? make_type(io.get()) : Object();
  if (!type) return take_error({});
  for (const auto& [name, kind] : {std::pair<std::string, OutputStream>("stdout", OutputStream::kStdout),
                                   std::pair<std::string, OutputStream>("stderr", OutputStream::kStderr)}) {
    const Object stream = make_stream(io.get(), type.get(), kind, name);
    if (!stream || PySys_SetObject(name.c_str(), stream.get()) != 0 ||
        PySys_SetObject(("__" + name + "__").c_str(), stream.get()) != 0) {
      return take_error({});
    }
  }
  return nullptr;
}

}  // namespace interpool::python
