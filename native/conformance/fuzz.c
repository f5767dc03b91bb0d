/*
 * Fuzzes a library that claims the C ABI of lean_prover.h, built for AddressSanitizer:
 *
 *   fuzz LIBRARY CONFIGFILE VECTORSDIR SEED SECONDS [ONLY]
 *
 * Each execution is one call with a mutation of the good inputs in VECTORSDIR: changed bytes, other
 * lengths, NULL pointers, counts larger than the buffer. An execution depends only on SEED and its
 * number; with ONLY, just the execution of that number runs. Every input lies in memory of exactly
 * its size, and every answer is checked against the header. Prints a line each second. Exits 0 when
 * every answer is right, 1 when one is wrong, 2 when it cannot start. A crash, and an execution of a
 * minute, ends it by a signal, after a line with the execution's number.
 */
#define _POSIX_C_SOURCE 200809L
#include "subject.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RAWS_MAX = 6, CHILDREN_MAX = 2, STATUSES = LP_NO_MEMORY + 1 };
/* Of the calls that would prove, one in PROVE_EVERY / 10 is made: a proof takes a second. */
enum { PROVE_EVERY = 400 };
/* An execution that takes so long hangs. */
enum { EXECUTION_SECONDS_MAX = 60 };

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

/* Prints a wrong answer and exits. `fault` holds text only when the call failed. */
static void fail(const char *what, lp_status status, const lp_fault *fault) {
  const char *text = fault == NULL || status == LP_OK ? "no text" : fault->text;
  printf("FOUND execution %lu: %s (status %d: %s)\n", execution, what, (int)status, text);
  exit(1);
}

/* The inputs of one call, each in memory of exactly its size. */
static struct {
  lp_raws *raws; /* one message's; call.keys of them */
  size_t keys;
  uint8_t *packed;
  uint8_t *signatures;
  size_t children;
  lp_proof *proofs;
  lp_claim *claims; /* one for each child */
  lp_claim *wanted; /* what the inputs attest together */
  bool is_raw_good[RAWS_MAX];
  bool is_child_good[CHILDREN_MAX];
} call;

/* Changes up to three bytes, each once, in half of the calls none. Returns whether it did. */
static bool change(uint8_t *bytes, size_t length) {
  if (length == 0 || one_in(2)) return false;
  const size_t first = below(length);
  for (size_t count = 1 + below(length < 3 ? length : 3); count > 0; count--) {
    const uint8_t byte = (uint8_t)(1 + below(255));
    bytes[(first + count * (length / 3 + 1)) % length] ^= byte;
  }
  return true;
}

static void make_raws(void) {
  const size_t key_bytes = inputs.key_bytes, signature_bytes = inputs.signature_bytes;
  call.keys = below(raws_at_once(RAWS_MAX) + 1);
  call.packed = allocate(call.keys * key_bytes);
  call.signatures = allocate(call.keys * signature_bytes);
  for (size_t i = 0; i < call.keys; i++) {
    const size_t count = inputs.raws.of.keys.count;
    const size_t key = below(count);
    const size_t signature = one_in(4) ? below(count) : key;
    uint8_t *own_key = call.packed + i * key_bytes;
    uint8_t *own_signature = call.signatures + i * signature_bytes;
    memcpy(own_key, inputs.raws.of.keys.packed + key * key_bytes, key_bytes);
    memcpy(own_signature, inputs.raws.signatures + signature * signature_bytes, signature_bytes);
    const bool is_changed =
        one_in(3) ? change(own_key, key_bytes) : change(own_signature, signature_bytes);
    call.is_raw_good[i] = key == signature && !is_changed;
  }
  call.raws = allocate(sizeof *call.raws);
  *call.raws = inputs.raws;
  call.raws->of.keys = (lp_keys){call.packed, call.keys};
  call.raws->signatures = call.signatures;
}

/* Makes a proof of a claim from the good ones. Returns true when both are left good. */
static bool make_proof(lp_proof *proof, lp_claim *claim) {
  const lp_proof good = inputs.child;
  const lp_keys good_keys = inputs.child_claim.keys;
  const size_t key_bytes = inputs.key_bytes;
  size_t length = good.length;
  if (one_in(3)) length = below(one_in(2) && good.length > 200 ? 200 : good.length + 1);
  const size_t keys = one_in(4) ? below(good_keys.count + 1) : good_keys.count;
  uint8_t *bytes = copy(good.bytes, length);
  uint8_t *own_keys = copy(good_keys.packed, keys * key_bytes);
  const bool is_changed =
      change(bytes, length) | (one_in(4) && change(own_keys, keys * key_bytes));
  *claim = inputs.child_claim;
  claim->keys = (lp_keys){own_keys, keys};
  *proof = (lp_proof){LP_FOLD, bytes, length, one_claim(claim)};
  return !is_changed && length == good.length && keys == good_keys.count;
}

static void free_proof(const lp_proof *proof, const lp_claim *claim) {
  free((void *)proof->bytes);
  free((void *)claim->keys.packed);
}

/* The keys of all inputs, as they are before anything is spoilt. */
static void make_wanted(void) {
  const size_t key_bytes = inputs.key_bytes;
  size_t count = call.keys;
  for (size_t i = 0; i < call.children; i++) count += call.claims[i].keys.count;
  uint8_t *packed = allocate(count * key_bytes);
  uint8_t *end = packed;
  memcpy(end, call.packed, call.keys * key_bytes);
  end += call.keys * key_bytes;
  for (size_t i = 0; i < call.children; i++) {
    const lp_keys keys = call.claims[i].keys;
    memcpy(end, keys.packed, keys.count * key_bytes);
    end += keys.count * key_bytes;
  }
  call.wanted = allocate(sizeof *call.wanted);
  *call.wanted = call.raws->of;
  call.wanted->keys = (lp_keys){packed, count};
}

/* Whether a FOLD takes so many children at once beside the raws of the call. */
static bool takes_children(size_t children) {
  const lp_limits *fold = &about.fold;
  if (children == 0) return true;
  if (fold->arities != 0 && (fold->arities >> children & 1) == 0) return false;
  const bool fits = fold->raws_beside_max == 0 || call.keys <= fold->raws_beside_max;
  return call.keys == 0 || (can(LP_RAWS_BESIDE_CHILDREN) && fits);
}

static void make_call(void) {
  make_raws();
  lp_claim *of = &call.raws->of;
  const bool is_other_root = one_in(6) && change(of->root, LP_ROOT_BYTES);
  if (one_in(6)) of->slot = (uint32_t)next();
  const bool is_other_slot = of->slot != inputs.raws.of.slot;
  call.children = below(CHILDREN_MAX + 1);
  while (!takes_children(call.children)) call.children--;
  call.proofs = allocate(call.children * sizeof *call.proofs);
  call.claims = allocate(call.children * sizeof *call.claims);
  for (size_t i = 0; i < call.children; i++) {
    call.is_child_good[i] = make_proof(&call.proofs[i], &call.claims[i]) && !is_other_root &&
                            !(is_other_slot && can(LP_SLOT_BOUND));
    memcpy(call.claims[i].root, of->root, LP_ROOT_BYTES);
    call.claims[i].slot = of->slot;
  }
  for (size_t i = 0; i < call.keys; i++) {
    call.is_raw_good[i] = call.is_raw_good[i] && !is_other_root && !is_other_slot;
  }
  make_wanted();
}

static void free_call(void) {
  for (size_t i = 0; i < call.children; i++) free_proof(&call.proofs[i], &call.claims[i]);
  free((void *)call.wanted->keys.packed);
  free(call.wanted);
  free(call.proofs);
  free(call.claims);
  free(call.signatures);
  free(call.packed);
  free(call.raws);
}

/* Checks what every answer must satisfy. `fault` is NULL when the call had no place for one. */
static void check_answer(lp_status status, const lp_fault *fault) {
  if ((int)status < 0 || (int)status >= (int)STATUSES) fail("the status is unknown", status, NULL);
  if (status != LP_OK && fault != NULL) {
    const bool has_end = memchr(fault->text, '\0', sizeof fault->text) != NULL;
    if (!has_end) fail("the text has no NUL", status, NULL);
    if (fault->text[0] == '\0') fail("the text is empty", status, fault);
    if (fault->size != sizeof *fault) fail("the fault has another size", status, fault);
  }
  if (status == LP_INTERNAL || status == LP_UNAVAILABLE || status == LP_NO_MEMORY) {
    fail("an input caused INTERNAL, UNAVAILABLE or NO_MEMORY", status, fault);
  }
  statuses[status]++;
}

static void must_be_invalid(lp_status status, const lp_fault *fault) {
  if (status != LP_INVALID) fail("a forbidden argument is not refused as INVALID", status, fault);
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

static void verify_signatures(lp_fault *fault) {
  uint8_t *verdicts = allocate(call.keys);
  memset(verdicts, 0xee, call.keys);
  lp_raws given = *call.raws;
  const lp_raws *raws = &given;
  uint8_t *out = verdicts;
  bool is_forbidden = call.keys == 0;
  if (one_in(8)) {
    is_forbidden = true;
    switch (below(5)) {
      case 0: raws = NULL; break;
      case 1: given.of.keys.packed = NULL; break;
      case 2: given.signatures = NULL; break;
      case 3: out = NULL; break;
      default:
        if (about.fold.raws_max == 0) is_forbidden = call.keys == 0;
        else given.of.keys.count = huge_count(about.fold.raws_max, inputs.signature_bytes);
    }
  }
  const lp_status status = library->verify_signatures(prover, raws, out, fault);
  check_answer(status, fault);
  if (is_forbidden) must_be_invalid(status, fault);
  else if (status != LP_OK) fail("a bad signature fails the whole call", status, fault);
  for (size_t i = 0; !is_forbidden && i < call.keys; i++) {
    const bool is_known = verdicts[i] <= LP_SIGNATURE_WRONG_SLOT;
    if (!is_known) fail("a verdict is not one of the three", status, NULL);
    const bool is_good = verdicts[i] == LP_SIGNATURE_GOOD;
    if (call.is_raw_good[i] && !is_good) fail("a good signature fails", status, NULL);
    if (!call.is_raw_good[i] && is_good) fail("a bad signature passes", status, NULL);
  }
  free(verdicts);
}

/* Makes the proof invalid and returns true; false where the library has no limit to exceed. */
static bool spoil(lp_proof *proof, lp_claim *claim) {
  switch (below(7)) {
    case 0: proof->bytes = NULL; return true;
    case 1: claim->keys.packed = NULL; return true;
    case 2: claim->keys.count = 0; return true;
    case 3: claim->keys.count = SIZE_MAX / inputs.key_bytes + 1 + claim->keys.count; return true;
    case 4: proof->claims.items = NULL; return true;
    case 5: /* a FOLD has one claim, whatever a MERGE may have */
      proof->claims.count = one_in(2) ? 0 : huge_count(1, sizeof *claim);
      return true;
    default: proof->length = huge_count(about.proof_bytes_max, 1); return true;
  }
}

static bool is_empty(const lp_proof *proof) {
  return proof->length == 0 || proof->claims.items[0].keys.count == 0;
}

static void verify(lp_fault *fault) {
  lp_proof proof;
  lp_claim claim;
  bool is_good = make_proof(&proof, &claim);
  memcpy(claim.root, call.raws->of.root, LP_ROOT_BYTES);
  is_good &= memcmp(claim.root, inputs.raws.of.root, LP_ROOT_BYTES) == 0;
  lp_proof given = proof;
  lp_claim claimed = claim;
  given.claims.items = &claimed;
  const lp_proof *asked = &given;
  bool is_forbidden = is_empty(&given);
  if (one_in(16)) {
    asked = NULL;
    is_forbidden = true;
  } else if (one_in(8)) {
    is_forbidden |= spoil(&given, &claimed);
  }
  const lp_status status = library->verify(prover, asked, fault);
  check_answer(status, fault);
  if (is_forbidden) must_be_invalid(status, fault);
  else if (is_good != (status == LP_OK)) fail("a proof is misjudged", status, fault);
  else if (!is_good && status != LP_BAD_PROOF) fail("a bad proof is not BAD_PROOF", status, fault);
  free_proof(&proof, &claim);
}

static bool has_bad(void) {
  for (size_t i = 0; i < call.keys; i++) if (!call.is_raw_good[i]) return true;
  for (size_t i = 0; i < call.children; i++) if (!call.is_child_good[i]) return true;
  return false;
}

static bool names_bad_input(lp_status status) {
  return status == LP_BAD_SIGNATURE || status == LP_BAD_PROOF;
}

static void prove(lp_fault *fault) {
  const lp_proof first = call.children > 0 ? call.proofs[0] : inputs.child;
  const lp_claim first_claim = call.children > 0 ? call.claims[0] : inputs.child_claim;
  const uint32_t rates[] = {0, 0, 0, 0, 1, 31, 32, UINT32_MAX};
  lp_raws raws = *call.raws;
  lp_claim wanted = *call.wanted;
  lp_job job = {.size = sizeof job,
                .kind = one_in(4) ? LP_MERGE : LP_FOLD,
                .log_inv_rate = rates[below(8)],
                .raws = &raws,
                .raws_count = call.keys == 0 ? 0 : 1,
                .children = call.proofs,
                .children_count = call.children,
                .wanted = one_claim(&wanted)};
  const uint32_t rate = job.log_inv_rate;
  const bool takes_raws = job.kind == LP_FOLD || call.keys == 0 || can(LP_MERGE_RAWS);
  const bool is_offered = (rate == 0 || (rate < 32 && (about.rates >> rate & 1) == 1)) &&
                          (about.kinds & job.kind) != 0 && takes_raws;
  bool is_forbidden = call.keys == 0 && call.children == 0;
  if (one_in(6)) {
    is_forbidden = true;
    switch (below(9)) {
      case 0: raws.signatures = NULL; is_forbidden = job.raws_count > 0; break;
      case 1: raws.of.keys = (lp_keys){NULL, call.keys + 1}; job.raws_count = 1; break;
      case 2: job.children = NULL; job.children_count++; break;
      case 3:
        if (about.fold.children_max == 0) is_forbidden = call.keys == 0 && call.children == 0;
        else job.children_count = huge_count(about.fold.children_max, sizeof *job.children);
        break;
      case 4: job.wanted = (lp_claims){NULL, 1}; break;
      case 5: wanted.keys.count = SIZE_MAX / inputs.key_bytes + 1 + wanted.keys.count; break;
      case 6: wanted.slot ^= 1; break; /* no input has it */
      case 7: job.raws = NULL; job.raws_count = 1; break;
      default:
        is_forbidden = call.children > 0 ? spoil(&call.proofs[0], &call.claims[0]) : call.keys == 0;
    }
    is_forbidden |= call.keys == 0 && call.children == 0;
  }
  for (size_t i = 0; i < call.children; i++) {
    is_forbidden |= call.proofs[i].length == 0 || call.claims[i].keys.count == 0;
  }
  const bool would_prove = !is_forbidden && is_offered && !has_bad();
  lp_buffer made = {call.packed, 1}; /* the library must replace this */
  if (!would_prove || one_in(PROVE_EVERY / 10)) {
    const lp_status status = library->prove(prover, &job, &made, fault);
    check_answer(status, fault);
    const bool is_made = status == LP_OK;
    if (is_forbidden && (is_offered || status != LP_UNSUPPORTED)) must_be_invalid(status, fault);
    else if (!is_offered && is_made) fail("an unoffered rate or kind is accepted", status, fault);
    else if (would_prove != is_made) fail("good inputs fail or bad ones pass", status, fault);
    else if (is_offered && !is_forbidden && !is_made && !names_bad_input(status)) {
      fail("a bad input is neither BAD_SIGNATURE nor BAD_PROOF", status, fault);
    }
    const bool has_proof = made.bytes != NULL && made.length > 0;
    if (is_made != has_proof) fail("status and proof disagree", status, NULL);
    library->free_buffer(prover, &made);
    if (made.bytes != NULL || made.length != 0) fail("a freed buffer is not empty", status, NULL);
  }
  if (call.children > 0) {
    call.proofs[0] = first;
    call.claims[0] = first_claim;
  }
}

static void execute(uint64_t seed) {
  state = seed * 0xd1342543de82ef95u + execution;
  alarm(EXECUTION_SECONDS_MAX);
  lp_fault *fault = one_in(8) ? NULL : allocate(sizeof *fault);
  if (fault != NULL) {
    memset(fault, 'x', sizeof *fault);
    fault->size = sizeof *fault;
  }
  make_call();
  const size_t kind = below(8);
  if (kind < 4) verify_signatures(fault);
  else if (kind < 6) verify(fault);
  else prove(fault);
  free_call();
  free(fault);
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

/* AddressSanitizer reads it: it aborts after its report, where it would exit by default. */
const char *__asan_default_options(void) { return "abort_on_error=1"; }

/* Prints the number of the execution that crashes or hangs, and lets the signal end the program. */
static void report_end(int signal_number) {
  char text[64];
  const char *what = signal_number == SIGALRM ? "a hang" : "a crash";
  const int length = snprintf(text, sizeof text, "FOUND execution %lu: %s\n", execution, what);
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
  signal(SIGABRT, report_end);
  signal(SIGALRM, report_end);
  char *config = read_text(argv[2]);
  load_library(argv[1]);
  read_inputs(argv[3]);
  const uint64_t seed = strtoull(argv[4], NULL, 10);
  const double seconds_max = strtod(argv[5], NULL);
  lp_fault fault = {.size = sizeof fault};
  if (open_prover(config, &fault) != LP_OK) cannot_start(argv[1], fault.text);
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
  alarm(0);
  signal(SIGABRT, SIG_DFL); /* what comes now belongs to no execution */
  library->close(prover);
  free(config);
  free((void *)inputs.file);
  printf("every answer is right\n");
  return 0;
}
