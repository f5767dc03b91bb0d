/*
 * The library under test and good inputs for it, shared by the conformance program and the fuzzer.
 * A file that cannot be loaded or read ends the program with status 2 and an error on stderr.
 */
#ifndef LEAN_PROVER_SUBJECT_H
#define LEAN_PROVER_SUBJECT_H

#include "../include/lean_prover.h"

/* The functions of the library under test. */
extern struct library {
  lean_prover_status (*open)(const char *, lean_prover **, char *);
  lean_prover_status (*describe)(lean_prover *, lean_prover_description *);
  lean_prover_status (*verify_signatures)(lean_prover *, const lean_prover_message *,
                                          lean_prover_keys, const uint8_t *, uint8_t *, char *);
  lean_prover_status (*verify_aggregate)(lean_prover *, const lean_prover_message *,
                                         const lean_prover_aggregate_claim *, char *);
  lean_prover_status (*aggregate)(lean_prover *, const lean_prover_message *, lean_prover_keys,
                                  const uint8_t *, const lean_prover_aggregate_claim *, size_t,
                                  uint32_t, lean_prover_buffer *, char *);
  void (*free_buffer)(lean_prover *, lean_prover_buffer *);
  void (*close)(lean_prover *);
} library;

/* The content of inputs.bin; inputs.mjs describes its layout. */
extern struct inputs {
  uint8_t *file;
  uint32_t key_bytes;
  uint32_t signature_bytes;
  lean_prover_message message;
  lean_prover_keys raws;
  const uint8_t *signatures;
  lean_prover_keys wrong_leaf;
  const uint8_t *wrong_leaf_signature;
  lean_prover_aggregate_claim child;
} inputs;

/* Prints both texts to stderr and exits with status 2. */
_Noreturn void cannot_start(const char *what, const char *why);
void *allocate(size_t length);
uint8_t *copy(const uint8_t *bytes, size_t length);

/* Returns the whole file with a NUL after it. The caller frees it. */
char *read_text(const char *path);

/* Loads the library at the path and fills `library`. */
void load_library(const char *path);

/* Fills `inputs` from inputs.bin in the folder. */
void read_inputs(const char *folder);

#endif
