#include "library.h"

#include <dlfcn.h>

namespace lean_aggregator {

namespace {

Outcome unavailable(std::string message) { return {LEAN_PROVER_UNAVAILABLE, std::move(message)}; }

/* For a library that cannot be used, however often it is opened. */
Outcome unusable(std::string message) { return {LEAN_PROVER_UNSUPPORTED, std::move(message)}; }

/* A description with room behind it: a library of a later ABI may fill a longer one, and its version
 * can be read only after that. */
union RoomyDescription {
  lean_prover_description description;
  unsigned char room[4096];
};

/* The error buffer of one call, and the Outcome that it becomes. */
class ErrorText {
 public:
  char *buffer() { return text_; }

  Outcome outcome(lean_prover_status status) {
    if (status == LEAN_PROVER_OK) return {};
    text_[sizeof text_ - 1] = '\0';
    if (text_[0] != '\0') return {status, text_};
    return {status, "the backend returned status " + std::to_string(status) + " without a message"};
  }

 private:
  char text_[LEAN_PROVER_ERROR_BYTES] = {};
};

template <typename Function>
void find(void *loaded, const char *name, Function &function, std::string &missing) {
  function = reinterpret_cast<Function>(dlsym(loaded, name));
  if (function == nullptr) missing += (missing.empty() ? "" : ", ") + std::string(name);
}

}  // namespace

Outcome Library::open(const std::string &path, const std::string &config,
                      std::shared_ptr<Library> &library) {
  // The library is never unloaded: a backend may leave threads behind, as py-lean-pq does.
  void *loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    const char *why = dlerror();
    return unavailable("cannot load " + path + ": " + (why == nullptr ? "unknown error" : why));
  }
  std::shared_ptr<Library> opening(new Library);
  const Outcome resolved = opening->resolve(loaded, path);
  if (resolved.status != LEAN_PROVER_OK) return resolved;
  ErrorText error;
  const Outcome opened =
      error.outcome(opening->open_(config.c_str(), &opening->handle_, error.buffer()));
  if (opened.status != LEAN_PROVER_OK) {
    opening->handle_ = nullptr;  // a failed open leaves nothing to close
    return unavailable(path + ": lean_prover_open failed: " + opened.message);
  }
  if (opening->handle_ == nullptr) {
    return unavailable(path + ": lean_prover_open returned OK without a handle");
  }
  RoomyDescription filled{};
  if (opening->describe_(opening->handle_, &filled.description) != LEAN_PROVER_OK) {
    return unavailable(path + ": lean_prover_describe failed");
  }
  const lean_prover_description &description = opening->description_ = filled.description;
  if (description.abi_version != LEAN_PROVER_ABI_VERSION) {
    return unusable(path + " has ABI version " + std::to_string(description.abi_version) +
                    ", the service needs " + std::to_string(LEAN_PROVER_ABI_VERSION));
  }
  if (description.public_key_bytes == 0 || description.signature_bytes == 0 ||
      description.backend == nullptr || description.scheme == nullptr ||
      description.revision == nullptr) {
    return unusable(path + ": the description lacks a name or a size");
  }
  library = std::move(opening);
  return {};
}

Outcome Library::resolve(void *loaded, const std::string &path) {
  std::string missing;
  find(loaded, "lean_prover_open", open_, missing);
  find(loaded, "lean_prover_describe", describe_, missing);
  find(loaded, "lean_prover_verify_signatures", verify_signatures_, missing);
  find(loaded, "lean_prover_verify_aggregate", verify_aggregate_, missing);
  find(loaded, "lean_prover_aggregate", aggregate_, missing);
  find(loaded, "lean_prover_free_buffer", free_buffer_, missing);
  find(loaded, "lean_prover_close", close_, missing);
  if (missing.empty()) return {};
  return unusable(path + " does not export " + missing + " of lean_prover.h");
}

Library::~Library() {
  if (handle_ != nullptr) close_(handle_);
}

lean_prover_keys Library::packed(const std::vector<uint8_t> &keys) const {
  return {keys.data(), keys.size() / description_.public_key_bytes};
}

lean_prover_aggregate_claim Library::view(const Claim &claim) const {
  return {claim.proof.data(), claim.proof.size(), packed(claim.keys)};
}

Outcome Library::verify_signatures(const SignedKeys &input, std::vector<uint8_t> &verdicts) const {
  const lean_prover_keys keys = packed(input.keys);
  // A verdict that the backend does not write must not mean that the signature is verified.
  verdicts.assign(keys.count, static_cast<uint8_t>(LEAN_PROVER_INTERNAL));
  ErrorText error;
  return error.outcome(verify_signatures_(handle_, &input.message, keys, input.signatures.data(),
                                          verdicts.data(), error.buffer()));
}

Outcome Library::verify_aggregate(const lean_prover_message &message, const Claim &claim) const {
  const lean_prover_aggregate_claim viewed = view(claim);
  ErrorText error;
  return error.outcome(verify_aggregate_(handle_, &message, &viewed, error.buffer()));
}

Outcome Library::aggregate(const SignedKeys &input, const std::vector<Claim> &children,
                           uint32_t log_inv_rate, std::vector<uint8_t> &proof) const {
  std::vector<lean_prover_aggregate_claim> viewed;
  viewed.reserve(children.size());
  for (const Claim &child : children) viewed.push_back(view(child));
  lean_prover_buffer made{nullptr, 0};
  ErrorText error;
  const Outcome outcome = error.outcome(
      aggregate_(handle_, &input.message, packed(input.keys), input.signatures.data(),
                 viewed.data(), viewed.size(), log_inv_rate, &made, error.buffer()));
  if (outcome.status != LEAN_PROVER_OK) return outcome;
  if (made.bytes == nullptr || made.length == 0) {
    return {LEAN_PROVER_INTERNAL, "the backend returned OK without a proof"};
  }
  const auto release = [this](lean_prover_buffer *buffer) { free_buffer_(handle_, buffer); };
  const std::unique_ptr<lean_prover_buffer, decltype(release)> owner(&made, release);
  proof.assign(made.bytes, made.bytes + made.length);
  return outcome;
}

}  // namespace lean_aggregator
