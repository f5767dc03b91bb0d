#include "subject.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

const lp_api *library;
lp_prover *prover;
lp_about about;
struct inputs inputs;

void cannot_start(const char *what, const char *why) {
  fprintf(stderr, "conformance: %s: %s\n", what, why);
  exit(2);
}

void *allocate(size_t length) {
  void *memory = malloc(length);
  if (memory == NULL) cannot_start("malloc", "out of memory");
  return memory;
}

/* Returns the whole file with a NUL after it. */
static uint8_t *read_whole(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) cannot_start(path, "cannot be opened");
  if (fseek(file, 0, SEEK_END) != 0) cannot_start(path, "cannot be read");
  const long size = ftell(file);
  rewind(file);
  if (size < 0) cannot_start(path, "cannot be read");
  uint8_t *bytes = allocate((size_t)size + 1);
  if (fread(bytes, 1, (size_t)size, file) != (size_t)size) cannot_start(path, "cannot be read");
  fclose(file);
  bytes[size] = 0;
  *length = (size_t)size;
  return bytes;
}

static size_t cursor;
static size_t input_length;

/* The next bytes of inputs.bin. */
static const uint8_t *take(size_t length) {
  if (length > input_length - cursor) cannot_start("inputs.bin", "ends too early");
  const uint8_t *at = inputs.file + cursor;
  cursor += length;
  return at;
}

static uint32_t take_u32(void) {
  const uint8_t *at = take(4);
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static lp_keys take_keys(uint32_t count) {
  return (lp_keys){take((size_t)count * inputs.key_bytes), count};
}

/* A message with `count` keys and their signatures. */
static lp_raws take_raws(void) {
  lp_raws raws = {0};
  raws.of.slot = take_u32();
  memcpy(raws.of.root, take(LP_ROOT_BYTES), LP_ROOT_BYTES);
  raws.of.keys = take_keys(take_u32());
  raws.signatures = take(raws.of.keys.count * inputs.signature_bytes);
  return raws;
}

void read_inputs(const char *folder) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/inputs.bin", folder);
  inputs.file = read_whole(path, &input_length);
  if (memcmp(take(8), "LPINPUT2", 8) != 0) cannot_start(path, "is not an inputs file, version 2");
  inputs.key_bytes = take_u32();
  inputs.signature_bytes = take_u32();
  inputs.raws = take_raws();
  inputs.wrong_slot = take_raws();
  inputs.other = take_raws();
  inputs.child_claim = inputs.raws.of;
  inputs.child_claim.keys = take_keys(take_u32());
  inputs.child.kind = LP_FOLD;
  inputs.child.length = take_u32();
  inputs.child.bytes = take(inputs.child.length);
  inputs.child.claims = one_claim(&inputs.child_claim);
  const size_t raws = inputs.raws.of.keys.count, keys = inputs.child_claim.keys.count;
  if (raws <= keys || keys < 2) cannot_start(path, "has too few signatures or child keys");
}

bool can(uint32_t what) { return (about.can & what) != 0; }

lp_raws first_of(lp_raws raws, size_t count) {
  raws.of.keys.count = count;
  return raws;
}

lp_claims one_claim(const lp_claim *claim) { return (lp_claims){claim, 1}; }

char *read_text(const char *path) {
  size_t length;
  return (char *)read_whole(path, &length);
}

void load_library(const char *path) {
  void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (loaded == NULL) cannot_start(path, dlerror());
  void *found = dlsym(loaded, "lean_prover_api");
  if (found == NULL) cannot_start(path, "does not export lean_prover_api");
  const lp_api *(*offer)(uint32_t);
  /* dlsym returns a function as a data pointer. ISO C forbids that cast, so the bits are copied. */
  memcpy(&offer, &found, sizeof offer);
  if (offer(LEAN_PROVER_API + 1000) != NULL) cannot_start(path, "offers a version of no header");
  library = offer(LEAN_PROVER_API);
  if (library == NULL) cannot_start(path, "does not offer the version of this header");
  if (library->version != LEAN_PROVER_API || library->size < sizeof *library) {
    cannot_start(path, "has another version or size in its lp_api than this header");
  }
  if (library->open == NULL || library->describe == NULL || library->verify_signatures == NULL ||
      library->verify == NULL || library->prove == NULL || library->free_buffer == NULL ||
      library->close == NULL) {
    cannot_start(path, "lacks a function of lp_api");
  }
}

lp_status open_prover(const char *config, lp_fault *fault) {
  const lp_options options = {.size = sizeof options, .config = config};
  const lp_status opened = library->open(&options, &prover, fault);
  about.size = sizeof about;
  return opened != LP_OK ? opened : library->describe(prover, &about);
}

uint8_t *copy(const uint8_t *bytes, size_t length) {
  return memcpy(allocate(length), bytes, length);
}

