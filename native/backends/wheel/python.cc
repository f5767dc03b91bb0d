#include "python.h"

#include <dlfcn.h>

namespace wheel {

namespace {

std::string dl_error() {
  const char *text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

}  // namespace

std::string Python::load(const std::string &libpython) {
  if (library_ != nullptr) return "";
  // RTLD_GLOBAL: the wheel's extension finds CPython in the process; it links no libpython.
  void *library = dlopen(libpython.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    return "cannot load libpython (" + libpython + "): " + dl_error() +
           "; set the backend up again: 'lean-aggregator setup', or 'make setup' in a checkout";
  }
#define LEAN_WHEEL_RESOLVE(name, result, parameters)                              \
  name = reinterpret_cast<result(*) parameters>(dlsym(library, #name));        \
  if (name == nullptr) return libpython + " has no " #name;
  LEAN_WHEEL_PYTHON_FUNCTIONS(LEAN_WHEEL_RESOLVE)
#undef LEAN_WHEEL_RESOLVE
  library_ = library;
  return "";
}

std::string Python::start(const std::string &program) {
  if (Py_IsInitialized() != 0) return "another Python interpreter already runs in this process";
  // Global flags, because PyConfig is not in the stable ABI and setenv would race with getenv.
  for (const char *name : {"Py_IsolatedFlag", "Py_IgnoreEnvironmentFlag",
                           "Py_NoUserSiteDirectory", "Py_DontWriteBytecodeFlag"}) {
    int *flag = static_cast<int *>(dlsym(library_, name));
    if (flag == nullptr) return std::string("libpython has no ") + name;
    *flag = 1;
  }
  // CPython keeps the pointer, so the decoded name is never freed.
  wchar_t *name = Py_DecodeLocale(program.c_str(), nullptr);
  if (name == nullptr) return "cannot decode the interpreter's path: " + program;
  Py_SetProgramName(name);
  Py_InitializeEx(0);  // 0: Python installs no signal handlers.
  PyEval_SaveThread();
  return "";
}

}  // namespace wheel
