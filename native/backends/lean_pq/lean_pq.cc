/*
 * Backend over the py-lean-pq wheel: checks sizes and pointers, and moves bytes into and out of the
 * embedded Python interpreter; module.h has the calls to the wheel. The interpreter is never
 * finalised, because the wheel keeps threads after its setup. The config has one key=value line
 * each for libpython (shared library), python (the venv's interpreter) and sitepackages (its
 * purelib).
 */
#pragma GCC visibility push(default)
#include "../../include/lean_prover.h"
#pragma GCC visibility pop

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

#include "module.h"
#include "python.h"

namespace {

using lean_pq::Gil;
using lean_pq::Python;
using lean_pq::Ref;

constexpr uint32_t kPublicKeyBytes = 32;
constexpr uint32_t kSignatureBytes = 2404;
constexpr uint32_t kProofBytesMax = 512 * 1024;  // proofs measured: 190 to 245 KB
constexpr uint32_t kChildrenMax = 16;            // the library's own limit
constexpr uint32_t kRawsMax = 4096;              // VALIDATOR_REGISTRY_LIMIT of the lean spec
constexpr int kPyFileInput = 257;                // Py_file_input

static_assert(LEAN_PROVER_INVALID_ARGUMENT == 1 && LEAN_PROVER_BAD_SIGNATURE == 2 &&
                  LEAN_PROVER_BAD_AGGREGATE == 3 && LEAN_PROVER_INTERNAL == 6,
              "module.h repeats these numbers");

struct Outcome {
  lean_prover_status status;
  std::string payload;  // the result, or the error's text
};

Outcome refuse(lean_prover_status status, std::string text) { return {status, std::move(text)}; }

lean_prover_status report(const Outcome &outcome, char *error) {
  if (outcome.status != LEAN_PROVER_OK && error != nullptr) {
    size_t length = std::min<size_t>(outcome.payload.size(), LEAN_PROVER_ERROR_BYTES - 1);
    // Cuts the text before a character, not inside one, so that it stays UTF-8.
    while (length < outcome.payload.size() && length > 0 &&
           (static_cast<unsigned char>(outcome.payload[length]) & 0xC0) == 0x80) {
      length--;
    }
    std::memcpy(error, outcome.payload.data(), length);
    error[length] = '\0';
  }
  return outcome.status;
}

/* Turns a C++ exception, which must not cross the C boundary, into an outcome. */
template <typename Call>
Outcome guarded(Call call) {
  try {
    return call();
  } catch (const std::exception &thrown) {
    return refuse(LEAN_PROVER_INTERNAL, thrown.what());
  } catch (...) {
    return refuse(LEAN_PROVER_INTERNAL, "unknown C++ exception");
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
struct lean_prover {
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
    return refuse(LEAN_PROVER_INTERNAL, std::string("Python failed in ") + name + ", see stderr");
  }

  /* Calls an entry point of module.h, which returns (status, bytes). Hold the GIL to call it. */
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
    return {static_cast<lean_prover_status>(python.PyLong_AsLong(status)),
            std::string(data, static_cast<size_t>(length))};
  }
};

namespace {

lean_prover &the_prover() {
  static lean_prover *prover = new lean_prover;  // never freed: Python threads outlive main
  return *prover;
}

Outcome start_interpreter(lean_prover &prover, const std::string &libpython,
                          const std::string &program) {
  std::string error = prover.python.load(libpython);
  if (error.empty()) error = prover.python.start(program);
  if (!error.empty()) return refuse(LEAN_PROVER_UNAVAILABLE, error);
  Gil gil(prover.python);
  Ref code(prover.python, prover.python.Py_CompileString(lean_pq::kModuleSource,
                                                         lean_pq::kModuleName, kPyFileInput));
  if (!code) return prover.failed("compiling the module");
  prover.module = prover.python.PyImport_ExecCodeModule(lean_pq::kModuleName, code.get());
  if (prover.module == nullptr) return prover.failed("running the module");
  prover.is_started = true;
  return {LEAN_PROVER_OK, ""};
}

Outcome open_prover(const char *config) {
  lean_prover &prover = the_prover();
  std::lock_guard<std::mutex> lock(prover.mutex);
  if (prover.is_open) {
    return refuse(LEAN_PROVER_UNAVAILABLE, "this process has already opened its one handle");
  }
  auto values = parse_config(config);
  for (const char *key : {"libpython", "python", "sitepackages"}) {
    if (values[key].empty()) {
      return refuse(LEAN_PROVER_UNAVAILABLE, std::string("the config has no ") + key + "= line");
    }
  }
  if (!prover.is_started) {
    Outcome started = start_interpreter(prover, values["libpython"], values["python"]);
    if (started.status != LEAN_PROVER_OK) return started;
  }
  Gil gil(prover.python);
  const std::string &site = values["sitepackages"];
  Outcome opened = prover.call("open_prover", prover.tuple(prover.bytes(site.data(), site.size())));
  if (opened.status != LEAN_PROVER_OK) return refuse(LEAN_PROVER_UNAVAILABLE, opened.payload);
  prover.revision = opened.payload;
  prover.is_open = true;
  return opened;
}

Outcome invalid(std::string text) {
  return refuse(LEAN_PROVER_INVALID_ARGUMENT, std::move(text));
}

/* What is wrong with the claim's sizes and pointers; empty when nothing is. */
std::string claim_fault(const lean_prover_aggregate_claim &claim) {
  if (claim.proof == nullptr || claim.proof_bytes == 0) return "has no proof";
  if (claim.proof_bytes > kProofBytesMax) return "has a proof that exceeds proof_bytes_max";
  if (claim.keys.bytes == nullptr || claim.keys.count == 0) return "has no keys";
  // No network has more validators. The bound also keeps the keys' size in bytes from overflowing.
  if (claim.keys.count > kRawsMax) return "has more keys than raws_max";
  return "";
}

Ref children_tuple(const lean_prover &prover, const lean_prover_aggregate_claim *children,
                   size_t count) {
  Ref made(prover.python, prover.python.PyTuple_New(static_cast<ptrdiff_t>(count)));
  for (size_t i = 0; made && i < count; i++) {
    const lean_prover_aggregate_claim &child = children[i];
    Ref pair = prover.tuple(prover.bytes(child.proof, child.proof_bytes),
                            prover.bytes(child.keys.bytes, child.keys.count * kPublicKeyBytes));
    if (!pair) return pair;
    prover.python.PyTuple_SetItem(made.get(), static_cast<ptrdiff_t>(i), pair.release());
  }
  return made;
}

Outcome aggregate(const lean_prover &prover, const lean_prover_message &message,
                  lean_prover_keys raws, const uint8_t *signatures,
                  const lean_prover_aggregate_claim *children, size_t children_count) {
  Gil gil(prover.python);
  return prover.call(
      "aggregate",
      prover.tuple(prover.bytes(message.root, sizeof message.root), prover.number(message.slot),
                   prover.bytes(raws.bytes, raws.count * kPublicKeyBytes),
                   prover.bytes(signatures, raws.count * kSignatureBytes),
                   children_tuple(prover, children, children_count)));
}

}  // namespace

lean_prover_status lean_prover_open(const char *config, lean_prover **out, char *error) {
  if (out == nullptr) return report(invalid("out is NULL"), error);
  *out = nullptr;
  const Outcome opened = guarded([&] { return open_prover(config); });
  if (opened.status == LEAN_PROVER_OK) *out = &the_prover();
  return report(opened, error);
}

lean_prover_status lean_prover_describe(lean_prover *prover, lean_prover_description *out) {
  if (prover == nullptr || out == nullptr) return LEAN_PROVER_INVALID_ARGUMENT;
  *out = lean_prover_description{LEAN_PROVER_ABI_VERSION, LEAN_PROVER_KIND_AGGREGATE,
                                 "lean_pq", "leanxmss", prover->revision.c_str(),
                                 kPublicKeyBytes, kSignatureBytes, kProofBytesMax,
                                 kChildrenMax, kRawsMax, 0, 0};
  return LEAN_PROVER_OK;
}

lean_prover_status lean_prover_verify_signatures(lean_prover *prover,
                                                 const lean_prover_message *message,
                                                 lean_prover_keys keys, const uint8_t *signatures,
                                                 uint8_t *verdicts, char *error) {
  if (prover == nullptr || message == nullptr || keys.bytes == nullptr || signatures == nullptr ||
      verdicts == nullptr) {
    return report(invalid("a pointer is NULL"), error);
  }
  if (keys.count == 0 || keys.count > kRawsMax) {
    return report(invalid("the number of keys must be 1 to raws_max"), error);
  }
  const Outcome verified = guarded([&] {
    Gil gil(prover->python);
    return prover->call("verify_signatures",
                        prover->tuple(prover->bytes(message->root, sizeof message->root),
                                      prover->number(message->slot),
                                      prover->bytes(keys.bytes, keys.count * kPublicKeyBytes),
                                      prover->bytes(signatures, keys.count * kSignatureBytes)));
  });
  if (verified.status == LEAN_PROVER_OK) {
    std::memcpy(verdicts, verified.payload.data(), std::min(keys.count, verified.payload.size()));
  }
  return report(verified, error);
}

lean_prover_status lean_prover_verify_aggregate(lean_prover *prover,
                                                const lean_prover_message *message,
                                                const lean_prover_aggregate_claim *claim,
                                                char *error) {
  if (prover == nullptr || message == nullptr || claim == nullptr) {
    return report(invalid("a pointer is NULL"), error);
  }
  const std::string fault = claim_fault(*claim);
  if (!fault.empty()) return report(invalid("the claim " + fault), error);
  return report(guarded([&] {
                  Gil gil(prover->python);
                  const lean_prover_keys &keys = claim->keys;
                  return prover->call(
                      "verify_aggregate",
                      prover->tuple(prover->bytes(message->root, sizeof message->root),
                                    prover->bytes(claim->proof, claim->proof_bytes),
                                    prover->bytes(keys.bytes, keys.count * kPublicKeyBytes)));
                }),
                error);
}

lean_prover_status lean_prover_aggregate(lean_prover *prover, const lean_prover_message *message,
                                         lean_prover_keys raws, const uint8_t *signatures,
                                         const lean_prover_aggregate_claim *children,
                                         size_t children_count, uint32_t log_inv_rate,
                                         lean_prover_buffer *proof, char *error) {
  if (proof != nullptr) *proof = lean_prover_buffer{nullptr, 0};
  if (prover == nullptr || message == nullptr || proof == nullptr ||
      (raws.count > 0 && (raws.bytes == nullptr || signatures == nullptr)) ||
      (children_count > 0 && children == nullptr)) {
    return report(invalid("a pointer is NULL"), error);
  }
  if (raws.count == 0 && children_count == 0) {
    return report(invalid("there are no raws and no children"), error);
  }
  if (raws.count > kRawsMax) return report(invalid("there are more raws than raws_max"), error);
  if (children_count > kChildrenMax) {
    return report(invalid("there are more children than children_max"), error);
  }
  for (size_t i = 0; i < children_count; i++) {
    const std::string fault = claim_fault(children[i]);
    if (!fault.empty()) return report(invalid("child " + std::to_string(i) + " " + fault), error);
  }
  if (log_inv_rate != 0) {
    return report(refuse(LEAN_PROVER_UNSUPPORTED, "log_inv_rate must be 0, the only rate"), error);
  }
  const Outcome made = guarded(
      [&] { return aggregate(*prover, *message, raws, signatures, children, children_count); });
  if (made.status != LEAN_PROVER_OK) return report(made, error);
  if (made.payload.size() > kProofBytesMax) {
    return report(refuse(LEAN_PROVER_INTERNAL, "the proof exceeds proof_bytes_max"), error);
  }
  proof->bytes = static_cast<uint8_t *>(std::malloc(made.payload.size()));
  if (proof->bytes == nullptr) return report(refuse(LEAN_PROVER_INTERNAL, "out of memory"), error);
  std::memcpy(proof->bytes, made.payload.data(), made.payload.size());
  proof->length = made.payload.size();
  return LEAN_PROVER_OK;
}

void lean_prover_free_buffer(lean_prover *, lean_prover_buffer *buffer) {
  if (buffer == nullptr) return;
  std::free(buffer->bytes);
  *buffer = lean_prover_buffer{nullptr, 0};
}

void lean_prover_close(lean_prover *prover) {
  if (prover == nullptr) return;
  std::lock_guard<std::mutex> lock(prover->mutex);
  prover->is_open = false;
}
