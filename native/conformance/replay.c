/*
 * A kept call, as server/prover/fatal-call.ts writes it, little endian, packed:
 *
 *   "LPCALL02"
 *   eight texts, each u32 bytes, bytes: path of the library, its config, backend, scheme, revision,
 *     device, how the process ended, when
 *   u32 threads, u32 public_key_bytes, u32 signature_bytes
 *   u32 call: 1 prove, 2 verify, 3 verify_signatures; then its input, to the end of the file
 *
 *   raws:  u32 slot, 32 bytes root, u32 count, count keys, count signatures
 *   claim: the same without signatures
 *   proof: u32 kind, u32 bytes, bytes, u32 claims, claims
 *   job:   u32 kind, u32 log_inv_rate, u32 raws, raws, u32 children, proofs, u32 wanted, claims
 *
 * The bytes are a stranger's: every length is checked. The library gets each array in memory of
 * exactly its size, so that a sanitizer sees a read past its end.
 */
#define _POSIX_C_SOURCE 200809L
#include "replay.h"

#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request to a prover has at most 48 MiB; a configuration stands before it. */
enum { FILE_BYTES_MAX = 64 << 20, ITEM_BYTES_MAX = 65536, CLAIM_BYTES_MIN = 40 };
enum { PROVE = 1, VERIFY = 2, VERIFY_SIGNATURES = 3 };

static struct source file;
static size_t key_bytes, signature_bytes;

static struct text {
  const char *bytes;
  size_t length;
} library_path, config, backend, scheme, revision, device, cause, time_of_death;

static struct text take_text(void) {
  const size_t length = take_u32(&file);
  return (struct text){(const char *)take(&file, length), length};
}

static void print_line(const char *name, struct text text) {
  printf("     %s: ", name);
  print_text(text.bytes, text.length);
  printf("\n");
}

/* The text as a C string, which the caller frees. */
static char *string_of(struct text text) {
  char *string = allocate(text.length + 1);
  memcpy(string, text.bytes, text.length);
  string[text.length] = '\0';
  return string;
}

/* The number of items of which each has at least so many bytes in the file. */
static size_t take_count(size_t item_bytes_min) {
  const size_t count = take_u32(&file);
  if (count > left_in(&file) / item_bytes_min) cannot_start(file.name, "ends too early");
  return count;
}

/* The bytes in memory of exactly their size. */
static const uint8_t *own(const uint8_t *bytes, size_t length) { return copy(bytes, length); }

static lp_claim own_claim(void) {
  lp_claim claim = take_claim(&file, key_bytes);
  claim.keys.packed = own(claim.keys.packed, claim.keys.count * key_bytes);
  return claim;
}

static lp_raws own_raws(void) {
  const lp_claim of = own_claim();
  const size_t length = of.keys.count * signature_bytes;
  return (lp_raws){of, own(take(&file, length), length)};
}

static lp_claims own_claims(void) {
  const size_t count = take_count(CLAIM_BYTES_MIN);
  lp_claim *claims = allocate(count * sizeof *claims);
  for (size_t i = 0; i < count; i++) claims[i] = own_claim();
  return (lp_claims){claims, count};
}

static lp_proof own_proof(void) {
  lp_proof proof = {.kind = take_u32(&file)};
  proof.length = take_u32(&file);
  proof.bytes = own(take(&file, proof.length), proof.length);
  proof.claims = own_claims();
  return proof;
}

static lp_job own_job(void) {
  lp_job job = {.size = sizeof job, .kind = take_u32(&file), .log_inv_rate = take_u32(&file)};
  job.raws_count = take_count(CLAIM_BYTES_MIN);
  lp_raws *raws = allocate(job.raws_count * sizeof *raws);
  for (size_t i = 0; i < job.raws_count; i++) raws[i] = own_raws();
  job.raws = raws;
  job.children_count = take_count(sizeof(uint32_t));
  lp_proof *children = allocate(job.children_count * sizeof *children);
  for (size_t i = 0; i < job.children_count; i++) children[i] = own_proof();
  job.children = children;
  job.wanted = own_claims();
  return job;
}

/* Why the service replaces a process whose call has returned OK; NULL where it does not. */
static const char *flaw;

static lp_status call_prove(const lp_job *job, lp_fault *fault) {
  lp_buffer made = {NULL, 0};
  const lp_status status = library->prove(prover, job, &made, fault);
  if (status == LP_OK) {
    printf("     a proof of %zu bytes\n", made.length);
    if (made.bytes == NULL || made.length == 0) flaw = "it made no proof";
    else if (made.length > about.proof_bytes_max) flaw = "the proof is longer than proof_bytes_max";
  }
  library->free_buffer(prover, &made);
  return status;
}

static lp_status call_verify_signatures(const lp_raws *raws, lp_fault *fault) {
  const size_t count = raws->of.keys.count;
  uint8_t *verdicts = allocate(count);
  memset(verdicts, UINT8_MAX, count); /* as the service does: a verdict must be written */
  const lp_status status = library->verify_signatures(prover, raws, verdicts, fault);
  size_t good = 0;
  for (size_t i = 0; status == LP_OK && i < count; i++) {
    good += verdicts[i] == LP_SIGNATURE_GOOD;
    if (verdicts[i] > LP_SIGNATURE_WRONG_SLOT) flaw = "a verdict is not one of the three";
  }
  if (status == LP_OK) printf("     %zu of %zu signatures are good\n", good, count);
  free(verdicts);
  return status;
}

/* Reads and prints what stands before the inputs. Returns the number of threads. */
static uint32_t read_head(const char *path) {
  file = read_source(path, FILE_BYTES_MAX);
  if (left_in(&file) < 8 || memcmp(take(&file, 8), "LPCALL02", 8) != 0) {
    cannot_start(path, "is not a kept call of version 2 of the ABI");
  }
  struct text *const texts[] = {&library_path, &config, &backend, &scheme,
                                &revision,     &device, &cause,   &time_of_death};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) *texts[i] = take_text();
  print_line("library", library_path);
  print_line("backend", backend);
  print_line("scheme", scheme);
  print_line("revision", revision);
  print_line("died", cause);
  print_line("on device", device);
  print_line("at", time_of_death);
  const uint32_t threads = take_u32(&file);
  key_bytes = take_u32(&file);
  signature_bytes = take_u32(&file);
  if (key_bytes == 0 || key_bytes > ITEM_BYTES_MAX || signature_bytes == 0 ||
      signature_bytes > ITEM_BYTES_MAX) {
    cannot_start(path, "has an impossible size of keys or signatures");
  }
  return threads;
}

static void open_for(const char *library_path, const char *config_path, uint32_t threads) {
  char *text = config_path == NULL ? string_of(config) : read_text(config_path);
  load_library(library_path);
  lp_fault fault = {.size = sizeof fault};
  const lp_options options = {.config = text, .threads = threads};
  if (open_prover_with(options, &fault) != LP_OK) cannot_start(library_path, fault.text);
  free(text);
  if (about.public_key_bytes != key_bytes || about.signature_bytes != signature_bytes) {
    cannot_start(library_path, "has other sizes of keys and signatures than the call");
  }
  if (strlen(about.revision) != revision.length ||
      memcmp(about.revision, revision.bytes, revision.length) != 0) {
    printf("     this library is of another revision: %s\n", about.revision);
  }
}

int replay(const char *path, const char *library_path, const char *config_path) {
  static const char *const names[] = {"prove", "verify", "verify_signatures"};
  const uint32_t threads = read_head(path);
  const uint32_t call = take_u32(&file);
  if (call < PROVE || call > VERIFY_SIGNATURES) cannot_start(path, "names an unknown call");
  static lp_job job; /* static: a sanitizer then knows that they are no leak */
  static lp_proof proof;
  static lp_raws raws;
  if (call == PROVE) job = own_job();
  if (call == VERIFY) proof = own_proof();
  if (call == VERIFY_SIGNATURES) raws = own_raws();
  if (left_in(&file) > 0) cannot_start(path, "has bytes after the call");
  open_for(library_path, config_path, threads);
  printf("     calling %s\n", names[call - 1]);
  lp_fault fault = {.size = sizeof fault};
  const lp_status status = call == PROVE    ? call_prove(&job, &fault)
                           : call == VERIFY ? library->verify(prover, &proof, &fault)
                                            : call_verify_signatures(&raws, &fault);
  const bool goes_on = status >= LP_OK && status <= LP_UNSUPPORTED && flaw == NULL;
  printf("%s returned status %d", names[call - 1], (int)status);
  if (status != LP_OK) {
    printf(": ");
    print_text(fault.text, strnlen(fault.text, sizeof fault.text));
  }
  if (flaw != NULL) printf(", but %s", flaw);
  printf("\n%s\n", goes_on ? "a prover process goes on after it" : "the process is replaced after it");
  return goes_on ? 0 : 1;
}
