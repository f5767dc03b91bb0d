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
  const uint8_t *file;
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

/* Bytes of a file that are read in order. A read past their end ends the program. */
struct source {
  const char *name;
  const uint8_t *bytes;
  size_t length;
  size_t at;
};

/* Reads the regular file of at most `length_max` bytes; the caller frees its bytes. */
struct source read_source(const char *path, size_t length_max);
size_t left_in(const struct source *source);
const uint8_t *take(struct source *source, size_t length);
uint32_t take_u32(struct source *source);
/* A message and the packed keys that signed it; then with their signatures too. */
lp_claim take_claim(struct source *source, size_t key_bytes);
lp_raws take_raws(struct source *source, size_t key_bytes, size_t signature_bytes);

/* Prints the text to stdout, with ? for what is not printable ASCII. */
void print_text(const char *text, size_t length);

/* Loads the library at the path and sets `library`. */
void load_library(const char *path);

/* Opens the handle with the config, and describes it. Its log goes to stdout. */
lp_status open_prover(const char *config, lp_fault *fault);

/* The same with all options but the log. */
lp_status open_prover_with(lp_options options, lp_fault *fault);

/* Lines of the library's log so far, and those of a level that the header does not name. */
extern _Atomic unsigned log_lines;
extern _Atomic unsigned odd_log_lines;

/* Fills `inputs` from inputs.bin in the folder. */
void read_inputs(const char *folder);

bool can(uint32_t what);

/* The first `count` of the raws. */
lp_raws first_of(lp_raws raws, size_t count);

/* `count` of the raws from number `first` on, by the sizes that the library describes. */
lp_raws some_of(lp_raws raws, size_t first, size_t count);

/* `count`, or as many signatures as the library takes at once, if that is less. */
size_t raws_at_once(size_t count);

/* A claim of one message, as claims. */
lp_claims one_claim(const lp_claim *claim);

#endif
