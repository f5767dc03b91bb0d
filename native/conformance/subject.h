/*
 * The library under test and good inputs for it, shared by the conformance program and the fuzzer.
 * A file that cannot be loaded or read ends the program with status 2 and an error on stderr.
 */
#ifndef LEAN_PROVER_SUBJECT_H
#define LEAN_PROVER_SUBJECT_H

#include <stdbool.h>

#include "../include/lean_prover.h"

/* The functions of the library under test, its open handle and what it says of itself. */
extern const lp_api *library;
extern lp_prover *prover;
extern lp_about about;

/* The content of inputs.bin; inputs.mjs describes its layout. */
extern struct inputs {
  uint8_t *file;
  uint32_t key_bytes;
  uint32_t signature_bytes;
  lp_raws raws;        /* of one message */
  lp_raws wrong_slot;  /* one signature of that message at another slot; none in some schemes */
  lp_raws other;       /* of a second message; maybe none */
  lp_proof child;      /* a fold of some of the raws */
  lp_claim child_claim;
} inputs;

/* Prints both texts to stderr and exits with status 2. */
_Noreturn void cannot_start(const char *what, const char *why);
void *allocate(size_t length);
uint8_t *copy(const uint8_t *bytes, size_t length);

/* Returns the whole file with a NUL after it. The caller frees it. */
char *read_text(const char *path);

/* Loads the library at the path and sets `library`. */
void load_library(const char *path);

/* Opens the handle with the config, and describes it. */
lp_status open_prover(const char *config, lp_fault *fault);

/* Fills `inputs` from inputs.bin in the folder. */
void read_inputs(const char *folder);

bool can(uint32_t what);

/* The first `count` of the raws. */
lp_raws first_of(lp_raws raws, size_t count);

/* A claim of one message, as claims. */
lp_claims one_claim(const lp_claim *claim);

#endif
