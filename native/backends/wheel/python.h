/*
 * CPython without its headers: the few functions of the stable ABI that the backend needs, resolved
 * from the interpreter's own libpython, and RAII for references and for the GIL. Works with 3.11 to
 * 3.14: Python 3.15 has no Py_SetProgramName and no global flags.
 */
#ifndef LEAN_WHEEL_PYTHON_H
#define LEAN_WHEEL_PYTHON_H

#include <cstddef>
#include <string>
#include <utility>

struct _object;
using PyObject = _object;

namespace wheel {

/* For each function: name, type of its result, types of its parameters. */
#define LEAN_WHEEL_PYTHON_FUNCTIONS(X)                                                  \
  X(Py_IsInitialized, int, ())                                                       \
  X(Py_InitializeEx, void, (int))                                                    \
  X(Py_DecodeLocale, wchar_t *, (const char *, size_t *))                            \
  X(Py_SetProgramName, void, (const wchar_t *))                                      \
  X(Py_CompileString, PyObject *, (const char *, const char *, int))                 \
  X(Py_DecRef, void, (PyObject *))                                                   \
  X(PyEval_SaveThread, void *, ())                                                   \
  X(PyGILState_Ensure, int, ())                                                      \
  X(PyGILState_Release, void, (int))                                                 \
  X(PyImport_ExecCodeModule, PyObject *, (const char *, PyObject *))                 \
  X(PyObject_GetAttrString, PyObject *, (PyObject *, const char *))                  \
  X(PyObject_CallObject, PyObject *, (PyObject *, PyObject *))                       \
  X(PyTuple_New, PyObject *, (ptrdiff_t))                                            \
  X(PyTuple_SetItem, int, (PyObject *, ptrdiff_t, PyObject *))                       \
  X(PyTuple_GetItem, PyObject *, (PyObject *, ptrdiff_t))                            \
  X(PyBytes_FromStringAndSize, PyObject *, (const char *, ptrdiff_t))                \
  X(PyBytes_AsStringAndSize, int, (PyObject *, char **, ptrdiff_t *))                \
  X(PyLong_FromUnsignedLong, PyObject *, (unsigned long))                            \
  X(PyLong_AsLong, long, (PyObject *))                                               \
  X(PyErr_Print, void, ())

struct Python {
#define LEAN_WHEEL_DECLARE(name, result, parameters) result(*name) parameters = nullptr;
  LEAN_WHEEL_PYTHON_FUNCTIONS(LEAN_WHEEL_DECLARE)
#undef LEAN_WHEEL_DECLARE

  /* Opens libpython for the life of the process. Returns an error text, empty on success. */
  std::string load(const std::string &libpython);

  /* Starts an isolated interpreter and releases the GIL. Returns an error text, empty on success. A
   * broken Python installation ends the process. */
  std::string start(const std::string &program);

 private:
  void *library_ = nullptr;
};

/* Takes the GIL on any thread, and releases it when destroyed. */
class Gil {
 public:
  explicit Gil(const Python &python) : python_(python), state_(python.PyGILState_Ensure()) {}
  ~Gil() { python_.PyGILState_Release(state_); }
  Gil(const Gil &) = delete;
  Gil &operator=(const Gil &) = delete;

 private:
  const Python &python_;
  int state_;
};

/* An owned Python reference, empty when the call that made it failed. Hold the GIL to destroy
 * it. */
class Ref {
 public:
  Ref(const Python &python, PyObject *object) : python_(&python), object_(object) {}
  Ref(Ref &&other) noexcept
      : python_(other.python_), object_(std::exchange(other.object_, nullptr)) {}
  ~Ref() {
    if (object_ != nullptr) python_->Py_DecRef(object_);
  }
  Ref(const Ref &) = delete;
  Ref &operator=(const Ref &) = delete;
  Ref &operator=(Ref &&) = delete;

  PyObject *get() const { return object_; }
  PyObject *release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  const Python *python_;
  PyObject *object_;
};

}  // namespace wheel

#endif
