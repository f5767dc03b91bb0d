/*
 * What the ABI forbids, found by sizes, pointers and counts alone, and how a refusal is reported.
 */
#ifndef LEAN_PQ_CHECKS_H
#define LEAN_PQ_CHECKS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "../../include/lean_prover.h"

namespace lean_pq {

namespace limits {
constexpr uint32_t kPublicKeyBytes = 32;
constexpr uint32_t kSignatureBytes = 2404;
constexpr uint32_t kProofBytesMax = 512 * 1024;  // proofs measured: 190 to 245 KB
constexpr uint32_t kChildrenMax = 16;            // the library's own limit
constexpr uint32_t kKeysMax = 4096;              // VALIDATOR_REGISTRY_LIMIT of the lean spec
constexpr uint32_t kClaimsMax = 64;              // a block has at most 8, and its proposer's
constexpr uint32_t kSetupMs = 5000;              // measured on two cores: 3.7 to 4.9 s
}  // namespace limits

/* How a call ended, and which input is at fault, as in lp_fault. */
struct Outcome {
  lp_status status = LP_OK;
  std::string payload;  // the result, or the error's text
  uint32_t at = LP_AT_NONE;
  size_t index = 0;
  uint32_t within = 0;
};

inline Outcome refuse(lp_status status, std::string text) { return {status, std::move(text)}; }

inline Outcome invalid(std::string text, lp_at at = LP_AT_NONE, size_t index = 0) {
  return {LP_INVALID, std::move(text), static_cast<uint32_t>(at), index, 0};
}

/* Writes as much of the fault as its caller's struct has room for, and returns the status. */
lp_status report(const Outcome &outcome, lp_fault *fault);

/* What is wrong with the input; empty when nothing is. */
std::string raws_fault(const lp_raws &raws);
std::string proof_fault(const lp_proof &proof);

/* What the header forbids of the job; LP_OK when nothing. */
Outcome job_fault(const lp_job &job);

}  // namespace lean_pq

#endif
