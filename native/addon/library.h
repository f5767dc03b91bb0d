/*
 * A loaded backend library and its one open handle. The JavaScript object and every running worker
 * own the Library together, so the handle outlives each call; the last owner closes the handle.
 */
#ifndef LEAN_AGGREGATOR_LIBRARY_H
#define LEAN_AGGREGATOR_LIBRARY_H

#include <memory>
#include <string>
#include <vector>

#include "../include/lean_prover.h"

namespace lean_aggregator {

/* A call's status and, when that is not LEAN_PROVER_OK, the library's message. */
struct Outcome {
  lean_prover_status status = LEAN_PROVER_OK;
  std::string message;
};

/* A message, the keys that signed it and their signatures, copied from JavaScript. */
struct SignedKeys {
  lean_prover_message message{};
  std::vector<uint8_t> keys;
  std::vector<uint8_t> signatures;
};

/* A proof and the keys that it must attest, copied from JavaScript. */
struct Claim {
  std::vector<uint8_t> proof;
  std::vector<uint8_t> keys;
};

class Library {
 public:
  /* Loads the library at `path` and opens its handle, which takes seconds. For any thread. Sets
   * `library` only on success. */
  static Outcome open(const std::string &path, const std::string &config,
                      std::shared_ptr<Library> &library);
  ~Library();
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  const lean_prover_description &description() const { return description_; }

  /* The calls of the C ABI, for any thread. The last argument is set only on LEAN_PROVER_OK. */
  Outcome verify_signatures(const SignedKeys &input, std::vector<uint8_t> &verdicts) const;
  Outcome verify_aggregate(const lean_prover_message &message, const Claim &claim) const;
  Outcome aggregate(const SignedKeys &input, const std::vector<Claim> &children,
                    uint32_t log_inv_rate, std::vector<uint8_t> &proof) const;

 private:
  Library() = default;
  Outcome resolve(void *loaded, const std::string &path);
  lean_prover_keys packed(const std::vector<uint8_t> &keys) const;
  lean_prover_aggregate_claim view(const Claim &claim) const;

  lean_prover *handle_ = nullptr;
  lean_prover_description description_{};
  decltype(&lean_prover_open) open_ = nullptr;
  decltype(&lean_prover_describe) describe_ = nullptr;
  decltype(&lean_prover_verify_signatures) verify_signatures_ = nullptr;
  decltype(&lean_prover_verify_aggregate) verify_aggregate_ = nullptr;
  decltype(&lean_prover_aggregate) aggregate_ = nullptr;
  decltype(&lean_prover_free_buffer) free_buffer_ = nullptr;
  decltype(&lean_prover_close) close_ = nullptr;
};

}  // namespace lean_aggregator

#endif
