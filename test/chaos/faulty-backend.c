/*
 * A backend that goes wrong on command. It has the sizes of the committed vectors and the kinds and
 * limits of FAULTY_LIMITS, which the compiler's command line defines as initialisers of lp_about. It
 * takes every signature as valid, and proves at once; what it calls a proof is a digest of the claims.
 *
 * config is a folder. Before each call (prove, verify_signatures, verify) a file there of the call's
 * name orders one fault and is used up; `CALL.SLOT` orders it for every message of that slot, and
 * stays. A file holds one word: abort, segfault, illegal, exit, quit, hang, print, garbage, close,
 * leak, swell (a leak that it frees at once), internal, lie, empty (OK without a proof, or without
 * verdicts), starve (NO_MEMORY of prove) or slow, which takes two seconds more. The calls open and
 * describe take orders too, with slot 0.
 *
 * Further definitions: FAULTY_SCHEME, the scheme's name; FAULTY_API, the version that it offers;
 * FAULTY_RESIDENT, bytes that it holds once open; FAULTY_LACKS_VERIFY, when its table has no verify;
 * FAULTY_IS_OLD, when it does not export lean_prover_api.
 */
#include <lean_prover.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
#define PROOF_BYTES 40u
#define LEAK_BYTES ((size_t)300 << 20)
#ifndef FAULTY_SCHEME
#define FAULTY_SCHEME "faulty"
#endif
#ifndef FAULTY_API
#define FAULTY_API LEAN_PROVER_API
#endif
#ifndef FAULTY_RESIDENT
#define FAULTY_RESIDENT 0
#endif
#ifdef FAULTY_LACKS_VERIFY
#define VERIFY NULL
#else
#define VERIFY verify
#endif
#ifdef FAULTY_IS_OLD
#define EXPORTED /* hidden, by the compiler's flag */
#else
#define EXPORTED PUBLIC
#endif
/* Where the service has connected its channel. */
#define CHANNEL 3

struct lp_prover {
  char folder[256];
};

/* One fault is used up by whichever prover is the first to take its file away. */
static void read_order(lp_prover *prover, const char *call, uint32_t slot, char order[16]) {
  char path[512];
  char taken[600];
  order[0] = '\0';
  snprintf(path, sizeof path, "%s/%s.%u", prover->folder, call, slot);
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    snprintf(path, sizeof path, "%s/%s", prover->folder, call);
    snprintf(taken, sizeof taken, "%s.taken-%d", path, (int)getpid());
    if (rename(path, taken) != 0) return;
    file = fopen(taken, "r");
    if (file == NULL) return;
  }
  if (fgets(order, 16, file) == NULL) order[0] = '\0';
  fclose(file);
}

static void send_garbage(void) {
  /* A whole frame of eight bytes that is no message. */
  static const unsigned char garbage[12] = {0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  if (write(CHANNEL, garbage, sizeof garbage) < 0) abort();
}

static void *hold(size_t bytes) {
  volatile char *memory = malloc(bytes);
  if (memory == NULL) abort();
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
  return (void *)memory;
}

/*
 * What a call is to do after `go_wrong`: its work, its work wrongly, to return INTERNAL, nothing, or to
 * return NO_MEMORY.
 */
enum { WORK = 0, LIE = 1, FAIL = 2, EMPTY = 3, STARVE = 4 };

/* Carries the order out. */
static int go_wrong(lp_prover *prover, const char *call, uint32_t slot) {
  char order[16];
  read_order(prover, call, slot, order);
  if (order[0] == '\0') return WORK;
  fprintf(stderr, "faulty backend: %s in %s\n", order, call);
  if (strcmp(order, "abort") == 0) abort();
  if (strcmp(order, "segfault") == 0) *(volatile char *volatile)NULL = 0;
  if (strcmp(order, "hang") == 0) for (;;) pause();
  if (strcmp(order, "garbage") == 0) send_garbage();
  if (strcmp(order, "close") == 0) close(CHANNEL);
  if (strcmp(order, "leak") == 0) hold(LEAK_BYTES);
  if (strcmp(order, "swell") == 0) free(hold(LEAK_BYTES));
  if (strcmp(order, "illegal") == 0) raise(SIGILL);
  if (strcmp(order, "exit") == 0) exit(0);
  if (strcmp(order, "slow") == 0) sleep(2);
  if (strcmp(order, "quit") == 0) _exit(0);
  if (strcmp(order, "print") == 0) printf("the library prints\n");
  fflush(stdout);
  if (strcmp(order, "internal") == 0) return FAIL;
  if (strcmp(order, "empty") == 0) return EMPTY;
  if (strcmp(order, "starve") == 0) return STARVE;
  return strcmp(order, "lie") == 0 ? LIE : WORK;
}

static lp_status internal(lp_fault *fault) {
  if (fault != NULL) snprintf(fault->text, sizeof fault->text, "a panic was caught");
  return LP_INTERNAL;
}

static lp_status starved(lp_fault *fault) {
  if (fault != NULL) snprintf(fault->text, sizeof fault->text, "out of memory");
  return LP_NO_MEMORY;
}

/* FNV-1a. */
static uint64_t digest(const uint8_t *bytes, size_t length) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t at = 0; at < length; at++) hash = (hash ^ bytes[at]) * 0x100000001b3u;
  return hash;
}

/* What it calls a proof of the claims: the same in whatever order the keys come. */
static void write_proof(uint8_t *proof, lp_claims claims) {
  const uint32_t size = FAULTY_PUBLIC_KEY_BYTES;
  uint64_t keys = 0;
  memset(proof, 0, PROOF_BYTES);
  for (size_t at = 0; at < claims.count; at++) {
    const lp_claim *claim = &claims.items[at];
    for (size_t byte = 0; byte < LP_ROOT_BYTES; byte++) proof[byte] ^= claim->root[byte];
    for (size_t key = 0; key < claim->keys.count; key++) {
      keys += digest(claim->keys.packed + key * size, size);
    }
  }
  memcpy(proof + LP_ROOT_BYTES, &keys, sizeof keys);
}

static lp_status open(const lp_options *options, lp_prover **out, lp_fault *fault) {
  lp_prover *prover = calloc(1, sizeof *prover);
  if (prover == NULL) return LP_UNAVAILABLE;
  const char *config = options->config == NULL ? "" : options->config;
  snprintf(prover->folder, sizeof prover->folder, "%s", config);
  if (FAULTY_RESIDENT > 0) hold(FAULTY_RESIDENT);
  if (go_wrong(prover, "open", 0) == FAIL) return internal(fault);
  *out = prover;
  return LP_OK;
}

static lp_status describe(lp_prover *prover, lp_about *about) {
  go_wrong(prover, "describe", 0);
  *about = (lp_about){
      .size = about->size,
      FAULTY_LIMITS,
      .can = LP_VERIFIES_BESIDE | LP_RAWS_BESIDE_CHILDREN | LP_SAME_KEY_TWICE,
      .backend = "faulty",
      .scheme = FAULTY_SCHEME,
      .revision = "faulty-1",
      .public_key_bytes = FAULTY_PUBLIC_KEY_BYTES,
      .signature_bytes = FAULTY_SIGNATURE_BYTES,
      .proof_bytes_max = PROOF_BYTES,
  };
  return LP_OK;
}

static lp_status verify_signatures(lp_prover *prover, const lp_raws *raws, uint8_t *verdicts,
                                   lp_fault *fault) {
  const int order = go_wrong(prover, "verify_signatures", raws->of.slot);
  if (order == FAIL) return internal(fault);
  if (order == EMPTY) return LP_OK;
  memset(verdicts, order == LIE ? LP_SIGNATURE_BAD : LP_SIGNATURE_GOOD, raws->of.keys.count);
  return LP_OK;
}

static inline lp_status verify(lp_prover *prover, const lp_proof *proof, lp_fault *fault) {
  uint8_t expected[PROOF_BYTES];
  if (go_wrong(prover, "verify", proof->claims.items[0].slot) == FAIL) return internal(fault);
  write_proof(expected, proof->claims);
  const int is_same =
      proof->length == PROOF_BYTES && memcmp(proof->bytes, expected, PROOF_BYTES) == 0;
  return is_same ? LP_OK : LP_BAD_PROOF;
}

static lp_status prove(lp_prover *prover, const lp_job *job, lp_buffer *made, lp_fault *fault) {
  const int order = go_wrong(prover, "prove", job->wanted.items[0].slot);
  if (order == FAIL) return internal(fault);
  if (order == EMPTY) return LP_OK;
  if (order == STARVE) return starved(fault);
  made->bytes = malloc(PROOF_BYTES);
  if (made->bytes == NULL) return LP_NO_MEMORY;
  made->length = PROOF_BYTES;
  write_proof(made->bytes, job->wanted);
  if (order == LIE) made->bytes[LP_ROOT_BYTES] ^= 1;
  return LP_OK;
}

static void free_buffer(lp_prover *prover, lp_buffer *buffer) {
  (void)prover;
  free(buffer->bytes);
  *buffer = (lp_buffer){NULL, 0};
}

static void end(lp_prover *prover) { free(prover); }

EXPORTED const lp_api *lean_prover_api(uint32_t version) {
  static const lp_api api = {sizeof api, FAULTY_API, open,        describe, verify_signatures,
                             VERIFY,     prove,      free_buffer, end};
  return version == FAULTY_API ? &api : NULL;
}
