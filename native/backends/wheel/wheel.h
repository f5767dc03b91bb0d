/*
 * What a backend over a Python wheel defines for itself: what it can, and the calls to its wheel.
 * Everything else of the C ABI is common to these backends, in this folder.
 */
#ifndef LEAN_WHEEL_WHEEL_H
#define LEAN_WHEEL_WHEEL_H

#include "../../include/lean_prover.h"

namespace wheel {

struct Wheel {
  /* What `describe` says, without the size and the revision. Its limits must not be 0. */
  lp_about about;
  /* The variable from which the wheel takes the number of its threads, once. */
  const char *threads_variable;
  /* Python of the calls to the wheel; module.h says what it defines. */
  const char *source;
};

/* Each backend defines the one of its library. */
extern const Wheel kWheel;

}  // namespace wheel

#endif
