/*
 * The C ABI between lean-aggregator and a prover build ("backend"): a shared library that exports
 * the functions below. A process opens one handle; the service kills the process to cancel a proof.
 * The service refuses a library whose limits it cannot honour, and the device that names it is out
 * of service; see the description.
 *
 * The process: it has the device's cores, niceness, user and variables, and LEANVM_NUM_THREADS, the
 * number of threads that the operator wants. Standard input and output are empty. The last 2 KiB of
 * standard error are reported when the process ends. It opens at most 256 files and writes none
 * larger than the device's "fileMb", by default none at all. Descriptor 3 is the service's.
 *
 * Memory: inputs belong to the caller, and the library reads them only during the call. A proof's
 * buffer is the library's memory; it stays valid until the caller passes it to
 * lean_prover_free_buffer. Strings in lean_prover_description live as long as the handle.
 *
 * Threads: lean_prover_aggregate is called by one thread at a time, not always the same one. The
 * verify functions may be called by a second thread while a proof runs, one of them at a time, and
 * must not wait for the end of the proof.
 *
 * Errors: calls return a lean_prover_status. A call with the parameter `error`, a buffer of
 * LEAN_PROVER_ERROR_BYTES or NULL, writes a NUL-terminated UTF-8 message there when the status is
 * not LEAN_PROVER_OK. When a verify function or lean_prover_aggregate returns INTERNAL, UNAVAILABLE
 * or a number that is not listed, the service replaces the process and tries the work once more, as
 * after a crash. After any other status the process goes on. A library must not end the process.
 */
#ifndef LEAN_PROVER_H
#define LEAN_PROVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct or the meaning of a function changes. The service needs this version, and
 * refuses a library of another one, of which lean_prover_describe may fill up to 4096 bytes. */
#define LEAN_PROVER_ABI_VERSION 1u
/* Size of every signed message, the hash tree root of the attestation data. */
#define LEAN_PROVER_MESSAGE_BYTES 32u
/* Size of the caller's error buffer. */
#define LEAN_PROVER_ERROR_BYTES 512u

typedef enum lean_prover_status {
  LEAN_PROVER_OK = 0,
  LEAN_PROVER_INVALID_ARGUMENT = 1, /* a size or pointer that the description forbids */
  LEAN_PROVER_BAD_SIGNATURE = 2,    /* a raw signature does not verify */
  LEAN_PROVER_BAD_AGGREGATE = 3,    /* a proof does not verify, or attests other claims */
  LEAN_PROVER_UNSUPPORTED = 4,      /* a kind or rate that the description does not offer */
  LEAN_PROVER_UNAVAILABLE = 5,      /* the prover could not be set up */
  LEAN_PROVER_INTERNAL = 6          /* the prover failed; the service replaces the process */
} lean_prover_status;

typedef enum lean_prover_kind {
  LEAN_PROVER_KIND_AGGREGATE = 1u, /* raw signatures and children of one message */
  LEAN_PROVER_KIND_MERGE = 2u,     /* reserved: proofs of several messages into one */
  LEAN_PROVER_KIND_SPLIT = 4u      /* reserved: one message's proof out of a merged one */
} lean_prover_kind;

/*
 * What the library is. Sizes are bytes; 0 in a *_max field means no limit of the library's own. The
 * service needs the kind AGGREGATE, raws_max 0 or at least 4096, proof_bytes_max 0 or at most
 * 524288, keys and signatures of 1 to 65536 bytes, rates 0 or with bit 0, and key_order_matters 0.
 * The three names are 1 to 256 printable ASCII characters. Devices of one service need the same
 * scheme and revision. A proof of more than 524288 bytes counts as a failure of the library.
 */
typedef struct lean_prover_description {
  uint32_t abi_version;
  uint32_t kinds;               /* bit set of lean_prover_kind */
  const char *backend;          /* short name, e.g. "lean_pq" */
  const char *scheme;           /* signature scheme, e.g. "leanxmss" */
  const char *revision;         /* exact prover build: proofs of two revisions do not mix */
  uint32_t public_key_bytes;
  uint32_t signature_bytes;
  uint32_t proof_bytes_max;
  uint32_t children_max;
  uint32_t raws_max;            /* raw signatures in one call */
  uint32_t rates;               /* bit n set: log_inv_rate n is offered; 0: the default rate only */
  uint32_t key_order_matters;   /* 1: a proof verifies only against keys in its inputs' order */
} lean_prover_description;

/* `count` public keys, packed without gaps; bytes may be NULL when count is 0. */
typedef struct lean_prover_keys {
  const uint8_t *bytes;
  size_t count;
} lean_prover_keys;

/* A proof and the keys that it must attest for the message of the call: exactly these. */
typedef struct lean_prover_aggregate_claim {
  const uint8_t *proof;
  size_t proof_bytes;
  lean_prover_keys keys;
} lean_prover_aggregate_claim;

/* The message of a call and the slot (leaf index) at which it is signed. */
typedef struct lean_prover_message {
  uint8_t root[LEAN_PROVER_MESSAGE_BYTES];
  uint32_t slot;
} lean_prover_message;

typedef struct lean_prover_buffer {
  uint8_t *bytes;
  size_t length;
} lean_prover_buffer;

typedef struct lean_prover lean_prover; /* opaque */

/*
 * Sets the prover up, which takes seconds; the service waits two minutes. config is UTF-8 text of a
 * form that the library defines; NULL means no text. On failure there is no handle to close. What
 * the process holds in memory after it decides whether the service keeps a standby.
 */
lean_prover_status lean_prover_open(const char *config, lean_prover **out, char *error);

/* Fills *out with the description. */
lean_prover_status lean_prover_describe(lean_prover *prover, lean_prover_description *out);

/*
 * Verifies keys.count raw signatures of one message, signatures packed in the order of the keys.
 * verdicts[i] is set to LEAN_PROVER_OK or LEAN_PROVER_BAD_SIGNATURE; the leaf index, where the
 * scheme has one, must equal message->slot, else verdicts[i] is LEAN_PROVER_INVALID_ARGUMENT. A bad
 * signature does not fail the call: it returns LEAN_PROVER_OK.
 */
lean_prover_status lean_prover_verify_signatures(lean_prover *prover,
                                                 const lean_prover_message *message,
                                                 lean_prover_keys keys, const uint8_t *signatures,
                                                 uint8_t *verdicts, char *error);

/* LEAN_PROVER_OK when the proof verifies and attests exactly claim->keys for the message. */
lean_prover_status lean_prover_verify_aggregate(lean_prover *prover,
                                                const lean_prover_message *message,
                                                const lean_prover_aggregate_claim *claim,
                                                char *error);

/*
 * Proves that every key of raws and of children signed the message. Either may be none, and its
 * pointers NULL. log_inv_rate 0 means the library's default. Cannot be interrupted. On failure *proof is set to {NULL, 0}.
 */
lean_prover_status lean_prover_aggregate(lean_prover *prover, const lean_prover_message *message,
                                         lean_prover_keys raws, const uint8_t *signatures,
                                         const lean_prover_aggregate_claim *children,
                                         size_t children_count, uint32_t log_inv_rate,
                                         lean_prover_buffer *proof, char *error);

/* Frees the bytes of a proof and sets *buffer to {NULL, 0}. */
void lean_prover_free_buffer(lean_prover *prover, lean_prover_buffer *buffer);

/* Call it while no other call runs. The process ends soon after, so a library may leave memory. The
 * service does not call it: it ends a prover by SIGKILL. */
void lean_prover_close(lean_prover *prover);

#ifdef __cplusplus
}
#endif

#endif
