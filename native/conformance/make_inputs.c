/*
 * Writes the inputs of the conformance program for a scheme of your own:
 *
 *   make_inputs LIBRARY CONFIGFILE SIGNER OUTDIR
 *
 * SIGNER is a shared library, maybe the same one, that exports
 *
 *   int lp_sign(uint32_t validator, const uint8_t *root, uint32_t slot, uint8_t *key,
 *               uint8_t *signature);
 *
 * which fills the key of a validator and its signature of the message at the slot, of the sizes that
 * the LIBRARY names, and returns 0. It is asked for validators 0 to 63 at slot 100 and for number
 * 64 at slot 101. The LIBRARY makes the one proof. OUTDIR/inputs.bin has the layout that inputs.mjs
 * says.
 */
#include "subject.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALIDATORS = 64, CHILD_KEYS = 16, OTHER_SIGNATURES = 4, SLOT = 100 };

typedef int (*signer)(uint32_t, const uint8_t *, uint32_t, uint8_t *, uint8_t *);

static FILE *out;

static void put(const void *bytes, size_t length) {
  if (length > 0 && fwrite(bytes, 1, length, out) != length) {
    cannot_start("inputs.bin", "cannot be written");
  }
}

static void put_u32(uint32_t value) {
  const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                           (uint8_t)(value >> 24)};
  put(bytes, sizeof bytes);
}

/* Writes the message with the signatures of `count` validators, from `first` on, made at `slot`. */
static lp_raws put_raws(signer sign, lp_claim message, uint32_t slot, uint32_t first,
                        uint32_t count) {
  uint8_t *keys = allocate((size_t)count * about.public_key_bytes);
  uint8_t *signatures = allocate((size_t)count * about.signature_bytes);
  for (uint32_t i = 0; i < count; i++) {
    uint8_t *key = keys + (size_t)i * about.public_key_bytes;
    uint8_t *signature = signatures + (size_t)i * about.signature_bytes;
    if (sign(first + i, message.root, slot, key, signature) != 0) {
      cannot_start("lp_sign", "failed");
    }
  }
  put_u32(message.slot);
  put(message.root, LP_ROOT_BYTES);
  put_u32(count);
  put(keys, (size_t)count * about.public_key_bytes);
  put(signatures, (size_t)count * about.signature_bytes);
  message.keys = (lp_keys){keys, count};
  return (lp_raws){message, signatures};
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: make_inputs LIBRARY CONFIGFILE SIGNER OUTDIR\n");
    return 2;
  }
  char path[4096];
  snprintf(path, sizeof path, "%s/inputs.bin", argv[4]);
  char *config = read_text(argv[2]);
  load_library(argv[1]);
  lp_fault fault = {.size = sizeof fault};
  if (open_prover(config, &fault) != LP_OK) cannot_start(argv[1], fault.text);
  void *loaded = dlopen(argv[3], RTLD_NOW | RTLD_LOCAL);
  if (loaded == NULL) cannot_start(argv[3], dlerror());
  void *found = dlsym(loaded, "lp_sign");
  if (found == NULL) cannot_start(argv[3], "does not export lp_sign");
  signer sign;
  memcpy(&sign, &found, sizeof sign);
  out = fopen(path, "wb");
  if (out == NULL) cannot_start(path, "cannot be written");

  lp_claim message = {.slot = SLOT}, other = {.slot = SLOT};
  memset(message.root, 0x11, LP_ROOT_BYTES);
  memset(other.root, 0x22, LP_ROOT_BYTES);
  put("LPINPUT2", 8);
  put_u32(about.public_key_bytes);
  put_u32(about.signature_bytes);
  const lp_raws raws = put_raws(sign, message, SLOT, 0, VALIDATORS);
  put_raws(sign, message, SLOT + 1, VALIDATORS, 1);
  put_raws(sign, other, SLOT, 0, OTHER_SIGNATURES);

  const lp_raws few = first_of(raws, CHILD_KEYS);
  const lp_job job = {.size = sizeof job,
                      .kind = LP_FOLD,
                      .raws = &few,
                      .raws_count = 1,
                      .wanted = one_claim(&few.of)};
  lp_buffer made;
  if (library->prove(prover, &job, &made, &fault) != LP_OK) cannot_start("prove", fault.text);
  put_u32(CHILD_KEYS);
  put(few.of.keys.packed, (size_t)CHILD_KEYS * about.public_key_bytes);
  put_u32((uint32_t)made.length);
  put(made.bytes, made.length);
  if (fclose(out) != 0) cannot_start(path, "cannot be written");
  printf("%s: %d signatures, a proof of %zu bytes\n", path, VALIDATORS, made.length);
  library->free_buffer(prover, &made);
  library->close(prover);
  free(config);
  return 0;
}
