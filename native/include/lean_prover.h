/*
 * The C ABI between lean-aggregator and a prover build ("backend"): a shared library that exports
 * one function, lean_prover_api. A process opens one handle; the service kills the process to
 * cancel a proof. The service refuses a library whose limits it cannot honour, and the device that
 * names it is out of service; see lp_about.
 *
 * A *claim* is a message (32 bytes and a slot) with the keys that signed it. A proof attests
 * claims: one, made by a FOLD of raw signatures and proofs of one message, or several, made by a
 * MERGE.
 *
 * The bytes of proofs, keys and signatures are a stranger's: no input may crash, hang or exhaust
 * memory. What a call forbids (NULL, sizes, counts, kinds, rates) is refused before any content is
 * looked at.
 *
 * Structs that begin with `size`: the CALLER sets it to its own sizeof. A library of a newer header
 * reads and writes no more than that, and takes what is missing for 0. All others never change.
 *
 * The process: it has the device's cores, niceness, user and variables. Standard input and output
 * are empty. The last 2 KiB of standard error are reported when the process ends. It opens at most
 * 256 files and writes none larger than the device's "fileMb", by default none at all. Descriptor 3
 * is the service's. A process that the library starts is not killed with it: it should start none.
 *
 * Memory: inputs belong to the caller, and the library reads them only during the call. A proof's
 * buffer is the library's memory; it stays valid until the caller passes it to free_buffer. Strings
 * in lp_about live as long as the handle.
 *
 * Threads: prove is called by one thread at a time, not always the same one. Beside it, the verify
 * functions may be called by a second thread, one of them at a time, and must not wait for the end
 * of the proof (LP_VERIFIES_BESIDE).
 *
 * Times: verify has 2 s, and verify_signatures 2 s and 2 ms for each of up to 1024 signatures, also
 * beside a proof and on a busy machine. After that the service asks another process, and a call of
 * more than 5 s has its process killed as hung.
 *
 * Errors: a call that does not return LP_OK fills its lp_fault, which may be NULL, with a text for
 * people and the input at fault. When a verify function or prove returns LP_INTERNAL,
 * LP_UNAVAILABLE, LP_NO_MEMORY or a number that is not listed, the service replaces the process and
 * tries the work once more, as after a crash. LP_NO_MEMORY of prove counts as a kill for memory: for
 * ten minutes the service starts no proof so large. After any other status the process goes on. A
 * library must not end the process.
 */
#ifndef LEAN_PROVER_H
#define LEAN_PROVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of everything below. */
#define LEAN_PROVER_API 2u
/* Size of every signed message. */
#define LP_ROOT_BYTES 32u
/* Size of lp_fault's text, its NUL included. */
#define LP_TEXT_BYTES 512u

typedef enum lp_status {
  LP_OK = 0,
  LP_INVALID = 1,       /* a pointer, size or count that this header or lp_about forbids */
  LP_BAD_SIGNATURE = 2, /* a raw signature does not verify, or not for its slot */
  LP_BAD_PROOF = 3,     /* a proof does not verify, or attests other claims */
  LP_UNSUPPORTED = 4,   /* a kind, rate or combination that lp_about does not offer */
  LP_UNAVAILABLE = 5,   /* the prover could not be set up */
  LP_INTERNAL = 6,      /* the prover failed */
  LP_NO_MEMORY = 7      /* the call takes more memory than there is, or than memory_bytes_max */
} lp_status;

/* Of one raw signature. */
typedef enum lp_verdict {
  LP_SIGNATURE_GOOD = 0,
  LP_SIGNATURE_BAD = 1,
  LP_SIGNATURE_WRONG_SLOT = 2 /* good, but at another slot (leaf): see LP_TELLS_WRONG_SLOT */
} lp_verdict;

typedef enum lp_kind {
  LP_FOLD = 1, /* raw signatures and children of one message into one proof */
  LP_MERGE = 2 /* several messages into one proof; 4 is reserved for the reverse */
} lp_kind;

/* What a library can, as bits of lp_about.can. */
typedef enum lp_can {
  LP_SLOT_BOUND = 1,           /* a proof attests slots; else the caller must not rely on them */
  LP_TELLS_WRONG_SLOT = 2,     /* the verdict WRONG_SLOT is given: a signature names its slot */
  LP_RAWS_BESIDE_CHILDREN = 4, /* a FOLD takes both at once */
  LP_MERGE_RAWS = 8,           /* a MERGE takes raw signatures too, of any message */
  LP_MERGE_MERGED = 16,        /* a child of a MERGE may have several claims itself */
  LP_SAME_KEY_TWICE = 32,      /* a key may be in several inputs of one message at once */
  LP_CLAIM_ORDER = 64,         /* a proof verifies only with its claims in the order of `wanted` */
  LP_KEY_ORDER = 128,          /* a proof verifies only with its keys in the order of `wanted` */
  LP_VERIFIES_BESIDE = 256     /* verify functions may run on a second thread during prove */
} lp_can;

/* `count` public keys, packed without gaps; packed may be NULL when count is 0. */
typedef struct lp_keys {
  const uint8_t *packed;
  size_t count;
} lp_keys;

/* A message and the keys that signed it, at least one. */
typedef struct lp_claim {
  uint8_t root[LP_ROOT_BYTES];
  uint32_t slot;
  lp_keys keys;
} lp_claim;

/* One claim for each message: no (root, slot) twice. */
typedef struct lp_claims {
  const lp_claim *items;
  size_t count;
} lp_claims;

/* Raw signatures of one message, packed in the order of the keys. */
typedef struct lp_raws {
  lp_claim of;
  const uint8_t *signatures;
} lp_raws;

/* A proof of 1 to proof_bytes_max bytes, the kind of job that made it, and the claims that it must
 * attest: exactly these. A FOLD has one, and a MERGE may have one too. */
typedef struct lp_proof {
  uint32_t kind;
  const uint8_t *bytes;
  size_t length;
  lp_claims claims;
} lp_proof;

/* What jobs of one kind may have; 0: no limit of the library's own. */
typedef struct lp_limits {
  uint32_t raws_max;        /* signatures in a job without children */
  uint32_t raws_beside_max; /* signatures in a job with children */
  uint32_t children_max;
  uint32_t arities;         /* bit n set: n children at once; 0: any number up to children_max */
  uint32_t claims_max;      /* of its proof */
  uint32_t keys_max;        /* of its proof, all claims together */
} lp_limits;

/* What the library is. Sizes are bytes. */
typedef struct lp_about {
  size_t size;
  /* Names of 1 to 256 printable ASCII characters. */
  const char *backend;       /* the library, e.g. "lean_pq" */
  const char *scheme;        /* signature scheme, e.g. "leanxmss" */
  const char *revision;      /* exact prover build: proofs of two revisions do not mix */
  uint32_t kinds;            /* bit set of lp_kind; the service needs LP_FOLD */
  /* Bit set of lp_can; the service needs LP_VERIFIES_BESIDE and LP_SAME_KEY_TWICE. */
  uint32_t can;
  uint32_t public_key_bytes; /* 1 to 65536 */
  uint32_t signature_bytes;  /* 1 to 65536 */
  uint32_t proof_bytes_max;  /* 1 to 524288, the chain's limit */
  /* Bit n set: log_inv_rate n is offered; if not 0, bit 0 is set too. 0: the default rate only. */
  uint32_t rates;
  /* The log_inv_rate that 0 stands for; 0: not said. The service does not use it today. */
  uint32_t rate_default;
  uint32_t setup_ms;         /* of open, on two cores; 0: not said */
  lp_limits fold;            /* the service needs two children at once, and 4096 keys */
  /* For merges the service needs 4096 signatures, 4096 keys for each claim, and arities 0. */
  lp_limits merge;
  /* Resident once open, and during the largest job; 0: not said. The service measures both, and uses
   * neither of these today. */
  uint64_t idle_bytes;
  uint64_t peak_bytes;
} lp_about;

/* What `lp_fault.index` counts. */
typedef enum lp_at { LP_AT_NONE = 0, LP_AT_RAWS = 1, LP_AT_CHILD = 2, LP_AT_WANTED = 3 } lp_at;

/* Which input is at fault, and why. The library sets all fields that fit into `size`. */
typedef struct lp_fault {
  size_t size;
  uint32_t at;               /* an lp_at */
  uint32_t within;           /* LP_AT_RAWS: the number of the key in raws[index] */
  size_t index;              /* raws[index], children[index] or wanted.items[index] */
  char text[LP_TEXT_BYTES];  /* UTF-8, ends in NUL */
} lp_fault;

typedef struct lp_options {
  size_t size;
  const char *config;        /* UTF-8 of a form that the library defines; NULL: none */
  /* A folder of the prover's user alone, kept over restarts, for files of up to "fileMb" each.
   * Several processes may use it at once. NULL: nowhere. */
  const char *cache_folder;
  uint32_t threads;          /* 0: one for each core of the affinity mask */
  /* Takes a line of text for the operator, at most LP_TEXT_BYTES of it; level 0 is an error, 1 a
   * warning, 2 information. May be called from any thread, until close. The service puts at most 20
   * lines a second into its log. NULL: nobody listens. */
  void (*log)(void *context, int level, const char *line);
  void *log_context;
} lp_options;

/* One proof to make. */
typedef struct lp_job {
  size_t size;
  uint32_t kind;             /* LP_FOLD or LP_MERGE */
  uint32_t log_inv_rate;     /* 0: the default */
  const lp_raws *raws;       /* one entry for each message; a FOLD has at most one */
  size_t raws_count;
  const lp_proof *children;
  size_t children_count;
  lp_claims wanted;          /* what the proof must attest, in this order: all that the inputs do */
  /* LP_NO_MEMORY rather than more; 0: no bound, which the service sets today. */
  uint64_t memory_bytes_max;
} lp_job;

typedef struct lp_prover lp_prover; /* opaque */

typedef struct lp_buffer {
  uint8_t *bytes;
  size_t length;
} lp_buffer;

typedef struct lp_api {
  size_t size;               /* set by the library to its own sizeof */
  uint32_t version;          /* LEAN_PROVER_API */

  /* Sets the prover up, which takes seconds. The service waits two minutes or, after a first setup
   * that said setup_ms, ten times that: at least 20 s, at most ten minutes. On failure *out is NULL,
   * and there is nothing to close. A second handle is refused as UNAVAILABLE. What the process holds
   * in memory after it decides whether the service keeps a standby. */
  lp_status (*open)(const lp_options *options, lp_prover **out, lp_fault *fault);

  /* Fills *about as far as about->size allows. */
  lp_status (*describe)(lp_prover *prover, lp_about *about);

  /* Verifies the signatures of one message, at most as many as raws_max of a FOLD, each by itself, and
   * sets verdicts[i], an lp_verdict, for each key. A bad signature does not fail the call: it returns
   * LP_OK. Its time: see the top. */
  lp_status (*verify_signatures)(lp_prover *prover, const lp_raws *raws, uint8_t *verdicts,
                                 lp_fault *fault);

  /* LP_OK when the proof verifies and attests exactly its claims; LP_BAD_PROOF for any other
   * content, bytes that cannot be parsed included. After LP_INVALID the service proves nothing of the
   * group, as the fault would be its own. Its time: see the top. */
  lp_status (*verify)(lp_prover *prover, const lp_proof *proof, lp_fault *fault);

  /* Makes the proof of `wanted`. LP_INVALID when the inputs' claims are others than `wanted`. Cannot
   * be interrupted. On failure *made is {NULL, 0}. */
  lp_status (*prove)(lp_prover *prover, const lp_job *job, lp_buffer *made, lp_fault *fault);

  /* Frees the bytes of a proof and sets *buffer to {NULL, 0}. */
  void (*free_buffer)(lp_prover *prover, lp_buffer *buffer);

  /* Called while no other call runs. The process ends soon after, so a library may leave memory. The
   * service does not call it: it ends a prover by SIGKILL. */
  void (*close)(lp_prover *prover);
} lp_api;

/* The functions of this version of the ABI; NULL when the library does not offer it. Asked before
 * anything else is called; the answer lives as long as the process. */
const lp_api *lean_prover_api(uint32_t version);

#ifdef __cplusplus
}
#endif

#endif
