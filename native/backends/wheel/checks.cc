#include "checks.h"

#include <algorithm>
#include <cstring>

namespace wheel {

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

bool is_offered(uint32_t kind) {
  return (kind == LP_FOLD || kind == LP_MERGE) && (kWheel.about.kinds & kind) != 0;
}

/* What is wrong with the keys' size and pointer; empty when nothing is. */
std::string keys_fault(const lp_keys &keys, uint32_t keys_max) {
  if (keys.packed == nullptr || keys.count == 0) return "it has no keys";
  // The bound also keeps the keys' size in bytes from overflowing.
  if (keys.count > keys_max) return "it has more keys than keys_max";
  return "";
}

std::string claims_fault(const lp_claims &claims, const lp_limits &limits) {
  if (claims.items == nullptr || claims.count == 0) return "it has no claims";
  if (claims.count > limits.claims_max) return "it has more claims than claims_max";
  size_t keys = 0;
  for (size_t i = 0; i < claims.count; i++) {
    const lp_claim &claim = claims.items[i];
    const std::string fault = keys_fault(claim.keys, limits.keys_max);
    if (!fault.empty()) return "claim " + std::to_string(i) + ": " + fault;
    keys += claim.keys.count;
    for (size_t j = 0; j < i; j++) {
      const lp_claim &other = claims.items[j];
      if (claim.slot == other.slot && std::memcmp(claim.root, other.root, LP_ROOT_BYTES) == 0) {
        return "it has a message twice";
      }
    }
  }
  return keys > limits.keys_max ? "it has more keys than keys_max" : "";
}

}  // namespace

std::string proof_fault(const lp_proof &proof) {
  if (proof.bytes == nullptr || proof.length == 0) return "it has no bytes";
  if (proof.length > kWheel.about.proof_bytes_max) return "it is longer than proof_bytes_max";
  if (!is_offered(proof.kind)) return "its kind is not offered";
  return claims_fault(proof.claims, limits_of(proof.kind));
}

std::string raws_fault(const lp_raws &raws) {
  if (raws.signatures == nullptr) return "it has no signatures";
  const lp_about &about = kWheel.about;
  const uint32_t signatures_max = std::max(about.fold.raws_max, about.merge.raws_max);
  const std::string fault = keys_fault(raws.of.keys, about.fold.keys_max);
  if (!fault.empty() || raws.of.keys.count <= signatures_max) return fault;
  return "it has more signatures than raws_max";
}

Outcome job_fault(const lp_job &job) {
  if (!is_offered(job.kind)) return refuse(LP_UNSUPPORTED, "the kind is not offered");
  const lp_limits &limits = limits_of(job.kind);
  if ((job.raws_count > 0 && job.raws == nullptr) ||
      (job.children_count > 0 && job.children == nullptr)) {
    return invalid("a pointer is NULL");
  }
  if (job.raws_count == 0 && job.children_count == 0) {
    return invalid("there are no raws and no children");
  }
  if (job.raws_count > limits.claims_max) {
    return invalid("there are raws of too many messages");
  }
  if (job.children_count > limits.children_max) {
    return invalid("there are more children than children_max");
  }
  size_t signatures = 0;
  for (size_t i = 0; i < job.raws_count; i++) {
    const std::string fault = raws_fault(job.raws[i]);
    if (!fault.empty()) return invalid(fault, LP_AT_RAWS, i);
    signatures += job.raws[i].of.keys.count;
  }
  const uint32_t raws_max = job.children_count == 0 ? limits.raws_max : limits.raws_beside_max;
  if (signatures > raws_max) return invalid("there are more signatures than the library takes");
  for (size_t i = 0; i < job.children_count; i++) {
    std::string fault = proof_fault(job.children[i]);
    if (fault.empty() && job.kind == LP_FOLD && job.children[i].kind != LP_FOLD) {
      fault = "a FOLD folds no merged proof";
    }
    if (!fault.empty()) return invalid(fault, LP_AT_CHILD, i);
  }
  const std::string fault = claims_fault(job.wanted, limits);
  if (!fault.empty()) return invalid(fault, LP_AT_WANTED);
  const uint32_t rate = job.log_inv_rate;
  if (rate != 0 && (rate > 31 || (kWheel.about.rates >> rate & 1) == 0)) {
    return refuse(LP_UNSUPPORTED, "the log_inv_rate is not offered");
  }
  return {};
}

}  // namespace wheel
