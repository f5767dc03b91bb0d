/*
 * What the ABI and the wheel's limits forbid, found by sizes, pointers and counts alone, and how a
 * refusal is reported.
 */
#ifndef LEAN_WHEEL_CHECKS_H
#define LEAN_WHEEL_CHECKS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "wheel.h"

namespace wheel {

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

/* The limits of jobs of a kind that the wheel offers. */
inline const lp_limits &limits_of(uint32_t kind) {
  return kind == LP_FOLD ? kWheel.about.fold : kWheel.about.merge;
}

/* What is wrong with the input; empty when nothing is. */
std::string raws_fault(const lp_raws &raws);
std::string proof_fault(const lp_proof &proof);

/* What the header forbids of the job; LP_OK when nothing. */
Outcome job_fault(const lp_job &job);

}  // namespace wheel

#endif
