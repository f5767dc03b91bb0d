/*
 * Fuzzes a library that claims the C ABI of lean_prover.h, built for AddressSanitizer:
 *
 *   fuzz LIBRARY CONFIGFILE VECTORSDIR SEED SECONDS [ONLY]
 *
 * Each execution is one call with a mutation of the good inputs in VECTORSDIR: changed bytes, other
 * lengths, NULL pointers, counts larger than the buffer. An execution depends only on SEED and its
 * number; with ONLY, just the execution of that number runs. Every input lies in memory of exactly
 * its size, and every answer is checked against the header. Prints a line each second. Exits 0 when
 * every answer is right, 1 when one is wrong, 2 when it cannot start.
 */
#include "subject.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RAWS_MAX = 6, CHILDREN_MAX = 2, STATUSES = LEAN_PROVER_INTERNAL + 1 };
/* Of the calls that would prove, one in PROVE_EVERY / 10 is made: a proof takes a second. */
enum { PROVE_EVERY = 400 };

static lean_prover *prover;
static lean_prover_description description;
static unsigned long execution;
static unsigned long statuses[STATUSES];

/* The next random number, by splitmix64, which is well mixed from any state. */
static uint64_t state;
static uint64_t next(void) {
  uint64_t mixed = (state += 0x9e3779b97f4a7c15u);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}
static size_t below(size_t bound) { return next() % bound; }
static bool one_in(size_t times) { return below(times) == 0; }

/* Prints a wrong answer and exits. `error` holds text only when the call failed. */
static void fail(const char *fault, lean_prover_status status, const char *error) {
  const char *text = error == NULL || status == LEAN_PROVER_OK ? "no text" : error;
  printf("FOUND execution %lu: %s (status %d: %s)\n", execution, fault, (int)status, text);
  exit(1);
}

/* The inputs of one call, each in memory of exactly its size. */
static struct {
  lean_prover_message *message;
  size_t raws;
  uint8_t *keys;
  uint8_t *signatures;
  size_t children;
  lean_prover_aggregate_claim *claims;
  bool is_raw_good[RAWS_MAX];
  bool is_child_good[CHILDREN_MAX];
} call;

/* Changes up to three bytes, in half of the calls none. Returns whether it did. */
static bool change(uint8_t *bytes, size_t length) {
  if (length == 0 || one_in(2)) return false;
  for (size_t count = 1 + below(3); count > 0; count--) {
    const uint8_t byte = (uint8_t)(1 + below(255));
    bytes[below(length)] ^= byte;
  }
  return true;
}

static void make_raws(void) {
  const size_t key_bytes = inputs.key_bytes, signature_bytes = inputs.signature_bytes;
  call.raws = below(RAWS_MAX + 1);
  call.keys = allocate(call.raws * key_bytes);
  call.signatures = allocate(call.raws * signature_bytes);
  for (size_t i = 0; i < call.raws; i++) {
    const size_t key = below(inputs.raws.count);
    const size_t signature = one_in(4) ? below(inputs.raws.count) : key;
    uint8_t *own_key = call.keys + i * key_bytes;
    uint8_t *own_signature = call.signatures + i * signature_bytes;
    memcpy(own_key, inputs.raws.bytes + key * key_bytes, key_bytes);
    memcpy(own_signature, inputs.signatures + signature * signature_bytes, signature_bytes);
    const bool is_changed = one_in(3) ? change(own_key, key_bytes)
                                      : change(own_signature, signature_bytes);
    call.is_raw_good[i] = key == signature && !is_changed;
  }
}

/* Makes a claim from the good one. Returns true when it is left good. */
static bool make_claim(lean_prover_aggregate_claim *claim) {
  const lean_prover_aggregate_claim good = inputs.child;
  const size_t key_bytes = inputs.key_bytes;
  size_t proof_bytes = good.proof_bytes;
  if (one_in(3)) proof_bytes = one_in(2) ? below(200) : below(good.proof_bytes + 1);
  const size_t keys = one_in(4) ? below(good.keys.count + 1) : good.keys.count;
  uint8_t *proof = copy(good.proof, proof_bytes);
  uint8_t *own_keys = copy(good.keys.bytes, keys * key_bytes);
  const bool is_changed =
      change(proof, proof_bytes) | (one_in(4) && change(own_keys, keys * key_bytes));
  *claim = (lean_prover_aggregate_claim){proof, proof_bytes, {own_keys, keys}};
  return !is_changed && proof_bytes == good.proof_bytes && keys == good.keys.count;
}

static void make_call(void) {
  call.message = allocate(sizeof *call.message);
  *call.message = inputs.message;
  const bool is_other_root = one_in(6) && change(call.message->root, LEAN_PROVER_MESSAGE_BYTES);
  if (one_in(6)) call.message->slot = (uint32_t)next();
  const bool is_other_slot = call.message->slot != inputs.message.slot;
  make_raws();
  call.children = below(CHILDREN_MAX + 1);
  call.claims = allocate(call.children * sizeof *call.claims);
  for (size_t i = 0; i < call.children; i++) {
    call.is_child_good[i] = make_claim(&call.claims[i]) && !is_other_root;
  }
  for (size_t i = 0; i < call.raws; i++) {
    call.is_raw_good[i] = call.is_raw_good[i] && !is_other_root && !is_other_slot;
  }
}

static void free_call(void) {
  for (size_t i = 0; i < call.children; i++) {
    free((void *)call.claims[i].proof);
    free((void *)call.claims[i].keys.bytes);
  }
  free(call.claims);
  free(call.signatures);
  free(call.keys);
  free(call.message);
}

/* Checks what every answer must satisfy. `error` is NULL when the call had no error buffer. */
static void check_answer(lean_prover_status status, char *error) {
  if ((int)status < 0 || status > LEAN_PROVER_INTERNAL) fail("the status is unknown", status, "");
  const bool has_end = error == NULL || memchr(error, '\0', LEAN_PROVER_ERROR_BYTES) != NULL;
  if (status != LEAN_PROVER_OK && !has_end) fail("the error text has no NUL", status, "");
  const char *text = error == NULL || status == LEAN_PROVER_OK ? "no text" : error;
  if (text[0] == '\0') fail("the error text is empty", status, text);
  if (status == LEAN_PROVER_INTERNAL || status == LEAN_PROVER_UNAVAILABLE) {
    fail("an input caused INTERNAL or UNAVAILABLE", status, text);
  }
  statuses[status]++;
}

static void must_be_invalid(lean_prover_status status, const char *error) {
  if (status != LEAN_PROVER_INVALID_ARGUMENT) {
    fail("a forbidden argument is not refused as INVALID_ARGUMENT", status, error);
  }
}

/*
 * A count larger than any buffer, which must be refused before the buffer is read. One of the four
 * counts, multiplied by item_bytes, overflows to about the size of a single item.
 */
static size_t huge_count(size_t allowed_max, size_t item_bytes) {
  const size_t wraps = item_bytes == 1 ? SIZE_MAX : SIZE_MAX / item_bytes + 2;
  const size_t counts[] = {allowed_max + 1, SIZE_MAX, SIZE_MAX / 2, wraps};
  return counts[below(sizeof counts / sizeof counts[0])];
}

static void verify_signatures(char *error) {
  uint8_t *verdicts = allocate(call.raws);
  memset(verdicts, 0xee, call.raws);
  lean_prover_keys keys = {call.keys, call.raws};
  const lean_prover_message *message = call.message;
  const uint8_t *signatures = call.signatures;
  uint8_t *out = verdicts;
  bool is_forbidden = call.raws == 0;
  if (one_in(8)) {
    is_forbidden = true;
    switch (below(5)) {
      case 0: message = NULL; break;
      case 1: keys.bytes = NULL; break;
      case 2: signatures = NULL; break;
      case 3: out = NULL; break;
      default:
        if (description.raws_max == 0) is_forbidden = call.raws == 0;
        else keys.count = huge_count(description.raws_max, inputs.signature_bytes);
    }
  }
  const lean_prover_status status =
      library.verify_signatures(prover, message, keys, signatures, out, error);
  check_answer(status, error);
  if (is_forbidden) must_be_invalid(status, error);
  else if (status != LEAN_PROVER_OK) fail("a bad signature fails the whole call", status, error);
  for (size_t i = 0; !is_forbidden && i < call.raws; i++) {
    const bool is_known = verdicts[i] <= LEAN_PROVER_BAD_SIGNATURE;
    if (!is_known) fail("a verdict is not one of the three", status, "");
    const bool is_ok = verdicts[i] == LEAN_PROVER_OK;
    if (call.is_raw_good[i] && !is_ok) fail("a good signature fails", status, "");
    if (!call.is_raw_good[i] && is_ok) fail("a bad signature passes", status, "");
  }
  free(verdicts);
}

/* Makes the claim invalid and returns true; false where the library has no limit to exceed. */
static bool spoil(lean_prover_aggregate_claim *claim) {
  switch (below(5)) {
    case 0: claim->proof = NULL; return true;
    case 1: claim->keys.bytes = NULL; return true;
    case 2: claim->keys.count = 0; return true;
    case 3: claim->keys.count = SIZE_MAX / inputs.key_bytes + 1 + claim->keys.count; return true;
    default:
      if (description.proof_bytes_max == 0) return false;
      claim->proof_bytes = huge_count(description.proof_bytes_max, 1);
      return true;
  }
}

static bool is_empty(const lean_prover_aggregate_claim *claim) {
  return claim->proof_bytes == 0 || claim->keys.count == 0;
}

static void verify_aggregate(char *error) {
  lean_prover_aggregate_claim claim;
  const bool is_good =
      make_claim(&claim) &&
      memcmp(call.message->root, inputs.message.root, sizeof inputs.message.root) == 0;
  lean_prover_aggregate_claim given = claim;
  const lean_prover_message *message = call.message;
  bool is_forbidden = is_empty(&claim);
  if (one_in(16)) {
    message = NULL;
    is_forbidden = true;
  } else if (one_in(8)) is_forbidden |= spoil(&given);
  const lean_prover_status status = library.verify_aggregate(prover, message, &given, error);
  check_answer(status, error);
  if (is_forbidden) must_be_invalid(status, error);
  else if (is_good != (status == LEAN_PROVER_OK)) fail("a claim is misjudged", status, error);
  free((void *)claim.proof);
  free((void *)claim.keys.bytes);
}

static bool has_bad(void) {
  for (size_t i = 0; i < call.raws; i++) if (!call.is_raw_good[i]) return true;
  for (size_t i = 0; i < call.children; i++) if (!call.is_child_good[i]) return true;
  return false;
}

static void aggregate(char *error) {
  const lean_prover_aggregate_claim first = call.children > 0 ? call.claims[0] : inputs.child;
  lean_prover_keys keys = {call.keys, call.raws};
  const uint8_t *signatures = call.signatures;
  const lean_prover_aggregate_claim *claims = call.claims;
  size_t children = call.children;
  const uint32_t rates[] = {0, 0, 0, 0, 1, 31, 32, UINT32_MAX};
  const uint32_t rate = rates[below(8)];
  const bool is_offered = rate == 0 || (rate < 32 && (description.rates >> rate & 1) == 1);
  bool is_forbidden = call.raws == 0 && call.children == 0;
  if (one_in(8)) {
    is_forbidden = true;
    switch (below(5)) {
      case 0: if (call.raws > 0) signatures = NULL; else is_forbidden = call.children == 0; break;
      case 1: keys = (lean_prover_keys){NULL, call.raws + 1}; break;
      case 2: claims = NULL; children++; break;
      case 3:
        if (description.children_max == 0) is_forbidden = call.raws == 0 && call.children == 0;
        else children = huge_count(description.children_max, sizeof *claims);
        break;
      default:
        if (call.children == 0) is_forbidden = call.raws == 0;
        else is_forbidden = spoil(&call.claims[0]);
    }
  }
  for (size_t i = 0; i < call.children; i++) is_forbidden |= is_empty(&call.claims[i]);
  const bool would_prove = !is_forbidden && is_offered && !has_bad();
  lean_prover_buffer proof = {call.keys, 1}; /* the library must replace this */
  if (!would_prove || one_in(PROVE_EVERY / 10)) {
    const lean_prover_status status = library.aggregate(
        prover, call.message, keys, signatures, claims, children, rate, &proof, error);
    check_answer(status, error);
    const bool is_made = status == LEAN_PROVER_OK;
    if (is_forbidden) must_be_invalid(status, error);
    else if (!is_offered && is_made) fail("an unoffered rate is accepted", status, error);
    else if (would_prove != is_made) fail("good inputs fail or bad ones pass", status, error);
    const bool has_proof = proof.bytes != NULL && proof.length > 0;
    if (is_made != has_proof) fail("status and proof disagree", status, "");
    library.free_buffer(prover, &proof);
    if (proof.bytes != NULL || proof.length != 0) fail("a freed buffer is not empty", status, "");
  }
  if (call.children > 0) call.claims[0] = first;
}

static void execute(uint64_t seed) {
  state = seed * 0xd1342543de82ef95u + execution;
  char *error = one_in(8) ? NULL : allocate(LEAN_PROVER_ERROR_BYTES);
  if (error != NULL) memset(error, 'x', LEAN_PROVER_ERROR_BYTES);
  make_call();
  const size_t kind = below(8);
  if (kind < 4) verify_signatures(error);
  else if (kind < 6) verify_aggregate(error);
  else aggregate(error);
  free_call();
  free(error);
}

static void report(double seconds) {
  printf("abi %6.0f s %9lu executions %7.0f/s  by status", seconds, execution,
         seconds > 0 ? (double)execution / seconds : 0);
  for (size_t status = 0; status < STATUSES; status++) printf(" %lu", statuses[status]);
  printf("\n");
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* AddressSanitizer reports a fault and aborts; this adds the number of the execution. */
static void report_crash(int signal_number) {
  char text[64];
  const int length = snprintf(text, sizeof text, "FOUND execution %lu: a crash\n", execution);
  if (write(STDOUT_FILENO, text, (size_t)length) < 0) _exit(3);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

int main(int argc, char **argv) {
  if (argc != 6 && argc != 7) {
    fprintf(stderr, "usage: fuzz LIBRARY CONFIGFILE VECTORSDIR SEED SECONDS [ONLY]\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGABRT, report_crash);
  char *config = read_text(argv[2]);
  load_library(argv[1]);
  read_inputs(argv[3]);
  const uint64_t seed = strtoull(argv[4], NULL, 10);
  const double seconds_max = strtod(argv[5], NULL);
  char error[LEAN_PROVER_ERROR_BYTES];
  if (library.open(config, &prover, error) != LEAN_PROVER_OK) cannot_start(argv[1], error);
  if (library.describe(prover, &description) != LEAN_PROVER_OK) cannot_start(argv[1], "describe");
  if (argc == 7) {
    execution = strtoul(argv[6], NULL, 10);
    execute(seed);
  } else {
    const double start = now();
    double reported = start;
    while (now() - start < seconds_max) {
      execution++;
      execute(seed);
      if (now() - reported < 1) continue;
      reported = now();
      report(reported - start);
    }
    report(now() - start);
  }
  library.close(prover);
  free(config);
  free(inputs.file);
  printf("every answer is right\n");
  return 0;
}
