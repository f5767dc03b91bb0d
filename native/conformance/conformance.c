/*
 * Checks a library that claims the C ABI of lean_prover.h:
 *
 *   conformance LIBRARY CONFIGFILE VECTORSDIR
 *
 * VECTORSDIR holds inputs.bin (layout: inputs.mjs). Prints one line per check; exits 0 when all
 * pass, 1 when one fails, 2 when it cannot start.
 */
#include "subject.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_RAWS = 4, BUSY_RAWS = 64 };

static lean_prover *prover;
static char error[LEAN_PROVER_ERROR_BYTES];
static int checks_failed;

static void check(bool passed, const char *sentence) {
  printf("%s %s\n", passed ? "ok  " : "FAIL", sentence);
  if (!passed) {
    checks_failed++;
    printf("     last message of the library: %s\n", error);
  }
  error[0] = '\0';
}

/* Checks the status of a refusal, and that its reason is there as a NUL-terminated text. */
static void check_refused(lean_prover_status got, lean_prover_status wanted, const char *sentence) {
  const bool has_text = error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL;
  if (got != wanted) printf("     status %d, wanted %d\n", (int)got, (int)wanted);
  check(got == wanted && has_text, sentence);
}

static lean_prover_status aggregate(lean_prover_keys raws, const uint8_t *signatures,
                                    const lean_prover_aggregate_claim *children, size_t count,
                                    lean_prover_buffer *proof) {
  return library.aggregate(prover, &inputs.message, raws, signatures, children, count, 0, proof,
                           error);
}

static lean_prover_status verify_claim(const uint8_t *proof, size_t length, lean_prover_keys keys) {
  const lean_prover_aggregate_claim claim = {proof, length, keys};
  return library.verify_aggregate(prover, &inputs.message, &claim, error);
}

static void check_description(lean_prover_description *d) {
  memset(d, 0xff, sizeof *d);
  check(library.describe(prover, d) == LEAN_PROVER_OK, "describes itself");
  if (d->abi_version != LEAN_PROVER_ABI_VERSION) cannot_start("describe", "other ABI version");
  check((d->kinds & LEAN_PROVER_KIND_AGGREGATE) != 0, "offers the aggregate kind");
  check(d->backend != NULL && d->backend[0] != '\0' && d->scheme != NULL && d->scheme[0] != '\0' &&
            d->revision != NULL && d->revision[0] != '\0',
        "names its backend, scheme and revision");
  check(d->public_key_bytes == inputs.key_bytes && d->signature_bytes == inputs.signature_bytes,
        "has the key and signature sizes of the inputs");
  check(d->key_order_matters <= 1, "has 0 or 1 in key_order_matters");
  check(d->proof_bytes_max == 0 || d->proof_bytes_max >= inputs.child.proof_bytes,
        "allows proofs as long as the one of the inputs");
  printf("     %s, %s, %s\n", d->backend, d->scheme, d->revision);
}

static void check_signatures(void) {
  const size_t count = inputs.raws.count;
  uint8_t *verdicts = allocate(count);
  memset(verdicts, 0xee, count);
  lean_prover_status status = library.verify_signatures(prover, &inputs.message, inputs.raws,
                                                        inputs.signatures, verdicts, error);
  size_t good = 0;
  for (size_t i = 0; i < count; i++) good += verdicts[i] == LEAN_PROVER_OK;
  check(status == LEAN_PROVER_OK && good == count, "verifies every signature of the inputs");

  /* The first signature has its last byte changed, and the second has the third key. */
  uint8_t *tampered = copy(inputs.signatures, count * inputs.signature_bytes);
  uint8_t *keys = copy(inputs.raws.bytes, count * inputs.key_bytes);
  tampered[inputs.signature_bytes - 1] ^= 1;
  memcpy(keys + inputs.key_bytes, keys + 2 * (size_t)inputs.key_bytes, inputs.key_bytes);
  status = library.verify_signatures(prover, &inputs.message, (lean_prover_keys){keys, count},
                                     tampered, verdicts, error);
  check(status == LEAN_PROVER_OK && verdicts[0] == LEAN_PROVER_BAD_SIGNATURE &&
            verdicts[1] == LEAN_PROVER_BAD_SIGNATURE && verdicts[2] == LEAN_PROVER_OK,
        "finds a changed signature and a wrong key among good ones");

  lean_prover_message other = inputs.message;
  other.root[0] ^= 1;
  status = library.verify_signatures(prover, &other, (lean_prover_keys){inputs.raws.bytes, 1},
                                     inputs.signatures, verdicts, error);
  check(status == LEAN_PROVER_OK && verdicts[0] == LEAN_PROVER_BAD_SIGNATURE,
        "refuses a signature of another message");

  status = library.verify_signatures(prover, &inputs.message, inputs.wrong_leaf,
                                     inputs.wrong_leaf_signature, verdicts, error);
  check(status == LEAN_PROVER_OK && verdicts[0] == LEAN_PROVER_INVALID_ARGUMENT,
        "distinguishes a signature at another leaf from a bad one");
  free(keys);
  free(tampered);
  free(verdicts);
}

static void check_child(void) {
  const lean_prover_aggregate_claim child = inputs.child;
  const size_t key = inputs.key_bytes;
  check(verify_claim(child.proof, child.proof_bytes, child.keys) == LEAN_PROVER_OK,
        "verifies a proof against exactly its keys");

  uint8_t *extra = allocate((child.keys.count + 1) * key);
  memcpy(extra, child.keys.bytes, child.keys.count * key);
  memcpy(extra + child.keys.count * key, inputs.wrong_leaf.bytes, key);
  check_refused(verify_claim(child.proof, child.proof_bytes,
                             (lean_prover_keys){extra, child.keys.count + 1}),
                LEAN_PROVER_BAD_AGGREGATE, "refuses a claim with a key the proof does not attest");
  check_refused(verify_claim(child.proof, child.proof_bytes,
                             (lean_prover_keys){child.keys.bytes, child.keys.count - 1}),
                LEAN_PROVER_BAD_AGGREGATE, "refuses a claim that leaves out an attested key");
  free(extra);

  lean_prover_message other = inputs.message;
  other.root[31] ^= 1;
  check_refused(library.verify_aggregate(prover, &other, &child, error), LEAN_PROVER_BAD_AGGREGATE,
                "refuses a proof of another message");

  /* Bytes of header, middle and end, so that both the parser and the verifier are tested. */
  const size_t places[] = {0, 8, child.proof_bytes / 2, child.proof_bytes - 1};
  bool all_refused = true;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    uint8_t *changed = copy(child.proof, child.proof_bytes);
    changed[places[i]] ^= 1;
    all_refused &= verify_claim(changed, child.proof_bytes, child.keys) != LEAN_PROVER_OK;
    free(changed);
  }
  check(all_refused, "refuses a proof with a changed byte");
  uint8_t *cut = copy(child.proof, child.proof_bytes / 2);
  check_refused(verify_claim(cut, child.proof_bytes / 2, child.keys), LEAN_PROVER_BAD_AGGREGATE,
                "refuses half a proof");
  free(cut);
}

static void check_proving(void) {
  const lean_prover_keys few = {inputs.raws.bytes, FEW_RAWS};
  lean_prover_buffer proof = {NULL, 0};
  const bool made = aggregate(few, inputs.signatures, NULL, 0, &proof) == LEAN_PROVER_OK &&
                    proof.bytes != NULL && proof.length > 0;
  check(made, "proves a few raw signatures");
  if (made) {
    check(verify_claim(proof.bytes, proof.length, few) == LEAN_PROVER_OK, "verifies its proof");
    check_refused(
        verify_claim(proof.bytes, proof.length, (lean_prover_keys){few.bytes, FEW_RAWS + 1}),
        LEAN_PROVER_BAD_AGGREGATE, "refuses its proof for one key more");
  }
  library.free_buffer(prover, &proof);

  uint8_t *tampered = copy(inputs.signatures, FEW_RAWS * (size_t)inputs.signature_bytes);
  tampered[2 * (size_t)inputs.signature_bytes - 1] ^= 1;
  check_refused(aggregate(few, tampered, NULL, 0, &proof), LEAN_PROVER_BAD_SIGNATURE,
                "does not prove a changed signature");
  free(tampered);
  lean_prover_aggregate_claim child = inputs.child;
  child.keys.count--;
  check_refused(aggregate(few, inputs.signatures, &child, 1, &proof), LEAN_PROVER_BAD_AGGREGATE,
                "does not prove over a child that attests other keys");
}

static void check_arguments(const lean_prover_description *d) {
  const lean_prover_keys none = {NULL, 0};
  const lean_prover_keys one = {inputs.raws.bytes, 1};
  const lean_prover_message *message = &inputs.message;
  lean_prover_buffer proof = {NULL, 0};
  uint8_t verdict = 0;
  const lean_prover_status invalid = LEAN_PROVER_INVALID_ARGUMENT;
  check_refused(aggregate(none, NULL, NULL, 0, &proof), invalid, "refuses to prove nothing");
  check_refused(aggregate(one, NULL, NULL, 0, &proof), invalid, "refuses keys without signatures");
  check_refused(aggregate(one, inputs.signatures, NULL, 1, &proof), invalid,
                "refuses a count of children without children");
  check_refused(aggregate(one, inputs.signatures, NULL, 0, NULL), invalid,
                "refuses to prove without a place for the proof");
  check_refused(library.verify_signatures(prover, NULL, one, inputs.signatures, &verdict, error),
                invalid, "refuses to verify signatures without a message");
  check_refused(library.verify_signatures(prover, message, one, NULL, &verdict, error), invalid,
                "refuses to verify no signatures");
  check_refused(library.verify_aggregate(prover, message, NULL, error), invalid,
                "refuses to verify no claim");
  check_refused(verify_claim(NULL, 0, inputs.child.keys), invalid, "refuses a claim with no proof");
  check_refused(verify_claim(inputs.child.proof, inputs.child.proof_bytes, none), invalid,
                "refuses a claim with no keys");
  check(library.describe(prover, NULL) == invalid, "refuses to describe itself into nothing");
  if (d->rates == 0) {
    check_refused(library.aggregate(prover, message, one, inputs.signatures, NULL, 0, 1, &proof,
                                    error),
                  LEAN_PROVER_UNSUPPORTED, "refuses a rate that it does not offer");
  }
  library.free_buffer(prover, &proof);
  lean_prover *second = NULL;
  check(library.open("", &second, NULL) != LEAN_PROVER_OK && second == NULL,
        "refuses a second handle, without an error buffer too");
}

static struct {
  atomic_bool is_started;
  atomic_bool is_done;
  lean_prover_status status;
} busy;

static void *prove_many(void *unused) {
  (void)unused;
  char message[LEAN_PROVER_ERROR_BYTES];
  const size_t count = inputs.raws.count < BUSY_RAWS ? inputs.raws.count : BUSY_RAWS;
  const lean_prover_keys many = {inputs.raws.bytes, count};
  lean_prover_buffer proof = {NULL, 0};
  atomic_store(&busy.is_started, true);
  busy.status = library.aggregate(prover, &inputs.message, many, inputs.signatures, NULL, 0, 0,
                                  &proof, message);
  atomic_store(&busy.is_done, true);
  library.free_buffer(prover, &proof);
  return NULL;
}

/* Verifies several times during one proof; all must end before the proof does. */
static void check_verifies_while_proving(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, prove_many, NULL) != 0) cannot_start("thread", "not started");
  while (!atomic_load(&busy.is_started)) continue;
  bool all_good = true;
  for (int round = 0; round < 3; round++) {
    uint8_t verdict = LEAN_PROVER_INTERNAL;
    const lean_prover_keys one = {inputs.raws.bytes, 1};
    all_good &= library.verify_signatures(prover, &inputs.message, one, inputs.signatures, &verdict,
                                          error) == LEAN_PROVER_OK &&
                verdict == LEAN_PROVER_OK;
    all_good &= library.verify_aggregate(prover, &inputs.message, &inputs.child, error) ==
                LEAN_PROVER_OK;
  }
  const bool was_proving = !atomic_load(&busy.is_done);
  pthread_join(thread, NULL);
  check(all_good, "verifies correctly while a proof runs on another thread");
  check(was_proving, "verifies without waiting for the end of that proof");
  check(busy.status == LEAN_PROVER_OK, "proves while another thread verifies");
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: conformance LIBRARY CONFIGFILE VECTORSDIR\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* no line is lost in a crash or at a sanitizer's exit */
  char *config = read_text(argv[2]);
  load_library(argv[1]);
  read_inputs(argv[3]);
  if (inputs.raws.count < FEW_RAWS + 1) cannot_start(argv[3], "has too few signatures");
  const lean_prover_status opened = library.open(config, &prover, error);
  check(opened == LEAN_PROVER_OK && prover != NULL, "opens with the config");
  if (checks_failed == 0) {
    lean_prover_description description;
    check_description(&description);
    check_arguments(&description);
    check_signatures();
    check_child();
    check_proving();
    check_verifies_while_proving();
    library.close(prover);
  }
  free(config);
  free(inputs.file);
  printf("%d failed\n", checks_failed);
  return checks_failed == 0 ? 0 : 1;
}
