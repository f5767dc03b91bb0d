/*
 * A backend that goes wrong on command. It has the sizes of the committed vectors and the kinds and
 * limits of FAULTY_LIMITS, which the compiler's command line defines as initialisers. It takes every
 * signature as valid, and proves at once; what it calls a proof is a digest of the claims.
 *
 * config is a folder. Before each call (aggregate, verify_signatures, verify_aggregate) a file there
 * of the call's name orders one fault and is used up; `CALL.SLOT` orders it for every message of
 * that slot, and stays. A file holds one word: abort, segfault, illegal, exit, quit, hang, print,
 * garbage, close, leak, internal, lie or slow, which takes two seconds more. The calls open and
 * describe take orders too, with slot 0.
 *
 * Further definitions: FAULTY_SCHEME, the scheme's name; FAULTY_ABI_VERSION; FAULTY_TAIL, bytes that
 * its description is longer than the header's; FAULTY_RESIDENT, bytes that it holds once open;
 * FAULTY_LACKS_VERIFY, when it does not export lean_prover_verify_aggregate.
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
#ifndef FAULTY_ABI_VERSION
#define FAULTY_ABI_VERSION LEAN_PROVER_ABI_VERSION
#endif
#ifndef FAULTY_TAIL
#define FAULTY_TAIL 0
#endif
#ifndef FAULTY_RESIDENT
#define FAULTY_RESIDENT 0
#endif
#ifdef FAULTY_LACKS_VERIFY
#define VERIFY_AGGREGATE /* hidden, by the compiler's flag */
#else
#define VERIFY_AGGREGATE PUBLIC
#endif
/* Where the service has connected its channel. */
#define CHANNEL 3

struct lean_prover {
  char folder[256];
};

/* One fault is used up by whichever prover is the first to take its file away. */
static void read_order(lean_prover *prover, const char *call, uint32_t slot, char order[16]) {
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

static void hold(size_t bytes) {
  volatile char *memory = malloc(bytes);
  if (memory == NULL) abort();
  for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
}

/* What a call is to do after `go_wrong`: its work, its work wrongly, or to return INTERNAL. */
enum { WORK = 0, LIE = 1, FAIL = 2 };

/* Carries the order out. */
static int go_wrong(lean_prover *prover, const char *call, uint32_t slot) {
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
  if (strcmp(order, "illegal") == 0) raise(SIGILL);
  if (strcmp(order, "exit") == 0) exit(0);
  if (strcmp(order, "slow") == 0) sleep(2);
  if (strcmp(order, "quit") == 0) _exit(0);
  if (strcmp(order, "print") == 0) printf("the library prints\n");
  fflush(stdout);
  if (strcmp(order, "internal") == 0) return FAIL;
  return strcmp(order, "lie") == 0 ? LIE : WORK;
}

static lean_prover_status internal(char *error) {
  if (error != NULL) snprintf(error, LEAN_PROVER_ERROR_BYTES, "a panic was caught");
  return LEAN_PROVER_INTERNAL;
}

/* FNV-1a. */
static uint64_t digest(const uint8_t *bytes, size_t length) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t at = 0; at < length; at++) hash = (hash ^ bytes[at]) * 0x100000001b3u;
  return hash;
}

/* The same in whatever order the keys come. */
static uint64_t add_keys(uint64_t sum, lean_prover_keys keys) {
  const uint32_t size = FAULTY_PUBLIC_KEY_BYTES;
  for (size_t key = 0; key < keys.count; key++) sum += digest(keys.bytes + key * size, size);
  return sum;
}

static void write_proof(uint8_t *proof, const lean_prover_message *message, uint64_t keys) {
  memcpy(proof, message->root, LEAN_PROVER_MESSAGE_BYTES);
  memcpy(proof + LEAN_PROVER_MESSAGE_BYTES, &keys, sizeof keys);
}

PUBLIC lean_prover_status lean_prover_open(const char *config, lean_prover **out, char *error) {
  lean_prover *prover = calloc(1, sizeof *prover);
  if (prover == NULL) return LEAN_PROVER_UNAVAILABLE;
  snprintf(prover->folder, sizeof prover->folder, "%s", config == NULL ? "" : config);
  if (FAULTY_RESIDENT > 0) hold(FAULTY_RESIDENT);
  if (go_wrong(prover, "open", 0) == FAIL) return internal(error);
  *out = prover;
  return LEAN_PROVER_OK;
}

PUBLIC lean_prover_status lean_prover_describe(lean_prover *prover, lean_prover_description *out) {
  go_wrong(prover, "describe", 0);
  memset(out, 0xff, sizeof *out + FAULTY_TAIL);
  *out = (lean_prover_description){
      .abi_version = FAULTY_ABI_VERSION,
      FAULTY_LIMITS,
      .backend = "faulty",
      .scheme = FAULTY_SCHEME,
      .revision = "faulty-1",
      .public_key_bytes = FAULTY_PUBLIC_KEY_BYTES,
      .signature_bytes = FAULTY_SIGNATURE_BYTES,
      .proof_bytes_max = PROOF_BYTES,
  };
  return LEAN_PROVER_OK;
}

PUBLIC lean_prover_status lean_prover_verify_signatures(lean_prover *prover,
                                                        const lean_prover_message *message,
                                                        lean_prover_keys keys,
                                                        const uint8_t *signatures,
                                                        uint8_t *verdicts, char *error) {
  (void)signatures;
  const int order = go_wrong(prover, "verify_signatures", message->slot);
  if (order == FAIL) return internal(error);
  memset(verdicts, order == LIE ? LEAN_PROVER_BAD_SIGNATURE : LEAN_PROVER_OK, keys.count);
  return LEAN_PROVER_OK;
}

VERIFY_AGGREGATE lean_prover_status lean_prover_verify_aggregate(
    lean_prover *prover, const lean_prover_message *message,
    const lean_prover_aggregate_claim *claim, char *error) {
  uint8_t expected[PROOF_BYTES];
  if (go_wrong(prover, "verify_aggregate", message->slot) == FAIL) return internal(error);
  write_proof(expected, message, add_keys(0, claim->keys));
  const int is_same =
      claim->proof_bytes == PROOF_BYTES && memcmp(claim->proof, expected, PROOF_BYTES) == 0;
  return is_same ? LEAN_PROVER_OK : LEAN_PROVER_BAD_AGGREGATE;
}

PUBLIC lean_prover_status lean_prover_aggregate(lean_prover *prover,
                                                const lean_prover_message *message,
                                                lean_prover_keys raws, const uint8_t *signatures,
                                                const lean_prover_aggregate_claim *children,
                                                size_t children_count, uint32_t log_inv_rate,
                                                lean_prover_buffer *proof, char *error) {
  (void)signatures;
  (void)log_inv_rate;
  uint64_t keys = add_keys(0, raws);
  for (size_t at = 0; at < children_count; at++) keys = add_keys(keys, children[at].keys);
  const int order = go_wrong(prover, "aggregate", message->slot);
  if (order == FAIL) return internal(error);
  if (order == LIE) keys++;
  proof->bytes = malloc(PROOF_BYTES);
  if (proof->bytes == NULL) return LEAN_PROVER_INTERNAL;
  proof->length = PROOF_BYTES;
  write_proof(proof->bytes, message, keys);
  return LEAN_PROVER_OK;
}

PUBLIC void lean_prover_free_buffer(lean_prover *prover, lean_prover_buffer *buffer) {
  (void)prover;
  free(buffer->bytes);
  buffer->bytes = NULL;
  buffer->length = 0;
}

PUBLIC void lean_prover_close(lean_prover *prover) { free(prover); }
