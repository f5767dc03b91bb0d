#include "checks.h"

#include <algorithm>
#include <cstring>

namespace lean_pq {

using namespace limits;

lp_status report(const Outcome &outcome, lp_fault *fault) {
  if (outcome.status == LP_OK || fault == nullptr) return outcome.status;
  lp_fault full{};
  full.size = fault->size;
  full.at = outcome.at;
  full.within = outcome.within;
  full.index = outcome.index;
  const size_t head = offsetof(lp_fault, text);
  const size_t room = fault->size <= head + 1 ? 0 : std::min(fault->size, sizeof full) - head - 1;
  size_t length = std::min(outcome.payload.size(), room);
  // Cuts the text before a character, not inside one, so that it stays UTF-8.
  while (length < outcome.payload.size() && length > 0 &&
         (static_cast<unsigned char>(outcome.payload[length]) & 0xC0) == 0x80) {
    length--;
  }
  std::memcpy(full.text, outcome.payload.data(), length);
  std::memcpy(fault, &full, std::min(fault->size, sizeof full));
  return outcome.status;
}

namespace {

/* What is wrong with the keys' size and pointer; empty when nothing is. */
std::string keys_fault(const lp_keys &keys) {
  if (keys.packed == nullptr || keys.count == 0) return "it has no keys";
  // The bound also keeps the keys' size in bytes from overflowing.
  if (keys.count > kKeysMax) return "it has more keys than keys_max";
  return "";
}

std::string claims_fault(const lp_claims &claims) {
  if (claims.items == nullptr || claims.count == 0) return "it has no claims";
  if (claims.count > kClaimsMax) return "it has more claims than claims_max";
  size_t keys = 0;
  for (size_t i = 0; i < claims.count; i++) {
    const lp_claim &claim = claims.items[i];
    const std::string fault = keys_fault(claim.keys);
    if (!fault.empty()) return "claim " + std::to_string(i) + ": " + fault;
    keys += claim.keys.count;
    for (size_t j = 0; j < i; j++) {
      const lp_claim &other = claims.items[j];
      if (claim.slot == other.slot && std::memcmp(claim.root, other.root, LP_ROOT_BYTES) == 0) {
        return "it has a message twice";
      }
    }
  }
  return keys > kKeysMax ? "it has more keys than keys_max" : "";
}

}  // namespace

std::string proof_fault(const lp_proof &proof) {
  if (proof.bytes == nullptr || proof.length == 0) return "it has no bytes";
  if (proof.length > kProofBytesMax) return "it is longer than proof_bytes_max";
  if (proof.kind != LP_FOLD && proof.kind != LP_MERGE) return "its kind is neither FOLD nor MERGE";
  if (proof.kind == LP_FOLD && proof.claims.count > 1) return "a FOLD has one claim";
  return claims_fault(proof.claims);
}

std::string raws_fault(const lp_raws &raws) {
  if (raws.signatures == nullptr) return "it has no signatures";
  return keys_fault(raws.of.keys);
}

Outcome job_fault(const lp_job &job) {
  if (job.kind != LP_FOLD && job.kind != LP_MERGE) {
    return refuse(LP_UNSUPPORTED, "the kind is neither FOLD nor MERGE");
  }
  if ((job.raws_count > 0 && job.raws == nullptr) ||
      (job.children_count > 0 && job.children == nullptr)) {
    return invalid("a pointer is NULL");
  }
  if (job.raws_count == 0 && job.children_count == 0) {
    return invalid("there are no raws and no children");
  }
  if (job.raws_count > (job.kind == LP_FOLD ? 1 : kClaimsMax)) {
    return invalid("there are raws of too many messages");
  }
  if (job.children_count > kChildrenMax) {
    return invalid("there are more children than children_max");
  }
  size_t signatures = 0;
  for (size_t i = 0; i < job.raws_count; i++) {
    const std::string fault = raws_fault(job.raws[i]);
    if (!fault.empty()) return invalid(fault, LP_AT_RAWS, i);
    signatures += job.raws[i].of.keys.count;
  }
  if (signatures > kKeysMax) return invalid("there are more signatures than raws_max");
  for (size_t i = 0; i < job.children_count; i++) {
    std::string fault = proof_fault(job.children[i]);
    if (fault.empty() && job.kind == LP_FOLD && job.children[i].kind != LP_FOLD) {
      fault = "a FOLD folds no merged proof";
    }
    if (!fault.empty()) return invalid(fault, LP_AT_CHILD, i);
  }
  const std::string fault = claims_fault(job.wanted);
  if (!fault.empty()) return invalid(fault, LP_AT_WANTED);
  if (job.kind == LP_FOLD && job.wanted.count > 1) {
    return invalid("a FOLD has one claim", LP_AT_WANTED);
  }
  if (job.log_inv_rate != 0) return refuse(LP_UNSUPPORTED, "log_inv_rate must be 0, the only rate");
  return {};
}

}  // namespace lean_pq
