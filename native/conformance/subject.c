#include "subject.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

struct library library;
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

static lean_prover_keys take_keys(uint32_t count) {
  return (lean_prover_keys){take((size_t)count * inputs.key_bytes), count};
}

void read_inputs(const char *folder) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/inputs.bin", folder);
  inputs.file = read_whole(path, &input_length);
  if (memcmp(take(8), "LPINPUT1", 8) != 0) cannot_start(path, "is not an inputs file");
  inputs.key_bytes = take_u32();
  inputs.signature_bytes = take_u32();
  inputs.message.slot = take_u32();
  memcpy(inputs.message.root, take(LEAN_PROVER_MESSAGE_BYTES), LEAN_PROVER_MESSAGE_BYTES);
  inputs.raws = take_keys(take_u32());
  inputs.signatures = take(inputs.raws.count * inputs.signature_bytes);
  inputs.wrong_leaf = take_keys(1);
  inputs.wrong_leaf_signature = take(inputs.signature_bytes);
  inputs.child.keys = take_keys(take_u32());
  inputs.child.proof_bytes = take_u32();
  inputs.child.proof = take(inputs.child.proof_bytes);
  if (inputs.raws.count <= inputs.child.keys.count || inputs.child.keys.count < 2) {
    cannot_start(path, "has too few signatures or child keys");
  }
}

char *read_text(const char *path) {
  size_t length;
  return (char *)read_whole(path, &length);
}

/* dlsym returns a function as a data pointer. ISO C forbids that cast, so the bits are copied. */
static void resolve(void *loaded, const char *name, void *function) {
  void *found = dlsym(loaded, name);
  if (found == NULL) cannot_start(name, "is not exported");
  memcpy(function, &found, sizeof found);
}

void load_library(const char *path) {
  void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (loaded == NULL) cannot_start(path, dlerror());
  resolve(loaded, "lean_prover_open", &library.open);
  resolve(loaded, "lean_prover_describe", &library.describe);
  resolve(loaded, "lean_prover_verify_signatures", &library.verify_signatures);
  resolve(loaded, "lean_prover_verify_aggregate", &library.verify_aggregate);
  resolve(loaded, "lean_prover_aggregate", &library.aggregate);
  resolve(loaded, "lean_prover_free_buffer", &library.free_buffer);
  resolve(loaded, "lean_prover_close", &library.close);
}

uint8_t *copy(const uint8_t *bytes, size_t length) {
  return memcpy(allocate(length), bytes, length);
}

