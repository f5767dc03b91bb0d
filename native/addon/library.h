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

/* A call's status and, when that is not LP_OK, the library's message. */
struct Outcome {
  lp_status status = LP_OK;
  std::string message;
};

/* The inputs of calls, copied from JavaScript: the structs of lean_prover.h as owners. */
struct Claim {
  std::vector<uint8_t> root;
  uint32_t slot = 0;
  std::vector<uint8_t> keys;
};

struct Raws {
  Claim of;
  std::vector<uint8_t> signatures;
};

struct Proof {
  uint32_t kind = LP_FOLD;
  std::vector<uint8_t> bytes;
  std::vector<Claim> claims;
};

struct Job {
  uint32_t kind = LP_FOLD;
  uint32_t log_inv_rate = 0;
  std::vector<Raws> raws;
  std::vector<Proof> children;
  std::vector<Claim> wanted;
};

struct OpenOptions {
  std::string config;
  std::string cache_folder; /* empty: none */
  uint32_t threads = 0;
};

class Library {
 public:
  /* Loads the library at `path` and opens its handle, which takes seconds. For any thread. Sets
   * `library` only on success. */
  static Outcome open(const std::string &path, const OpenOptions &options,
                      std::shared_ptr<Library> &library);
  ~Library();
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  const lp_about &about() const { return about_; }

  /* The calls of the C ABI, for any thread. The last argument is set only on LP_OK. */
  Outcome verify_signatures(const Raws &raws, std::vector<uint8_t> &verdicts) const;
  Outcome verify(const Proof &proof) const;
  Outcome prove(const Job &job, std::vector<uint8_t> &proof) const;

 private:
  Library() = default;
  Outcome describe(const std::string &path);
  lp_claim view(const Claim &claim) const;
  lp_raws view(const Raws &raws) const;
  std::vector<lp_claim> view(const std::vector<Claim> &claims) const;

  const lp_api *api_ = nullptr;
  lp_prover *handle_ = nullptr;
  lp_about about_{};
};

}  // namespace lean_aggregator

#endif
