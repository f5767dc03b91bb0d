/*
 * A backend to start your own from: every rule of native/include/lean_prover.h, around a toy in
 * place of cryptography. Anyone can make its signatures and proofs: they prove nothing.
 *
 *   cc -std=c11 -Wall -Wextra -O2 -fPIC -shared -fvisibility=hidden -Inative/include \
 *      -o toy_prover.so examples/backend/toy_prover.c
 *
 * Replace what is between "The toy" and "The library" by calls to your prover, and the limits and
 * flags in `describe`. docs/adopt/own-prover.md leads through it, and says how the conformance
 * program checks the result. For tests of that program TOY_MUTANT plants a fault, and TOY_RAWS_MAX
 * and TOY_ARITIES limit a FOLD.
 */
#define _POSIX_C_SOURCE 200809L
#include <lean_prover.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PUBLIC __attribute__((visibility("default")))
#ifndef TOY_MUTANT
#define TOY_MUTANT 0
#endif
#ifndef TOY_RAWS_MAX
#define TOY_RAWS_MAX 4096u
#endif
#ifndef TOY_ARITIES
#define TOY_ARITIES 0u /* any number of children */
#endif

enum { KEY_BYTES = 32, SIGNATURE_BYTES = 40, PROOF_BYTES_MAX = 4096 };
enum { KEYS_MAX = 4096, CLAIMS_MAX = 64, CHILDREN_MAX = 16 };

/* ---- The toy: digests of 64 bits ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t length) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash ^ (hash >> 29);
}

static void put_u32(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* The slot, then a digest of key, message and slot, repeated. */
static void sign(const uint8_t *key, const uint8_t *root, uint32_t slot, uint8_t *signature) {
  put_u32(signature, slot);
  const uint64_t digest = mix(mix(mix(1, key, KEY_BYTES), root, LP_ROOT_BYTES), &slot, sizeof slot);
  for (size_t at = 4; at < SIGNATURE_BYTES; at++) {
    signature[at] = (uint8_t)(digest >> (8 * (at % 8)));
  }
}

static lp_verdict judge(const lp_claim *of, const uint8_t *key, const uint8_t *signature) {
  uint8_t expected[SIGNATURE_BYTES];
  if (TOY_MUTANT == 19 && get_u32(signature) != of->slot) return LP_SIGNATURE_WRONG_SLOT;
  sign(key, of->root, get_u32(signature), expected);
  if (TOY_MUTANT != 1 && memcmp(signature, expected, SIGNATURE_BYTES) != 0) return LP_SIGNATURE_BAD;
  const bool is_at_slot = TOY_MUTANT == 2 || get_u32(signature) == of->slot;
  return is_at_slot ? LP_SIGNATURE_GOOD : LP_SIGNATURE_WRONG_SLOT;
}

/* The same for keys in any order, each counted once. */
static uint64_t digest_of_keys(const lp_claim *claim, uint64_t sum) {
  const lp_keys *keys = &claim->keys;
  for (size_t i = 0; i < keys->count; i++) {
    const uint8_t *key = keys->packed + i * KEY_BYTES;
    bool is_again = false;
    for (size_t j = 0; j < i && !is_again; j++) {
      is_again = memcmp(key, keys->packed + j * KEY_BYTES, KEY_BYTES) == 0;
    }
    if (!is_again) sum += mix(2, key, KEY_BYTES);
  }
  return sum;
}

/* A proof: the number of its claims, their digests in ascending order, and a digest of all that. */
static size_t encode(lp_claims claims, uint8_t *bytes) {
  uint64_t digests[CLAIMS_MAX], pooled = 0;
  for (size_t i = 0; i < claims.count && TOY_MUTANT == 13; i++) {
    pooled = digest_of_keys(&claims.items[i], pooled);
  }
  for (size_t i = 0; i < claims.count; i++) {
    const lp_claim *claim = &claims.items[i];
    const uint64_t own = TOY_MUTANT == 3 ? 0 : digest_of_keys(claim, 0);
    const uint64_t keys = TOY_MUTANT == 13 ? pooled : own;
    uint64_t digest = mix(mix(3, claim->root, LP_ROOT_BYTES), &claim->slot, sizeof claim->slot);
    digest = mix(digest, &keys, sizeof keys);
    size_t at = i;
    for (; at > 0 && digests[at - 1] > digest; at--) digests[at] = digests[at - 1];
    digests[at] = digest;
  }
  const size_t head = 4 + claims.count * sizeof digests[0];
  put_u32(bytes, (uint32_t)claims.count);
  memcpy(bytes + 4, digests, head - 4);
  const uint64_t seal = mix(4, bytes, head);
  memcpy(bytes + head, &seal, sizeof seal);
  return head + sizeof seal;
}

static bool attests(const lp_proof *proof) {
  uint8_t expected[PROOF_BYTES_MAX];
  const size_t length = encode(proof->claims, expected);
  return proof->length == length && memcmp(proof->bytes, expected, length) == 0;
}

/* A proof takes time: a millisecond for each signature. */
static void work(size_t signatures) {
  const struct timespec pause = {.tv_nsec = 1000000};
  for (size_t i = 0; i < signatures; i++) nanosleep(&pause, NULL);
}

/* ---- The library: what the header asks of any backend ---- */

struct lp_prover {
  lp_options options;
  unsigned opened_before; /* by its cache; 0 without one */
};

static atomic_bool is_open;

static bool is_same_message(const lp_claim *a, const lp_claim *b) {
  return a->slot == b->slot && memcmp(a->root, b->root, LP_ROOT_BYTES) == 0;
}

static lp_status refuse(lp_status status, lp_at at, size_t index, size_t within, const char *text,
                        lp_fault *fault) {
  if (fault == NULL) return status;
  lp_fault full = {.size = fault->size, .at = at, .within = (uint32_t)within, .index = index};
  const size_t head = offsetof(lp_fault, text);
  if (fault->size > head) {
    const size_t room = fault->size - head;
    snprintf(full.text, room < sizeof full.text ? room : sizeof full.text, "%s", text);
  }
  memcpy(fault, &full, fault->size < sizeof full ? fault->size : sizeof full);
  return status;
}

static lp_status invalid(lp_at at, size_t index, const char *text, lp_fault *fault) {
  return refuse(LP_INVALID, at, index, 0, text, fault);
}

/* What the header forbids; NULL when nothing is. No content is looked at. */
static const char *keys_fault(const lp_keys *keys) {
  if (keys->packed == NULL || keys->count == 0) return "it has no keys";
  return keys->count > KEYS_MAX ? "it has more keys than keys_max" : NULL;
}

static const char *claims_fault(lp_claims claims) {
  if (claims.items == NULL || claims.count == 0) return "it has no claims";
  if (claims.count > CLAIMS_MAX) return "it has more claims than claims_max";
  for (size_t i = 0; i < claims.count; i++) {
    const char *fault = keys_fault(&claims.items[i].keys);
    if (fault != NULL) return fault;
    for (size_t j = 0; j < i; j++) {
      if (is_same_message(&claims.items[i], &claims.items[j])) return "it has a message twice";
    }
  }
  return NULL;
}

static const char *proof_fault(const lp_proof *proof) {
  if (proof->bytes == NULL || proof->length == 0) return "it has no bytes";
  if (proof->length > PROOF_BYTES_MAX && TOY_MUTANT != 12) return "it is longer than proof_bytes_max";
  if (proof->kind != LP_FOLD && proof->kind != LP_MERGE) return "its kind is unknown";
  if (proof->kind == LP_FOLD && proof->claims.count > 1) return "a FOLD has one claim";
  return claims_fault(proof->claims);
}

static const char *raws_fault(const lp_raws *raws) {
  return raws->signatures == NULL ? "it has no signatures" : keys_fault(&raws->of.keys);
}

/* What the limits of a FOLD forbid; NULL when nothing is. */
static const char *fold_fault(const lp_job *job) {
  const size_t children = job->children_count;
  if (children == 0 && job->raws[0].of.keys.count > TOY_RAWS_MAX) {
    return "it has more signatures than raws_max";
  }
  if (children > 0 && TOY_ARITIES != 0 && (TOY_ARITIES >> children & 1) == 0) {
    return "it has another number of children than the arities";
  }
  return NULL;
}

static lp_status job_fault(const lp_job *job, lp_fault *fault) {
  if (job->kind != LP_FOLD && job->kind != LP_MERGE) {
    return refuse(LP_UNSUPPORTED, LP_AT_NONE, 0, 0, "the kind is neither FOLD nor MERGE", fault);
  }
  if ((job->raws_count > 0 && job->raws == NULL) ||
      (job->children_count > 0 && job->children == NULL)) {
    return invalid(LP_AT_NONE, 0, "a pointer is NULL", fault);
  }
  if (job->raws_count + job->children_count == 0 ||
      job->raws_count > (job->kind == LP_FOLD ? 1 : CLAIMS_MAX) ||
      job->children_count > CHILDREN_MAX) {
    return invalid(LP_AT_NONE, 0, "there are no inputs, or more than the limits", fault);
  }
  const char *over = job->kind == LP_FOLD ? fold_fault(job) : NULL;
  if (over != NULL) return invalid(LP_AT_NONE, 0, over, fault);
  for (size_t i = 0; i < job->raws_count; i++) {
    const char *text = raws_fault(&job->raws[i]);
    if (text != NULL) return invalid(LP_AT_RAWS, i, text, fault);
  }
  for (size_t i = 0; i < job->children_count; i++) {
    const char *text = proof_fault(&job->children[i]);
    if (text != NULL) return invalid(LP_AT_CHILD, i, text, fault);
  }
  const char *text = claims_fault(job->wanted);
  if (text != NULL) return invalid(LP_AT_WANTED, 0, text, fault);
  if (job->kind == LP_FOLD && job->wanted.count > 1) {
    return invalid(LP_AT_WANTED, 1, "a FOLD has one claim", fault);
  }
  if (job->log_inv_rate != 0 && TOY_MUTANT != 4) {
    return refuse(LP_UNSUPPORTED, LP_AT_NONE, 0, 0, "there is one rate, the default", fault);
  }
  return LP_OK;
}

static bool has_key(const lp_claim *claim, const uint8_t *key) {
  for (size_t i = 0; i < claim->keys.count; i++) {
    if (memcmp(claim->keys.packed + i * KEY_BYTES, key, KEY_BYTES) == 0) return true;
  }
  return false;
}

/* Whether every key of `part` is in the claims of its message. */
static bool is_in(const lp_claim *part, const lp_claim *claims, size_t count) {
  for (size_t i = 0; i < part->keys.count; i++) {
    const uint8_t *key = part->keys.packed + i * KEY_BYTES;
    bool is_found = false;
    for (size_t j = 0; j < count && !is_found; j++) {
      is_found = is_same_message(part, &claims[j]) && has_key(&claims[j], key);
    }
    if (!is_found) return false;
  }
  return true;
}

/* All claims of the inputs, in memory that the caller frees. */
static lp_claim *claims_of(const lp_job *job, size_t *count) {
  size_t room = job->raws_count;
  for (size_t i = 0; i < job->children_count; i++) room += job->children[i].claims.count;
  lp_claim *all = malloc(room * sizeof *all);
  *count = 0;
  for (size_t i = 0; all != NULL && i < job->raws_count; i++) all[(*count)++] = job->raws[i].of;
  for (size_t i = 0; all != NULL && i < job->children_count; i++) {
    const lp_claims claims = job->children[i].claims;
    for (size_t j = 0; j < claims.count; j++) all[(*count)++] = claims.items[j];
  }
  return all;
}

/* Whether the inputs have exactly the claims that are wanted. */
static lp_status check_wanted(const lp_job *job, lp_fault *fault) {
  size_t count;
  lp_claim *given = claims_of(job, &count);
  if (given == NULL) return refuse(LP_NO_MEMORY, LP_AT_NONE, 0, 0, "out of memory", fault);
  lp_status status = LP_OK;
  for (size_t i = 0; status == LP_OK && i < job->wanted.count; i++) {
    if (!is_in(&job->wanted.items[i], given, count)) {
      status = invalid(LP_AT_WANTED, i, "no input has a key that is wanted", fault);
    }
  }
  for (size_t i = 0; status == LP_OK && i < count && TOY_MUTANT != 5; i++) {
    if (!is_in(&given[i], job->wanted.items, job->wanted.count)) {
      status = invalid(LP_AT_WANTED, 0, "an input has a key that is not wanted", fault);
    }
  }
  free(given);
  return status;
}

static lp_status check_inputs(const lp_job *job, lp_fault *fault) {
  for (size_t i = 0; i < job->raws_count; i++) {
    const lp_raws *raws = &job->raws[i];
    for (size_t key = 0; key < raws->of.keys.count; key++) {
      const lp_verdict verdict = judge(&raws->of, raws->of.keys.packed + key * KEY_BYTES,
                                       raws->signatures + key * SIGNATURE_BYTES);
      const size_t named = TOY_MUTANT == 6 ? 0 : key;
      if (verdict != LP_SIGNATURE_GOOD) {
        return refuse(LP_BAD_SIGNATURE, LP_AT_RAWS, i, named, "the signature is bad", fault);
      }
    }
  }
  for (size_t i = 0; i < job->children_count && TOY_MUTANT != 7; i++) {
    if (!attests(&job->children[i])) {
      return refuse(LP_BAD_PROOF, LP_AT_CHILD, i, 0, "the child attests other claims", fault);
    }
  }
  return LP_OK;
}

/* Reports a line to the operator, where somebody listens. */
static void say(const lp_prover *prover, const char *format, unsigned first, unsigned second) {
  char line[LP_TEXT_BYTES];
  if (prover->options.log == NULL) return;
  snprintf(line, sizeof line, format, first, second);
  prover->options.log(prover->options.log_context, TOY_MUTANT == 11 ? 7 : 2, line);
}

/* A cache of one number: how often this was called before. What cannot be kept is no error. */
static unsigned count_open(const char *folder) {
  char path[4096];
  unsigned count = 0;
  if (folder == NULL) return 0;
  snprintf(path, sizeof path, "%s/opened", folder);
  FILE *file = fopen(path, "r");
  if (file != NULL && fscanf(file, "%u", &count) != 1) count = 0;
  if (file != NULL) fclose(file);
  file = fopen(path, "w");
  if (file == NULL) return count;
  fprintf(file, "%u\n", count + 1);
  fclose(file);
  return count;
}

static lp_status open(const lp_options *options, lp_prover **out, lp_fault *fault) {
  if (options == NULL || out == NULL) return invalid(LP_AT_NONE, 0, "a pointer is NULL", fault);
  *out = NULL;
  if (atomic_exchange(&is_open, true) && TOY_MUTANT != 18) {
    return refuse(LP_UNAVAILABLE, LP_AT_NONE, 0, 0, "this process has its one handle", fault);
  }
  static lp_prover prover;
  memset(&prover, 0, sizeof prover);
  const size_t known = sizeof prover.options;
  memcpy(&prover.options, options, options->size < known ? options->size : known);
  prover.opened_before = count_open(prover.options.cache_folder);
  prover.options.config = prover.options.cache_folder = NULL; /* they were the caller's */
  say(&prover, "set up for %u threads, opened %u times before", prover.options.threads,
      prover.opened_before);
  *out = &prover;
  return LP_OK;
}

static lp_status describe(lp_prover *prover, lp_about *about) {
  if (prover == NULL || about == NULL) return LP_INVALID;
  const lp_limits limits = {.raws_max = KEYS_MAX,
                            .raws_beside_max = KEYS_MAX,
                            .children_max = CHILDREN_MAX,
                            .claims_max = CLAIMS_MAX,
                            .keys_max = KEYS_MAX};
  lp_about full = {.size = about->size,
                   .backend = "toy",
                   .scheme = "toy",
                   .revision = "toy-1",
                   .kinds = LP_FOLD | LP_MERGE,
                   .can = LP_SLOT_BOUND | LP_TELLS_WRONG_SLOT | LP_RAWS_BESIDE_CHILDREN |
                          LP_MERGE_RAWS | LP_MERGE_MERGED | LP_SAME_KEY_TWICE | LP_VERIFIES_BESIDE,
                   .public_key_bytes = KEY_BYTES,
                   .signature_bytes = SIGNATURE_BYTES,
                   .proof_bytes_max = PROOF_BYTES_MAX,
                   .fold = limits,
                   .merge = limits};
  full.fold.claims_max = 1;
  full.fold.raws_max = TOY_RAWS_MAX;
  full.fold.arities = TOY_ARITIES;
  full.merge.keys_max = KEYS_MAX * CLAIMS_MAX;
  if (TOY_MUTANT == 15) full.can &= ~(uint32_t)LP_RAWS_BESIDE_CHILDREN;
  if (TOY_MUTANT == 17) {
    full.scheme = "toy\n";
    full.can &= ~(uint32_t)(LP_VERIFIES_BESIDE | LP_SAME_KEY_TWICE);
    full.proof_bytes_max = 524289;
    full.rates = 4;
    full.fold.children_max = 1;
    full.fold.keys_max = full.merge.raws_max = 100;
  }
  const size_t known = TOY_MUTANT == 8 ? sizeof full : about->size;
  memcpy(about, &full, known < sizeof full ? known : sizeof full);
  return LP_OK;
}

static lp_status verify_signatures(lp_prover *prover, const lp_raws *raws, uint8_t *verdicts,
                                   lp_fault *fault) {
  if (prover == NULL || raws == NULL || verdicts == NULL) {
    return invalid(LP_AT_NONE, 0, "a pointer is NULL", fault);
  }
  const char *text = raws_fault(raws);
  if (text != NULL) return invalid(LP_AT_RAWS, 0, text, fault);
  if (raws->of.keys.count > TOY_RAWS_MAX) {
    return invalid(LP_AT_RAWS, 0, "it has more signatures than raws_max", fault);
  }
  for (size_t i = 0; i < raws->of.keys.count; i++) {
    verdicts[i] = (uint8_t)judge(&raws->of, raws->of.keys.packed + i * KEY_BYTES,
                                 raws->signatures + i * SIGNATURE_BYTES);
  }
  return LP_OK;
}

static lp_status verify(lp_prover *prover, const lp_proof *proof, lp_fault *fault) {
  if (prover == NULL || proof == NULL) return invalid(LP_AT_NONE, 0, "a pointer is NULL", fault);
  const char *text = proof_fault(proof);
  if (text != NULL) return invalid(LP_AT_NONE, 0, text, fault);
  if (TOY_MUTANT == 16 && proof->length < 12) {
    return invalid(LP_AT_NONE, 0, "it is too short", fault);
  }
  if (attests(proof)) return LP_OK;
  return refuse(LP_BAD_PROOF, LP_AT_NONE, 0, 0, "the proof attests other claims", fault);
}

static lp_status prove(lp_prover *prover, const lp_job *job, lp_buffer *made, lp_fault *fault) {
  if (made != NULL && TOY_MUTANT != 9) *made = (lp_buffer){NULL, 0};
  if (prover == NULL || job == NULL || made == NULL) {
    return invalid(LP_AT_NONE, 0, "a pointer is NULL", fault);
  }
  lp_job known = {0};
  memcpy(&known, job, job->size < sizeof known ? job->size : sizeof known);
  lp_status status = job_fault(&known, fault);
  if (status == LP_OK) status = check_wanted(&known, fault);
  if (status == LP_OK) status = check_inputs(&known, fault);
  if (status != LP_OK) return status;
  if (TOY_MUTANT == 15 && known.kind == LP_FOLD && known.children_count > 0) {
    return refuse(LP_UNSUPPORTED, LP_AT_CHILD, 0, 0, "a FOLD has no children", fault);
  }
  for (size_t i = 0; i < known.raws_count; i++) work(known.raws[i].of.keys.count);
  made->bytes = malloc(PROOF_BYTES_MAX);
  if (made->bytes == NULL) {
    return refuse(LP_NO_MEMORY, LP_AT_NONE, 0, 0, "out of memory", fault);
  }
  const bool is_fold = known.kind == LP_FOLD;
  if (TOY_MUTANT == 10 && is_fold && known.raws_count > 0 && known.children_count > 0) {
    known.wanted = (lp_claims){&known.raws[0].of, 1}; /* forgets its child */
  }
  if (TOY_MUTANT == 14 && is_fold && known.children_count > 1) {
    known.wanted = known.children[0].claims; /* forgets all but its first child */
  }
  made->length = encode(known.wanted, made->bytes);
  return LP_OK;
}

static void free_buffer(lp_prover *prover, lp_buffer *buffer) {
  (void)prover;
  if (buffer == NULL) return;
  free(buffer->bytes);
  *buffer = (lp_buffer){NULL, 0};
}

static void end(lp_prover *prover) {
  if (prover != NULL) atomic_store(&is_open, false);
}

PUBLIC const lp_api *lean_prover_api(uint32_t version) {
  static const lp_api api = {sizeof api, LEAN_PROVER_API, open,        describe, verify_signatures,
                             verify,     prove,           free_buffer, end};
  return version == LEAN_PROVER_API ? &api : NULL;
}

/* For native/conformance/make_inputs.c: validator number `validator` signs. Returns 0. */
PUBLIC int lp_sign(uint32_t validator, const uint8_t *root, uint32_t slot, uint8_t *key,
                   uint8_t *signature) {
  uint64_t digest = validator;
  for (size_t at = 0; at < KEY_BYTES; at += sizeof digest) {
    digest = mix(5, &digest, sizeof digest);
    memcpy(key + at, &digest, sizeof digest);
  }
  sign(key, root, slot, signature);
  return 0;
}
