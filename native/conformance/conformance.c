/*
 * Checks a library that claims the C ABI of lean_prover.h:
 *
 *   conformance LIBRARY CONFIGFILE VECTORSDIR
 *
 * VECTORSDIR holds inputs.bin (layout: inputs.mjs). Prints one line per check, and one for what is
 * skipped because the library does not offer it; exits 0 when all pass, 1 when one fails, 2 when it
 * cannot start. The library gets an empty cache folder, which is removed with its files at the end.
 *
 *   conformance --replay FILE LIBRARY [CONFIGFILE]
 *
 * makes the call that the service kept in FILE when a prover died in it, in this process: run it
 * under a debugger or with sanitizers. Exits 0 after an answer after which a prover goes on, 1 after
 * one for which the service replaces the process, 2 when it cannot start.
 */
#define _POSIX_C_SOURCE 200809L
#include "replay.h"
#include "subject.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { FEW_RAWS = 4, BUSY_RAWS = 64, MANY_KEYS = 4096, CANARY = 0xee, THREADS = 2 };
enum { BUSY_MS = 20, PATH_BYTES = 4096 };
/* What the service takes at most, as server/limits.ts has it. */
enum { NAME_CHARACTERS_MAX = 256, ITEM_BYTES_MAX = 65536, PROOF_BYTES_MAX = 524288 };
enum { MESSAGES_MAX = 16, TWO_CHILDREN = 1 << 2, DEFAULT_RATE = 1 };

static lp_fault fault;
static int checks_failed;

static void forget_fault(void) {
  memset(&fault, 0, sizeof fault);
  fault.size = sizeof fault;
}

static void check(bool passed, const char *sentence) {
  printf("%s %s\n", passed ? "ok  " : "FAIL", sentence);
  if (!passed) {
    checks_failed++;
    printf("     last message of the library: %.*s\n", (int)sizeof fault.text, fault.text);
  }
  forget_fault();
}

static void skip(const char *sentence, const char *why) {
  printf("skip %s: the library does not offer %s\n", sentence, why);
}

/* Checks the status of a refusal, and that its reason is there as a NUL-terminated text. */
static void check_refused(lp_status got, lp_status wanted, const char *sentence) {
  const bool has_end = memchr(fault.text, '\0', sizeof fault.text) != NULL;
  const bool has_text = has_end && fault.text[0] != '\0';
  if (got != wanted) printf("     status %d, wanted %d\n", (int)got, (int)wanted);
  check(got == wanted && has_text, sentence);
}

/* Checks a refusal that names the input at fault. */
static void check_named(lp_status got, lp_status wanted, lp_at at, size_t index, uint32_t within,
                        const char *sentence) {
  const bool is_named = fault.at == at && fault.index == index && fault.within == within;
  if (!is_named) {
    printf("     it names input %u of kind %u, key %u\n", (unsigned)fault.index, fault.at,
           fault.within);
  }
  check_refused(is_named ? got : LP_INTERNAL, wanted, sentence);
}

static lp_job fold(const lp_raws *raws, const lp_proof *child, const lp_claim *wanted) {
  return (lp_job){.size = sizeof(lp_job),
                  .kind = LP_FOLD,
                  .raws = raws,
                  .raws_count = raws == NULL ? 0 : 1,
                  .children = child,
                  .children_count = child == NULL ? 0 : 1,
                  .wanted = {wanted, wanted == NULL ? 0 : 1}};
}

static lp_status verify_claims(const lp_proof *proof, const lp_claim *claims, size_t count) {
  lp_proof claimed = *proof;
  claimed.claims = (lp_claims){claims, count};
  return library->verify(prover, &claimed, &fault);
}

static bool is_empty(lp_buffer buffer) { return buffer.bytes == NULL && buffer.length == 0; }

static lp_proof proof_of(uint32_t kind, lp_buffer made, const lp_claim *claim) {
  return (lp_proof){kind, made.bytes, made.length, one_claim(claim)};
}

static bool is_name(const char *name) {
  if (name == NULL) return false;
  size_t length = 0;
  for (; name[length] != '\0'; length++) {
    if (length == NAME_CHARACTERS_MAX || name[length] < ' ' || name[length] > '~') return false;
  }
  return length > 0;
}

static bool suffices(uint32_t limit, uint32_t least) { return limit == 0 || limit >= least; }

static uint32_t lower(uint32_t limit, uint32_t most) {
  return limit == 0 || limit > most ? most : limit;
}

/* What the service has merged: messages, each with all the keys that there may be. */
static void check_limits_of_merges(void) {
  if ((about.kinds & LP_MERGE) == 0 || !can(LP_MERGE_RAWS)) return;
  const lp_limits *merge = &about.merge;
  const uint32_t messages = lower(merge->claims_max, lower(merge->children_max, MESSAGES_MAX));
  check(merge->arities == 0 && suffices(merge->raws_max, MANY_KEYS) &&
            suffices(merge->raws_beside_max, MANY_KEYS) &&
            suffices(merge->keys_max, messages * MANY_KEYS),
        "takes any number of children in a MERGE, 4096 signatures, and 4096 keys a message");
}

/* Without these the service refuses the library at its start. */
static void check_needs(void) {
  check((about.kinds & LP_FOLD) != 0, "offers FOLD");
  check(is_name(about.backend) && is_name(about.scheme) && is_name(about.revision),
        "names its backend, scheme and revision, in 1 to 256 printable characters");
  check(about.public_key_bytes >= 1 && about.public_key_bytes <= ITEM_BYTES_MAX &&
            about.signature_bytes >= 1 && about.signature_bytes <= ITEM_BYTES_MAX,
        "has keys and signatures of 1 to 65536 bytes");
  check(about.proof_bytes_max >= 1 && about.proof_bytes_max <= PROOF_BYTES_MAX,
        "has a proof_bytes_max of 1 to 524288");
  check(can(LP_VERIFIES_BESIDE), "verifies beside a proof: VERIFIES_BESIDE");
  check(can(LP_SAME_KEY_TWICE), "takes a key in several inputs: SAME_KEY_TWICE");
  check(about.fold.children_max != 1 &&
            (about.fold.arities == 0 || (about.fold.arities & TWO_CHILDREN) != 0),
        "takes two children in a FOLD");
  check(suffices(about.fold.keys_max, MANY_KEYS), "takes 4096 keys in a FOLD");
  check_limits_of_merges();
  check(about.rates == 0 || (about.rates & DEFAULT_RATE) != 0,
        "has its default rate, bit 0, among its rates, if any");
}

static void check_description(void) {
  printf("     %s, %s, %s\n", about.backend, about.scheme, about.revision);
  check_needs();
  check(about.public_key_bytes == inputs.key_bytes &&
            about.signature_bytes == inputs.signature_bytes,
        "has the key and signature sizes of the inputs");
  check(about.proof_bytes_max >= inputs.child.length,
        "allows proofs as long as the one of the inputs");
  check(about.fold.claims_max <= 1, "has at most one claim in a FOLD");

  /* A caller of an older header, whose struct ends earlier. */
  struct {
    lp_about about;
    uint8_t after[64];
  } room;
  memset(&room, CANARY, sizeof room);
  room.about.size = offsetof(lp_about, kinds);
  bool is_clean = library->describe(prover, &room.about) == LP_OK;
  const uint8_t *bytes = (const uint8_t *)&room;
  for (size_t i = offsetof(lp_about, kinds); i < sizeof room; i++) is_clean &= bytes[i] == CANARY;
  check(is_clean, "writes no more of a description than its caller knows");
}

/* Verifies the signatures, in pieces of what the library takes at once. */
static lp_status verify_raws(const lp_raws *raws, uint8_t *verdicts) {
  const size_t count = raws->of.keys.count;
  lp_status status = LP_OK;
  for (size_t at = 0, taken; status == LP_OK && at < count; at += taken) {
    taken = raws_at_once(count - at);
    const lp_raws piece = some_of(*raws, at, taken);
    status = library->verify_signatures(prover, &piece, verdicts + at, &fault);
  }
  return status;
}

static void check_signatures(void) {
  const lp_raws raws = inputs.raws;
  const size_t count = raws.of.keys.count;
  uint8_t *verdicts = allocate(count);
  memset(verdicts, CANARY, count);
  lp_status status = verify_raws(&raws, verdicts);
  size_t good = 0;
  for (size_t i = 0; i < count; i++) good += verdicts[i] == LP_SIGNATURE_GOOD;
  check(status == LP_OK && good == count, "verifies every signature of the inputs");

  /* The first signature has its last byte changed, and the second has the third key. */
  uint8_t *signatures = copy(raws.signatures, count * inputs.signature_bytes);
  uint8_t *keys = copy(raws.of.keys.packed, count * inputs.key_bytes);
  signatures[inputs.signature_bytes - 1] ^= 1;
  memcpy(keys + inputs.key_bytes, keys + 2 * (size_t)inputs.key_bytes, inputs.key_bytes);
  lp_raws changed = raws;
  changed.of.keys.packed = keys;
  changed.signatures = signatures;
  status = verify_raws(&changed, verdicts);
  check(status == LP_OK && verdicts[0] == LP_SIGNATURE_BAD && verdicts[1] == LP_SIGNATURE_BAD &&
            verdicts[2] == LP_SIGNATURE_GOOD,
        "finds a changed signature and a wrong key among good ones");

  lp_raws elsewhere = first_of(raws, 1);
  elsewhere.of.root[0] ^= 1;
  status = library->verify_signatures(prover, &elsewhere, verdicts, &fault);
  check(status == LP_OK && verdicts[0] == LP_SIGNATURE_BAD,
        "refuses a signature of another message");

  if (can(LP_TELLS_WRONG_SLOT) && inputs.wrong_slot.of.keys.count > 0) {
    status = library->verify_signatures(prover, &inputs.wrong_slot, verdicts, &fault);
    check(status == LP_OK && verdicts[0] == LP_SIGNATURE_WRONG_SLOT,
          "distinguishes a signature at another slot from a bad one");
    uint8_t *bad = copy(inputs.wrong_slot.signatures, inputs.signature_bytes);
    bad[inputs.signature_bytes - 1] ^= 1;
    lp_raws spoilt = first_of(inputs.wrong_slot, 1);
    spoilt.signatures = bad;
    status = library->verify_signatures(prover, &spoilt, verdicts, &fault);
    check(status == LP_OK && verdicts[0] == LP_SIGNATURE_BAD,
          "refuses it as bad when it does not verify there");
    free(bad);
  } else {
    skip("distinguishes a signature at another slot from a bad one", "TELLS_WRONG_SLOT");
  }
  free(keys);
  free(signatures);
  free(verdicts);
}

static void check_child(void) {
  const lp_proof child = inputs.child;
  const lp_claim claim = inputs.child_claim;
  const size_t key = inputs.key_bytes, count = claim.keys.count;
  check(verify_claims(&child, &claim, 1) == LP_OK, "verifies a proof against exactly its keys");

  uint8_t *packed = allocate((count + 1) * key);
  memcpy(packed, claim.keys.packed, count * key);
  memcpy(packed + count * key, inputs.raws.of.keys.packed + count * key, key);
  lp_claim other = claim;
  other.keys = (lp_keys){packed, count + 1};
  check_refused(verify_claims(&child, &other, 1), LP_BAD_PROOF,
                "refuses a claim with a key the proof does not attest");
  other.keys.count = count - 1;
  check_refused(verify_claims(&child, &other, 1), LP_BAD_PROOF,
                "refuses a claim that leaves out an attested key");
  memcpy(packed, claim.keys.packed + key, key);
  memcpy(packed + key, claim.keys.packed, key);
  other.keys.count = count;
  check((verify_claims(&child, &other, 1) == LP_OK) == !can(LP_KEY_ORDER),
        "verifies keys in another order, or says KEY_ORDER");
  free(packed);

  other = claim;
  other.root[31] ^= 1;
  check_refused(verify_claims(&child, &other, 1), LP_BAD_PROOF,
                "refuses a proof of another message");
  other = claim;
  other.slot ^= 1;
  check((verify_claims(&child, &other, 1) == LP_OK) == !can(LP_SLOT_BOUND),
        "refuses a proof of another slot, or does not say SLOT_BOUND");

  /* Bytes of header, middle and end, so that both the parser and the verifier are tested. */
  const size_t header = child.length > 8 ? 8 : 0;
  const size_t places[] = {0, header, child.length / 2, child.length - 1};
  bool all_refused = true;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    uint8_t *changed = copy(child.bytes, child.length);
    changed[places[i]] ^= 1;
    const lp_proof spoilt = {LP_FOLD, changed, child.length, child.claims};
    all_refused &= library->verify(prover, &spoilt, &fault) == LP_BAD_PROOF;
    free(changed);
  }
  check(all_refused, "refuses a proof with a changed byte");
  uint8_t *half = copy(child.bytes, child.length / 2);
  const lp_proof cut = {LP_FOLD, half, child.length / 2, child.claims};
  check_refused(library->verify(prover, &cut, &fault), LP_BAD_PROOF, "refuses half a proof");
  free(half);
}

static void check_proving(void) {
  const size_t count = raws_at_once(FEW_RAWS);
  const lp_raws few = first_of(inputs.raws, count);
  lp_buffer made = {NULL, 0};
  lp_job job = fold(&few, NULL, &few.of);
  const bool is_made = library->prove(prover, &job, &made, &fault) == LP_OK && !is_empty(made);
  check(is_made, "proves a few raw signatures");
  if (is_made) {
    const lp_proof proof = proof_of(LP_FOLD, made, &few.of);
    check(made.length <= about.proof_bytes_max, "makes a proof within proof_bytes_max");
    check(library->verify(prover, &proof, &fault) == LP_OK, "verifies its proof");
    const lp_claim more = first_of(inputs.raws, count + 1).of;
    check_refused(verify_claims(&proof, &more, 1), LP_BAD_PROOF,
                  "refuses its proof for one key more");
  }
  library->free_buffer(prover, &made);
  check(is_empty(made), "empties a buffer that it frees");

  const size_t signature = inputs.signature_bytes;
  uint8_t *changed = copy(few.signatures, count * signature);
  changed[count * signature - 1] ^= 1;
  lp_raws spoilt = few;
  spoilt.signatures = changed;
  job = fold(&spoilt, NULL, &few.of);
  made = (lp_buffer){changed, 1}; /* the library must replace this */
  const lp_status refused = library->prove(prover, &job, &made, &fault);
  const bool was_emptied = is_empty(made);
  check_named(refused, LP_BAD_SIGNATURE, LP_AT_RAWS, 0, (uint32_t)count - 1,
              "does not prove a changed signature, and names it");
  check(was_emptied, "leaves no proof behind where it refuses one");
  free(changed);

  const lp_claim more = first_of(inputs.raws, count + 1).of;
  job = fold(&few, NULL, &more);
  check_refused(library->prove(prover, &job, &made, &fault), LP_INVALID,
                "refuses a wanted key that no input has");
  const char *dropped = "refuses an input's key that is not wanted";
  if (count == 1) return skip(dropped, "two signatures at once");
  const lp_claim less = first_of(inputs.raws, count - 1).of;
  job = fold(&few, NULL, &less);
  check_refused(library->prove(prover, &job, &made, &fault), LP_INVALID, dropped);
}

/* The first signature by a key that is not in the child. */
static lp_raws beside_child(void) {
  const size_t keys = inputs.child_claim.keys.count;
  lp_raws one = first_of(inputs.raws, 1);
  one.of.keys.packed += keys * inputs.key_bytes;
  one.signatures += keys * inputs.signature_bytes;
  return one;
}

/* The child's keys and that one. */
static lp_claim with_one_more(void) {
  lp_claim both = inputs.raws.of;
  both.keys.count = inputs.child_claim.keys.count + 1;
  return both;
}

/* The child claimed without its last key, and these keys with that of `one`; the caller frees them. */
static lp_claim lying_claim(const lp_raws *one, lp_proof *lying, lp_claim *fewer) {
  *fewer = inputs.child_claim;
  fewer->keys.count--;
  *lying = inputs.child;
  lying->claims = one_claim(fewer);
  lp_claim wanted = with_one_more();
  uint8_t *packed = copy(wanted.keys.packed, wanted.keys.count * inputs.key_bytes);
  memcpy(packed + fewer->keys.count * inputs.key_bytes, one->of.keys.packed, inputs.key_bytes);
  wanted.keys = (lp_keys){packed, inputs.child_claim.keys.count};
  return wanted;
}

/* Proofs of one message become one: whatever else it takes, the service needs that of a library. */
static void check_folding_two(void) {
  const char *what = "folds two children into one proof";
  const lp_raws one = beside_child();
  const lp_claim both = with_one_more();
  lp_buffer first = {NULL, 0}, made = {NULL, 0};
  lp_job job = fold(&one, NULL, &one.of);
  if (library->prove(prover, &job, &first, &fault) != LP_OK) return check(false, what);
  lp_proof children[] = {proof_of(LP_FOLD, first, &one.of), inputs.child};
  job = fold(NULL, children, &both);
  job.children_count = 2;
  const bool is_made = library->prove(prover, &job, &made, &fault) == LP_OK && !is_empty(made);
  check(is_made, what);
  if (is_made) {
    const lp_proof proof = proof_of(LP_FOLD, made, &both);
    check(library->verify(prover, &proof, &fault) == LP_OK, "attests the keys of both children");
    check_refused(verify_claims(&proof, &one.of, 1), LP_BAD_PROOF,
                  "refuses that proof without the second child's keys");
    check_refused(verify_claims(&proof, &inputs.child_claim, 1), LP_BAD_PROOF,
                  "refuses that proof without the first child's key");
  }
  library->free_buffer(prover, &made);

  lp_claim fewer;
  const lp_claim wanted = lying_claim(&one, &children[1], &fewer);
  job.wanted = one_claim(&wanted);
  check_named(library->prove(prover, &job, &made, &fault), LP_BAD_PROOF, LP_AT_CHILD, 1, 0,
              "does not fold a second child that attests other keys, and names it");
  free((void *)wanted.keys.packed);
  library->free_buffer(prover, &first);
}

/* Two folds or more make a recursion: a proof that is a child of another one. */
static void check_folding_beside(void) {
  const char *what = "folds a child into a proof with a raw signature beside it";
  if (!can(LP_RAWS_BESIDE_CHILDREN)) return skip(what, "RAWS_BESIDE_CHILDREN");
  const uint32_t arities = about.fold.arities;
  if (arities != 0 && (arities >> 1 & 1) == 0) return skip(what, "a FOLD of one child");
  const lp_raws one = beside_child();
  const lp_claim both = with_one_more();
  lp_job job = fold(&one, &inputs.child, &both);
  lp_buffer made = {NULL, 0};
  const bool is_made = library->prove(prover, &job, &made, &fault) == LP_OK && !is_empty(made);
  check(is_made, what);
  if (is_made) {
    const lp_proof proof = proof_of(LP_FOLD, made, &both);
    check(library->verify(prover, &proof, &fault) == LP_OK,
          "attests the child's keys and the signature's");
    check_refused(verify_claims(&proof, &one.of, 1), LP_BAD_PROOF,
                  "refuses that proof without the child's keys");
    check_refused(verify_claims(&proof, &inputs.child_claim, 1), LP_BAD_PROOF,
                  "refuses that proof without the signature's key");
  }
  library->free_buffer(prover, &made);

  lp_proof lying;
  lp_claim fewer;
  const lp_claim wanted = lying_claim(&one, &lying, &fewer);
  job = fold(&one, &lying, &wanted);
  check_named(library->prove(prover, &job, &made, &fault), LP_BAD_PROOF, LP_AT_CHILD, 0, 0,
              "does not prove over a child that attests other keys, and names it");
  free((void *)wanted.keys.packed);
}

/* The service has whatever somebody calls a merged proof verified, of up to 4096 keys a message. */
static void check_many_keys(const lp_proof *merged) {
  uint8_t *packed = allocate(MANY_KEYS * (size_t)inputs.key_bytes);
  for (size_t i = 0; i < MANY_KEYS; i++) {
    uint8_t *key = packed + i * inputs.key_bytes;
    memcpy(key, inputs.raws.of.keys.packed, inputs.key_bytes);
    key[0] ^= (uint8_t)i;
    if (inputs.key_bytes > 1) key[1] ^= (uint8_t)(i >> 8);
  }
  lp_claim many[] = {merged->claims.items[0], merged->claims.items[1]};
  many[0].keys = many[1].keys = (lp_keys){packed, MANY_KEYS};
  check_refused(verify_claims(merged, many, 2), LP_BAD_PROOF,
                "refuses a merged proof for 4096 keys of each message");
  free(packed);
}

/* The child's message and the other one in one proof. */
static void check_merging(void) {
  const char *what = "merges a proof and signatures of two messages";
  if ((about.kinds & LP_MERGE) == 0) return skip(what, "MERGE");
  if (!can(LP_MERGE_RAWS)) return skip(what, "MERGE_RAWS");
  if (inputs.other.of.keys.count == 0) return skip(what, "inputs of another message");
  /* Fewer keys than the child has, so that the two claims are of other keys. */
  const size_t keys = inputs.other.of.keys.count, most = inputs.child_claim.keys.count - 1;
  const lp_raws other = first_of(inputs.other, keys < most ? keys : most);
  const lp_claim claims[] = {inputs.child_claim, other.of};
  const lp_claim swapped[] = {other.of, inputs.child_claim};
  lp_claim crossed[] = {inputs.child_claim, other.of};
  crossed[0].keys = other.of.keys;
  crossed[1].keys = inputs.child_claim.keys;
  lp_job job = fold(&other, &inputs.child, claims);
  job.kind = LP_MERGE;
  job.wanted.count = 2;
  lp_buffer made = {NULL, 0};
  const bool is_made = library->prove(prover, &job, &made, &fault) == LP_OK && !is_empty(made);
  check(is_made, what);
  if (is_made) {
    const lp_proof merged = {LP_MERGE, made.bytes, made.length, {claims, 2}};
    check(library->verify(prover, &merged, &fault) == LP_OK, "attests both messages");
    check_refused(verify_claims(&merged, claims, 1), LP_BAD_PROOF,
                  "refuses a merged proof with one message left out");
    check_refused(verify_claims(&merged, crossed, 2), LP_BAD_PROOF,
                  "refuses a merged proof with the keys of its messages exchanged");
    check_many_keys(&merged);
    check((verify_claims(&merged, swapped, 2) == LP_OK) == !can(LP_CLAIM_ORDER),
          "verifies claims in another order, or says CLAIM_ORDER");
  }
  library->free_buffer(prover, &made);
  job.wanted.count = 1;
  check_refused(library->prove(prover, &job, &made, &fault), LP_INVALID,
                "refuses a merge with a message that is not wanted");
  job.kind = LP_FOLD;
  job.wanted.count = 2;
  check_refused(library->prove(prover, &job, &made, &fault), LP_INVALID,
                "refuses a fold of two messages");
}

static void check_arguments(const char *config) {
  const lp_raws one = first_of(inputs.raws, 1);
  lp_buffer made = {NULL, 0};
  uint8_t verdict = 0;
  lp_job job = fold(NULL, NULL, &one.of);
  const lp_status invalid = LP_INVALID;
  check_refused(library->prove(prover, &job, &made, &fault), invalid, "refuses to prove nothing");
  job = fold(&one, NULL, NULL);
  check_refused(library->prove(prover, &job, &made, &fault), invalid, "refuses to prove no claim");
  job = fold(&one, NULL, &one.of);
  job.children_count = 1;
  check_refused(library->prove(prover, &job, &made, &fault), invalid,
                "refuses a count of children without children");
  job.children_count = 0;
  check_refused(library->prove(prover, &job, NULL, &fault), invalid,
                "refuses to prove without a place for the proof");
  check_refused(library->prove(prover, NULL, &made, &fault), invalid, "refuses to prove no job");
  lp_raws unsigned_ones = one;
  unsigned_ones.signatures = NULL;
  job = fold(&unsigned_ones, NULL, &one.of);
  check_refused(library->prove(prover, &job, &made, &fault), invalid,
                "refuses keys without signatures");
  check_refused(library->verify_signatures(prover, &unsigned_ones, &verdict, &fault), invalid,
                "refuses to verify no signatures");
  check_refused(library->verify_signatures(prover, NULL, &verdict, &fault), invalid,
                "refuses to verify signatures of nothing");
  check_refused(library->verify(prover, NULL, &fault), invalid, "refuses to verify no proof");
  lp_proof none = inputs.child;
  none.bytes = NULL;
  check_refused(library->verify(prover, &none, &fault), invalid, "refuses a proof without bytes");
  lp_proof longer = inputs.child;
  longer.length = (size_t)about.proof_bytes_max + 1;
  uint8_t *many = allocate(longer.length);
  memset(many, CANARY, longer.length);
  longer.bytes = many;
  check_refused(library->verify(prover, &longer, &fault), invalid,
                "refuses a proof longer than proof_bytes_max");
  free(many);
  check_refused(verify_claims(&inputs.child, NULL, 0), invalid, "refuses a proof with no claims");
  lp_claim keyless = inputs.child_claim;
  keyless.keys = (lp_keys){NULL, 0};
  check_refused(verify_claims(&inputs.child, &keyless, 1), invalid, "refuses a claim with no keys");
  const lp_claim twice[] = {inputs.child_claim, inputs.child_claim};
  lp_proof merged = inputs.child;
  merged.kind = LP_MERGE;
  check_refused(verify_claims(&merged, twice, 2), invalid, "refuses claims with a message twice");
  check(library->describe(prover, NULL) == invalid, "refuses to describe itself into nothing");
  job = fold(&one, NULL, &one.of);
  job.kind = 4;
  check_refused(library->prove(prover, &job, &made, &fault), LP_UNSUPPORTED,
                "refuses another kind");
  job.kind = LP_FOLD;
  for (uint32_t rate = 1; rate < 32; rate++) {
    if ((about.rates >> rate & 1) == 1) continue;
    job.log_inv_rate = rate;
    check_refused(library->prove(prover, &job, &made, &fault), LP_UNSUPPORTED,
                  "refuses a rate that it does not offer");
    break;
  }

  /* A caller of another header, whose text is shorter, and one without a place for it. */
  struct {
    lp_fault fault;
    uint8_t after[64];
  } room;
  memset(&room, CANARY, sizeof room);
  const size_t known = room.fault.size = offsetof(lp_fault, text) + 8;
  bool is_clean = library->verify(prover, NULL, &room.fault) == invalid;
  const uint8_t *bytes = (const uint8_t *)&room;
  for (size_t i = known; i < sizeof room; i++) is_clean &= bytes[i] == CANARY;
  check(is_clean && memchr(room.fault.text, '\0', 8) != NULL,
        "writes no more of a fault than its caller knows");
  check(library->verify(prover, NULL, NULL) == invalid, "needs no place for a fault");
  library->free_buffer(prover, &made);

  const lp_options options = {.size = sizeof options, .config = config};
  lp_prover *second = prover; /* the library must replace this */
  const lp_status refused = library->open(&options, &second, &fault);
  check_refused(refused, LP_UNAVAILABLE, "refuses a second handle");
  check(second == NULL, "gives no second handle");
}

static struct {
  atomic_bool is_started;
  atomic_bool is_done;
  lp_status status;
  double ms; /* time of the proof */
} busy;

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *prove_many(void *unused) {
  (void)unused;
  const size_t count = inputs.raws.of.keys.count;
  const size_t most = raws_at_once(BUSY_RAWS);
  const lp_raws many = first_of(inputs.raws, count < most ? count : most);
  const lp_job job = fold(&many, NULL, &many.of);
  lp_buffer made = {NULL, 0};
  atomic_store(&busy.is_started, true);
  const double started_ms = now_ms();
  busy.status = library->prove(prover, &job, &made, NULL);
  busy.ms = now_ms() - started_ms;
  atomic_store(&busy.is_done, true);
  library->free_buffer(prover, &made);
  return NULL;
}

/* Verifies several times during one proof; all must end before the proof does. */
static void check_verifies_while_proving(void) {
  const char *what = "verifies correctly while a proof runs on another thread";
  if (!can(LP_VERIFIES_BESIDE)) return; /* a check has failed for it */
  pthread_t thread;
  if (pthread_create(&thread, NULL, prove_many, NULL) != 0) cannot_start("thread", "not started");
  while (!atomic_load(&busy.is_started)) continue;
  bool all_good = true;
  for (int round = 0; round < 3; round++) {
    uint8_t verdict = CANARY;
    const lp_raws one = first_of(inputs.raws, 1);
    all_good &= library->verify_signatures(prover, &one, &verdict, &fault) == LP_OK &&
                verdict == LP_SIGNATURE_GOOD;
    all_good &= library->verify(prover, &inputs.child, &fault) == LP_OK;
  }
  const bool was_proving = !atomic_load(&busy.is_done);
  pthread_join(thread, NULL);
  check(all_good, what);
  const char *waits = "verifies without waiting for the end of that proof";
  if (!was_proving && busy.ms < BUSY_MS) skip(waits, "a proof that takes long enough to see it");
  else check(was_proving, waits);
  check(busy.status == LP_OK, "proves while another thread verifies");
}

/* Removes the cache folder with the files in it. Returns their number. */
static unsigned remove_cache(const char *folder) {
  char path[PATH_BYTES];
  unsigned files = 0;
  DIR *listing = opendir(folder);
  for (const struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    files += unlink(path) == 0;
  }
  if (listing != NULL) closedir(listing);
  if (rmdir(folder) != 0) printf("     %s stays: the library made folders in it\n", folder);
  return files;
}

/*
 * Runs the rest of the program in a child, and removes the cache folder after it, also when the library
 * crashes it. Returns in the child; ends as the child has ended in the parent.
 */
static void run_in_child(const char *cache) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) cannot_start("the child process", "cannot be started");
  if (child == 0) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() == parent) return;
    _exit(2);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (access(cache, F_OK) == 0) remove_cache(cache);
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "the library has crashed the program: %s\n", strsignal(WTERMSIG(status)));
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

static void check_log_and_cache(const char *folder) {
  const char *logs = "logs lines of the levels that the header names";
  if (log_lines == 0) skip(logs, "a log");
  else check(odd_log_lines == 0, logs);
  printf("     it kept %u files in its cache folder\n", remove_cache(folder));
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0); /* no line is lost in a crash or at a sanitizer's exit */
  if ((argc == 4 || argc == 5) && strcmp(argv[1], "--replay") == 0) {
    return replay(argv[2], argv[3], argc == 5 ? argv[4] : NULL);
  }
  if (argc != 4) {
    fprintf(stderr,
            "usage: conformance LIBRARY CONFIGFILE VECTORSDIR\n"
            "       conformance --replay FILE LIBRARY [CONFIGFILE]\n");
    return 2;
  }
  char cache[] = "/tmp/lean-conformance-XXXXXX";
  if (mkdtemp(cache) == NULL) cannot_start(cache, "cannot be made");
  run_in_child(cache);
  forget_fault();
  char *config = read_text(argv[2]);
  load_library(argv[1]);
  read_inputs(argv[3]);
  if (inputs.raws.of.keys.count < FEW_RAWS + 1) cannot_start(argv[3], "has too few signatures");
  const lp_options options = {.config = config, .cache_folder = cache, .threads = THREADS};
  check(open_prover_with(options, &fault) == LP_OK && prover != NULL,
        "opens with the config, a cache folder and a number of threads");
  if (checks_failed == 0) {
    check_description();
    check_arguments(config);
    check_signatures();
    check_child();
    check_proving();
    check_folding_two();
    check_folding_beside();
    check_merging();
    check_verifies_while_proving();
    library->close(prover);
  }
  check_log_and_cache(cache);
  free(config);
  free((void *)inputs.file);
  printf("%d failed\n", checks_failed);
  return checks_failed == 0 ? 0 : 1;
}
