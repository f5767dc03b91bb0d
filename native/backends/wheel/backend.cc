/*
 * The C ABI over a Python wheel: moves bytes into and out of the embedded Python interpreter.
 * checks.h refuses what the ABI forbids; module.h and the wheel's own file have the calls to it.
 * The interpreter is never finalised, because a wheel keeps threads after its setup. The config has
 * one key=value line each for libpython (shared library), python (the venv's interpreter) and
 * sitepackages (its purelib).
 */
#pragma GCC visibility push(default)
#include "../../include/lean_prover.h"
#pragma GCC visibility pop

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

#include "checks.h"
#include "module.h"
#include "python.h"
#include "wheel.h"

namespace {

using wheel::Gil;
using wheel::invalid;
using wheel::Outcome;
using wheel::Python;
using wheel::Ref;
using wheel::refuse;
using wheel::report;
using wheel::kWheel;

constexpr int kPyFileInput = 257;                // Py_file_input

static_assert(LP_INVALID == 1 && LP_BAD_SIGNATURE == 2 && LP_BAD_PROOF == 3 && LP_INTERNAL == 6 &&
                  LP_SIGNATURE_BAD == 1 && LP_SIGNATURE_WRONG_SLOT == 2 && LP_AT_RAWS == 1 &&
                  LP_AT_CHILD == 2 && LP_AT_WANTED == 3 && LP_FOLD == 1,
              "module.h repeats these numbers");

/* Turns a C++ exception, which must not cross the C boundary, into an outcome. */
template <typename Call>
Outcome guarded(Call call) {
  try {
    return call();
  } catch (const std::exception &thrown) {
    return refuse(LP_INTERNAL, thrown.what());
  } catch (...) {
    return refuse(LP_INTERNAL, "unknown C++ exception");
  }
}

std::map<std::string, std::string> parse_config(const char *config) {
  std::map<std::string, std::string> values;
  std::istringstream lines(config == nullptr ? "" : config);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find('=');
    if (at != std::string::npos) values[line.substr(0, at)] = line.substr(at + 1);
  }
  return values;
}

}  // namespace

/* The one prover of this process, never freed. is_open: the handle is open and not closed yet. */
struct lp_prover {
  std::mutex mutex;  // guards open and close; the GIL orders the other calls
  Python python;
  PyObject *module = nullptr;
  bool is_started = false;
  bool is_open = false;
  std::string revision;

  Ref bytes(const void *data, size_t length) const {
    return Ref(python, python.PyBytes_FromStringAndSize(static_cast<const char *>(data),
                                                        static_cast<ptrdiff_t>(length)));
  }

  Ref number(uint32_t value) const { return Ref(python, python.PyLong_FromUnsignedLong(value)); }

  template <typename... Items>
  Ref tuple(Items... items) const {
    Ref made(python, python.PyTuple_New(sizeof...(items)));
    const bool complete = static_cast<bool>(made) && (static_cast<bool>(items) && ...);
    if (!complete) return Ref(python, nullptr);
    ptrdiff_t at = 0;
    (python.PyTuple_SetItem(made.get(), at++, items.release()), ...);
    return made;
  }

  Outcome failed(const char *name) const {
    python.PyErr_Print();
    return refuse(LP_INTERNAL, std::string("Python failed in ") + name + ", see stderr");
  }

  /* Calls an entry point of module.h, which returns (status, bytes, at, index, within). Hold the
   * GIL to call it. */
  Outcome call(const char *name, Ref arguments) const {
    if (!arguments) return failed(name);
    Ref function(python, python.PyObject_GetAttrString(module, name));
    if (!function) return failed(name);
    Ref result(python, python.PyObject_CallObject(function.get(), arguments.get()));
    if (!result) return failed(name);
    PyObject *status = python.PyTuple_GetItem(result.get(), 0);
    PyObject *payload = python.PyTuple_GetItem(result.get(), 1);
    char *data = nullptr;
    ptrdiff_t length = 0;
    if (status == nullptr || payload == nullptr ||
        python.PyBytes_AsStringAndSize(payload, &data, &length) != 0) {
      return failed(name);
    }
    const auto item = [&](ptrdiff_t at) {
      return python.PyLong_AsLong(python.PyTuple_GetItem(result.get(), at));
    };
    return {static_cast<lp_status>(python.PyLong_AsLong(status)),
            std::string(data, static_cast<size_t>(length)), static_cast<uint32_t>(item(2)),
            static_cast<size_t>(item(3)), static_cast<uint32_t>(item(4))};
  }
};

namespace {

lp_prover &the_prover() {
  static lp_prover *prover = new lp_prover;  // never freed: Python threads outlive main
  return *prover;
}

Outcome start_interpreter(lp_prover &prover, const std::string &libpython,
                          const std::string &program) {
  std::string error = prover.python.load(libpython);
  if (error.empty()) error = prover.python.start(program);
  if (!error.empty()) return refuse(LP_UNAVAILABLE, error);
  Gil gil(prover.python);
  const std::string source = std::string(wheel::kCommonSource) + kWheel.source;
  Ref code(prover.python,
           prover.python.Py_CompileString(source.c_str(), wheel::kModuleName, kPyFileInput));
  if (!code) return prover.failed("compiling the module");
  prover.module = prover.python.PyImport_ExecCodeModule(wheel::kModuleName, code.get());
  if (prover.module == nullptr) return prover.failed("running the module");
  prover.is_started = true;
  return {LP_OK, ""};
}

Outcome open_prover(const lp_options &options) {
  lp_prover &prover = the_prover();
  std::lock_guard<std::mutex> lock(prover.mutex);
  if (prover.is_open) {
    return refuse(LP_UNAVAILABLE, "this process has already opened its one handle");
  }
  auto values = parse_config(options.config);
  for (const char *key : {"libpython", "python", "sitepackages"}) {
    if (values[key].empty()) {
      return refuse(LP_UNAVAILABLE, std::string("the config has no ") + key + "= line");
    }
  }
  if (options.threads > 0) {
    setenv(kWheel.threads_variable, std::to_string(options.threads).c_str(), 1);
  }
  if (!prover.is_started) {
    Outcome started = start_interpreter(prover, values["libpython"], values["python"]);
    if (started.status != LP_OK) return started;
  }
  Gil gil(prover.python);
  const std::string &site = values["sitepackages"];
  Outcome opened = prover.call("open_prover", prover.tuple(prover.bytes(site.data(), site.size())));
  if (opened.status != LP_OK) return refuse(LP_UNAVAILABLE, opened.payload);
  prover.revision = opened.payload;
  prover.is_open = true;
  return opened;
}

Ref claim_tuple(const lp_prover &prover, const lp_claim &claim) {
  const size_t length = claim.keys.count * kWheel.about.public_key_bytes;
  return prover.tuple(prover.bytes(claim.root, LP_ROOT_BYTES), prover.number(claim.slot),
                      prover.bytes(claim.keys.packed, length));
}

template <typename Item, typename Make>
Ref tuple_of(const lp_prover &prover, const Item *items, size_t count, Make make) {
  Ref made(prover.python, prover.python.PyTuple_New(static_cast<ptrdiff_t>(count)));
  if (!made) return made;
  for (size_t i = 0; i < count; i++) {
    Ref item = make(prover, items[i]);
    if (!item) return item;
    prover.python.PyTuple_SetItem(made.get(), static_cast<ptrdiff_t>(i), item.release());
  }
  return made;
}

Ref claims_tuple(const lp_prover &prover, const lp_claims &claims) {
  return tuple_of(prover, claims.items, claims.count, claim_tuple);
}

Ref raws_tuple(const lp_prover &prover, const lp_raws &raws) {
  const lp_keys &keys = raws.of.keys;
  return prover.tuple(prover.bytes(raws.of.root, LP_ROOT_BYTES), prover.number(raws.of.slot),
                      prover.bytes(keys.packed, keys.count * kWheel.about.public_key_bytes),
                      prover.bytes(raws.signatures, keys.count * kWheel.about.signature_bytes));
}

Ref proof_tuple(const lp_prover &prover, const lp_proof &proof) {
  return prover.tuple(prover.bytes(proof.bytes, proof.length), claims_tuple(prover, proof.claims));
}

lp_status open(const lp_options *options, lp_prover **out, lp_fault *fault) {
  if (out == nullptr || options == nullptr) return report(invalid("a pointer is NULL"), fault);
  *out = nullptr;
  lp_options known{};
  std::memcpy(&known, options, std::min(options->size, sizeof known));
  const Outcome opened = guarded([&] { return open_prover(known); });
  if (opened.status == LP_OK) *out = &the_prover();
  return report(opened, fault);
}

lp_status describe(lp_prover *prover, lp_about *about) {
  if (prover == nullptr || about == nullptr) return LP_INVALID;
  lp_about full = kWheel.about;
  full.size = about->size;
  full.revision = prover->revision.c_str();
  std::memcpy(about, &full, std::min(about->size, sizeof full));
  return LP_OK;
}

lp_status verify_signatures(lp_prover *prover, const lp_raws *raws, uint8_t *verdicts,
                            lp_fault *fault) {
  if (prover == nullptr || raws == nullptr || verdicts == nullptr) {
    return report(invalid("a pointer is NULL"), fault);
  }
  const std::string wrong = wheel::raws_fault(*raws);
  if (!wrong.empty()) return report(invalid(wrong, LP_AT_RAWS), fault);
  const Outcome verified = guarded([&] {
    Gil gil(prover->python);
    return prover->call("verify_signatures", prover->tuple(raws_tuple(*prover, *raws)));
  });
  if (verified.status == LP_OK) {
    const size_t count = std::min(raws->of.keys.count, verified.payload.size());
    std::memcpy(verdicts, verified.payload.data(), count);
  }
  return report(verified, fault);
}

lp_status verify(lp_prover *prover, const lp_proof *proof, lp_fault *fault) {
  if (prover == nullptr || proof == nullptr) return report(invalid("a pointer is NULL"), fault);
  const std::string wrong = wheel::proof_fault(*proof);
  if (!wrong.empty()) return report(invalid(wrong), fault);
  const Outcome verified = guarded([&] {
    Gil gil(prover->python);
    return prover->call("verify", prover->tuple(proof_tuple(*prover, *proof)));
  });
  return report(verified, fault);
}

lp_status prove(lp_prover *prover, const lp_job *job, lp_buffer *made, lp_fault *fault) {
  if (made != nullptr) *made = lp_buffer{nullptr, 0};
  if (prover == nullptr || job == nullptr || made == nullptr) {
    return report(invalid("a pointer is NULL"), fault);
  }
  lp_job known{};
  std::memcpy(&known, job, std::min(job->size, sizeof known));
  const Outcome wrong = wheel::job_fault(known);
  if (wrong.status != LP_OK) return report(wrong, fault);
  const Outcome proved = guarded([&] {
    Gil gil(prover->python);
    return prover->call(
        "prove",
        prover->tuple(prover->number(known.kind), prover->number(known.log_inv_rate),
                      tuple_of(*prover, known.raws, known.raws_count, raws_tuple),
                      tuple_of(*prover, known.children, known.children_count, proof_tuple),
                      claims_tuple(*prover, known.wanted)));
  });
  if (proved.status != LP_OK) return report(proved, fault);
  if (proved.payload.size() > kWheel.about.proof_bytes_max) {
    return report(refuse(LP_INTERNAL, "the proof is longer than proof_bytes_max"), fault);
  }
  made->bytes = static_cast<uint8_t *>(std::malloc(proved.payload.size()));
  if (made->bytes == nullptr) return report(refuse(LP_NO_MEMORY, "out of memory"), fault);
  std::memcpy(made->bytes, proved.payload.data(), proved.payload.size());
  made->length = proved.payload.size();
  return LP_OK;
}

void free_buffer(lp_prover *, lp_buffer *buffer) {
  if (buffer == nullptr) return;
  std::free(buffer->bytes);
  *buffer = lp_buffer{nullptr, 0};
}

void close(lp_prover *prover) {
  if (prover == nullptr) return;
  std::lock_guard<std::mutex> lock(prover->mutex);
  prover->is_open = false;
}

}  // namespace

const lp_api *lean_prover_api(uint32_t version) {
  static const lp_api api{sizeof(lp_api), LEAN_PROVER_API, open,        describe, verify_signatures,
                          verify,         prove,           free_buffer, close};
  return version == LEAN_PROVER_API ? &api : nullptr;
}
