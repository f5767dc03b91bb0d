/*
 * Writes what a scheme of your own needs to be tried: inputs of the conformance program, a
 * calibration for the service, and a snapshot to submit to it.
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
 * 64 at slot 101. The LIBRARY makes the one proof, of at most as many signatures as it takes at once.
 * OUTDIR/inputs.bin has the layout that inputs.mjs says; OUTDIR/calibration.json and
 * OUTDIR/snapshot.json have some of the same signatures.
 */
#define _POSIX_C_SOURCE 200809L
#include "subject.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALIDATORS = 64, CHILD_KEYS = 16, OTHER_SIGNATURES = 4, SLOT = 100 };
enum { CALIBRATION_VOTES = 32, SNAPSHOT_VOTES = 16 };

/* The attestation data of the snapshot, whose checkpoints have roots of one repeated byte. */
#define DATA "{\"slot\": 100, \"head\": {\"root\": \"%s\", \"slot\": 100},\n" \
             "      \"target\": {\"root\": \"%s\", \"slot\": 96},\n" \
             "      \"source\": {\"root\": \"%s\", \"slot\": 92}}"
/* Its hash_tree_root, which validators sign. */
static const uint8_t DATA_ROOT[LP_ROOT_BYTES] = {
    0xaf, 0x95, 0x6f, 0xfc, 0xe8, 0xa7, 0x83, 0xb7, 0x41, 0xfd, 0x8d, 0x96, 0x12, 0xdb, 0xc1, 0x6e,
    0x72, 0xc9, 0x3e, 0x1d, 0x97, 0x86, 0xce, 0x5b, 0x41, 0x85, 0xed, 0x26, 0xfc, 0x8f, 0x25, 0x68};

typedef int (*signer)(uint32_t, const uint8_t *, uint32_t, uint8_t *, uint8_t *);

static FILE *out;

static void put(const void *bytes, size_t length) {
  if (length > 0 && fwrite(bytes, 1, length, out) != length) {
    cannot_start("a file of OUTDIR", "cannot be written");
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

static void open_file(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  out = fopen(path, "wb");
  if (out == NULL) cannot_start(path, "cannot be written");
}

static void close_file(void) {
  if (ferror(out) != 0 || fclose(out) != 0) cannot_start("a file of OUTDIR", "cannot be written");
}

static void put_hex(const char *before, const uint8_t *bytes, size_t length, const char *after) {
  fputs(before, out);
  for (size_t i = 0; i < length; i++) fprintf(out, "%02x", bytes[i]);
  fputs(after, out);
}

static void put_vote(const lp_raws *raws, size_t at) {
  const size_t key = about.public_key_bytes, signature = about.signature_bytes;
  put_hex("\"publicKey\": \"", raws->of.keys.packed + at * key, key, "\", ");
  put_hex("\"signature\": \"", raws->signatures + at * signature, signature, "\"");
}

/* As server/prover/device/backend-file.ts reads it. */
static void write_calibration(const char *folder, const lp_raws *raws) {
  open_file(folder, "calibration.json");
  put_hex("{\"root\": \"", raws->of.root, LP_ROOT_BYTES, "\",\n");
  fprintf(out, " \"slot\": %u, ", raws->of.slot);
  put_vote(raws, 0);
  fputs(",\n \"more\": [", out);
  for (size_t i = 1; i < CALIBRATION_VOTES; i++) {
    fputs(i == 1 ? "\n  {" : ",\n  {", out);
    put_vote(raws, i);
    fputs("}", out);
  }
  fputs("\n ]}\n", out);
  close_file();
}

/* "0x" and a root of one repeated byte. */
static const char *repeated(char *text, uint8_t byte) {
  strcpy(text, "0x");
  for (size_t i = 0; i < LP_ROOT_BYTES; i++) sprintf(text + 2 + 2 * i, "%02x", byte);
  return text;
}

/* A SubmitSnapshotRequest in JSON. */
static void write_snapshot(const char *folder, const lp_raws *raws) {
  const size_t key = about.public_key_bytes, signature = about.signature_bytes;
  char head[80], target[80], source[80];
  open_file(folder, "snapshot.json");
  repeated(head, 0x11);
  fprintf(out,
          "{\"node\": {\"nodeId\": \"node-1\"},\n \"snapshot\": {\n  \"slot\": 100,\n"
          "  \"head\": {\"root\": \"%s\", \"slot\": 100},\n"
          "  \"justified\": {\"root\": \"%s\", \"slot\": 92},\n  \"keys\": [",
          head, repeated(source, 0x33));
  for (size_t i = 0; i < SNAPSHOT_VOTES; i++) {
    fprintf(out, "%s\n   {\"validatorIndex\": %zu, \"publicKey\": ", i == 0 ? "" : ",", i);
    put_hex("\"0x", raws->of.keys.packed + i * key, key, "\"}");
  }
  fprintf(out, "\n  ],\n  \"groups\": [{\n    \"data\": " DATA ",\n", head, repeated(target, 0x22),
          source);
  put_hex("    \"message\": \"0x", raws->of.root, LP_ROOT_BYTES, "\",\n    \"rawSignatures\": [");
  for (size_t i = 0; i < SNAPSHOT_VOTES; i++) {
    fprintf(out, "%s\n     {\"validatorIndex\": %zu, \"signature\": ", i == 0 ? "" : ",", i);
    put_hex("\"0x", raws->signatures + i * signature, signature, "\"}");
  }
  fputs("\n    ]\n  }]\n }}\n", out);
  close_file();
}

static lp_buffer prove(const lp_job *job) {
  lp_fault fault = {.size = sizeof fault};
  lp_buffer made = {NULL, 0};
  if (library->prove(prover, job, &made, &fault) != LP_OK) cannot_start("prove", fault.text);
  return made;
}

static lp_buffer prove_raws(const lp_raws *raws) {
  const lp_job job = {.size = sizeof job,
                      .kind = LP_FOLD,
                      .raws = raws,
                      .raws_count = 1,
                      .wanted = one_claim(&raws->of)};
  return prove(&job);
}

/* A proof of two signatures, for a library that takes one at a time. */
static lp_buffer prove_two(const lp_raws *two) {
  lp_raws ones[2];
  lp_buffer proofs[2];
  lp_proof children[2];
  for (size_t i = 0; i < 2; i++) {
    ones[i] = some_of(*two, i, 1);
    proofs[i] = prove_raws(&ones[i]);
    children[i] = (lp_proof){LP_FOLD, proofs[i].bytes, proofs[i].length, one_claim(&ones[i].of)};
  }
  const lp_job job = {.size = sizeof job,
                      .kind = LP_FOLD,
                      .children = children,
                      .children_count = 2,
                      .wanted = one_claim(&two->of)};
  const lp_buffer made = prove(&job);
  for (size_t i = 0; i < 2; i++) library->free_buffer(prover, &proofs[i]);
  return made;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: make_inputs LIBRARY CONFIGFILE SIGNER OUTDIR\n");
    return 2;
  }
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
  open_file(argv[4], "inputs.bin");
  lp_claim message = {.slot = SLOT}, other = {.slot = SLOT};
  memcpy(message.root, DATA_ROOT, LP_ROOT_BYTES);
  memset(other.root, 0x22, LP_ROOT_BYTES);
  put("LPINPUT2", 8);
  put_u32(about.public_key_bytes);
  put_u32(about.signature_bytes);
  const lp_raws raws = put_raws(sign, message, SLOT, 0, VALIDATORS);
  put_raws(sign, message, SLOT + 1, VALIDATORS, 1);
  put_raws(sign, other, SLOT, 0, OTHER_SIGNATURES);

  const size_t at_once = raws_at_once(CHILD_KEYS);
  const lp_raws few = first_of(raws, at_once == 1 ? 2 : at_once);
  const size_t child_keys = few.of.keys.count;
  lp_buffer made = at_once == 1 ? prove_two(&few) : prove_raws(&few);
  put_u32((uint32_t)child_keys);
  put(few.of.keys.packed, child_keys * about.public_key_bytes);
  put_u32((uint32_t)made.length);
  put(made.bytes, made.length);
  close_file();
  write_calibration(argv[4], &raws);
  write_snapshot(argv[4], &raws);
  printf("%s: inputs.bin with %d signatures and a proof of %zu bytes, calibration.json, snapshot.json\n",
         argv[4], VALIDATORS, made.length);
  library->free_buffer(prover, &made);
  library->close(prover);
  free(config);
  return 0;
}
