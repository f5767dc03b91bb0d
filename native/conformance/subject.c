#define _POSIX_C_SOURCE 200809L
#include "subject.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096, FILE_BYTES_MAX = 64 << 20 };

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

struct source read_source(const char *path, size_t length_max) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) cannot_start(path, "cannot be opened");
  struct stat found;
  if (fstat(fileno(file), &found) != 0) cannot_start(path, "cannot be read");
  if (!S_ISREG(found.st_mode)) cannot_start(path, "is not a regular file");
  if ((uintmax_t)found.st_size > length_max) cannot_start(path, "is too large");
  const size_t length = (size_t)found.st_size;
  uint8_t *bytes = allocate(length + 1);
  if (fread(bytes, 1, length, file) != length) cannot_start(path, "cannot be read");
  fclose(file);
  bytes[length] = 0;
  return (struct source){path, bytes, length, 0};
}

size_t left_in(const struct source *source) { return source->length - source->at; }

const uint8_t *take(struct source *source, size_t length) {
  if (length > left_in(source)) cannot_start(source->name, "ends too early");
  const uint8_t *at = source->bytes + source->at;
  source->at += length;
  return at;
}

uint32_t take_u32(struct source *source) {
  const uint8_t *at = take(source, 4);
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static lp_keys take_keys(struct source *source, size_t key_bytes) {
  const size_t count = take_u32(source);
  return (lp_keys){take(source, count * key_bytes), count};
}

lp_claim take_claim(struct source *source, size_t key_bytes) {
  lp_claim claim = {.slot = take_u32(source)};
  memcpy(claim.root, take(source, LP_ROOT_BYTES), LP_ROOT_BYTES);
  claim.keys = take_keys(source, key_bytes);
  return claim;
}

lp_raws take_raws(struct source *source, size_t key_bytes, size_t signature_bytes) {
  lp_raws raws = {.of = take_claim(source, key_bytes)};
  raws.signatures = take(source, raws.of.keys.count * signature_bytes);
  return raws;
}

void print_text(const char *text, size_t length) {
  for (size_t at = 0; at < length; at++) {
    putchar(text[at] >= ' ' && text[at] <= '~' ? text[at] : '?');
  }
}

void read_inputs(const char *folder) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/inputs.bin", folder);
  struct source source = read_source(path, FILE_BYTES_MAX);
  inputs.file = source.bytes;
  if (memcmp(take(&source, 8), "LPINPUT2", 8) != 0) {
    cannot_start(path, "is not an inputs file, version 2");
  }
  inputs.key_bytes = take_u32(&source);
  inputs.signature_bytes = take_u32(&source);
  inputs.raws = take_raws(&source, inputs.key_bytes, inputs.signature_bytes);
  inputs.wrong_slot = take_raws(&source, inputs.key_bytes, inputs.signature_bytes);
  inputs.other = take_raws(&source, inputs.key_bytes, inputs.signature_bytes);
  inputs.child_claim = inputs.raws.of;
  inputs.child_claim.keys = take_keys(&source, inputs.key_bytes);
  inputs.child.kind = LP_FOLD;
  inputs.child.length = take_u32(&source);
  inputs.child.bytes = take(&source, inputs.child.length);
  inputs.child.claims = one_claim(&inputs.child_claim);
  const size_t raws = inputs.raws.of.keys.count, keys = inputs.child_claim.keys.count;
  if (raws <= keys || keys < 2) cannot_start(path, "has too few signatures or child keys");
}

bool can(uint32_t what) { return (about.can & what) != 0; }

lp_raws first_of(lp_raws raws, size_t count) {
  raws.of.keys.count = count;
  return raws;
}

lp_raws some_of(lp_raws raws, size_t first, size_t count) {
  raws.of.keys.packed += first * about.public_key_bytes;
  raws.signatures += first * about.signature_bytes;
  return first_of(raws, count);
}

size_t raws_at_once(size_t count) {
  const size_t most = about.fold.raws_max;
  return most == 0 || count < most ? count : most;
}

lp_claims one_claim(const lp_claim *claim) { return (lp_claims){claim, 1}; }

char *read_text(const char *path) { return (char *)read_source(path, FILE_BYTES_MAX).bytes; }

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

_Atomic unsigned log_lines;
_Atomic unsigned odd_log_lines;

static void print_log_line(void *context, int level, const char *line) {
  static const char *const levels[] = {"error", "warning", "information"};
  (void)context;
  log_lines++;
  if (level < 0 || level > 2 || line == NULL) {
    odd_log_lines++;
    return;
  }
  printf("     the library logs (%s): ", levels[level]);
  print_text(line, strnlen(line, LP_TEXT_BYTES));
  printf("\n");
}

lp_status open_prover(const char *config, lp_fault *fault) {
  return open_prover_with((lp_options){.config = config}, fault);
}

lp_status open_prover_with(lp_options options, lp_fault *fault) {
  options.size = sizeof options;
  options.log = print_log_line;
  const lp_status opened = library->open(&options, &prover, fault);
  about.size = sizeof about;
  return opened != LP_OK ? opened : library->describe(prover, &about);
}

uint8_t *copy(const uint8_t *bytes, size_t length) {
  return memcpy(allocate(length), bytes, length);
}

