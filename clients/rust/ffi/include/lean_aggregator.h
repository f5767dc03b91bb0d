/*
 * C interface of the lean-aggregator adapter, for C, C++ and Zig.
 *
 * Every call copies what it is given and returns at once, but la_close. No call unwinds across this
 * border. All calls may be made from any thread; a snapshot is made by one thread.
 *
 * cbindgen makes this file from the Rust source.
 */

#ifndef LEAN_AGGREGATOR_H
#define LEAN_AGGREGATOR_H

#include <stddef.h>
#include <stdint.h>

// For the node's duty as aggregator.
#define LA_AGGREGATION 0

// For a block that the node proposes.
#define LA_PROPOSAL 1

// For older votes; yields to the others.
#define LA_BACKLOG 2

// The key of a validator that signs votes.
#define LA_ATTESTATION_KEY 0

// The key of a validator that signs its blocks.
#define LA_PROPOSAL_KEY 1

// As a service reported: with a proof, or without one.
#define LA_OUTCOME 0

// An earlier proof of the same slot and root has all participants of this one.
#define LA_DUPLICATE 1

// The node's own check did not accept the proof.
#define LA_REFUSED 2

// The node cancelled the group.
#define LA_CANCELLED 3

// No service will end the group before its fence.
#define LA_LOST 4

// The service has skipped the request: one result for all its groups, with slot 0.
#define LA_SKIPPED 5

// An adapter. One for each node.
typedef struct la_adapter la_adapter;

// A snapshot of votes, or a merge, that is being made.
typedef struct la_snapshot la_snapshot;

// A proof to be checked. Its bytes are the adapter's, until the call returns.
typedef struct la_proof {
  const char *request_id;
  uint32_t group_index;
  // Slot of the submission.
  uint64_t slot;
  // Root of the attestation data, 32 bytes. Of a merge, it and the participants have no bytes: the
  // proof is of the components of the request, in their order.
  const uint8_t *message;
  size_t message_len;
  const uint8_t *proof;
  size_t proof_len;
  // Validator i is bit i % 8 of byte i / 8.
  const uint8_t *participants;
  size_t participants_len;
} la_proof;

// Returns whether a proof is valid: 0 ends its group as LA_REFUSED. Called on threads of the adapter,
// up to 4 at a time, and never after la_close has returned; it may take its time, and must not unwind.
typedef int (*la_verify_fn)(void *context, const struct la_proof *proof);

// Gets a text for the node's log: what an operator should know, such as that the service refuses the
// node's calls and why, each time that it happens, or why an endpoint cannot be reached, once for each reason.
// It is the adapter's, until the call returns. Called on threads of the adapter, and in la_snapshot_submit on
// its own; never after la_close has returned. It must return at once, and must not unwind.
typedef void (*la_log_fn)(void *context, const char *text);

// Options. Set them to 0, then `size` to sizeof(la_options): later versions append fields, and 0 is the
// default of each.
typedef struct la_options {
  size_t size;
  // Addresses in order of preference, separated by commas: host:port, https://host:port or
  // unix:/path. Needed.
  const char *endpoints;
  // 1 to 64 characters of A-Z a-z 0-9 . _ -, the same over all runs of the node. Needed.
  const char *node_id;
  // Start of the node in milliseconds since 1970. 0: now.
  uint64_t node_epoch;
  // Certificates in PEM that sign the services'. NULL: the roots of the system.
  const char *ca_pem;
  // The node's certificate in PEM, with `key_pem`. NULL: none.
  const char *certificate_pem;
  // The private key of `certificate_pem` in PEM.
  const char *key_pem;
  // The name in the services' certificates. NULL: the host of the endpoint.
  const char *server_name;
  // Identifies the caller; over TLS, to loopback or to a Unix socket only. NULL: none.
  const char *token;
  // The node's own check of a proof. NULL: none.
  la_verify_fn verify;
  // The first argument of `verify`. It must live until la_close has returned.
  void *verify_context;
  // Length of a slot in milliseconds. With it a submission has a fence by default, the start of the slot
  // after the next, and votes have steps: they count most until the last interval but one. 0: neither.
  uint32_t slot_ms;
  // Intervals of a slot; needed with `slot_ms`.
  uint32_t intervals;
  // Start of slot 0 in milliseconds since 1970; needed with `slot_ms`.
  uint64_t genesis_ms;
  // Gets what an operator should know. NULL: the standard error gets it, each text once.
  la_log_fn log;
  // The first argument of `log`. It must live until la_close has returned.
  void *log_context;
} la_options;

// A checkpoint: a block root and its slot.
typedef struct la_checkpoint {
  uint8_t root[32];
  uint64_t slot;
} la_checkpoint;

// One submission. Set it to 0, then `size` to sizeof(la_submit_options): later versions append fields.
typedef struct la_submit_options {
  size_t size;
  uint64_t slot;
  // Time in which a proof may start. 0: 750, for a merge and backlog until the fence.
  uint64_t deadline_ms;
  // Time until the proofs are worthless. 0: as the slot times of the options say; needed without them.
  uint64_t fence_ms;
  // LA_AGGREGATION, LA_PROPOSAL or LA_BACKLOG.
  uint32_t priority;
  // Fewest inputs of a group that are worth a proof; not for a merge. 0: one.
  uint32_t min_inputs;
  // 1: what waits of the node's earlier submission at this priority, of the same kind, is ended, and what
  // runs goes on. 0: this submission is skipped as in_flight.
  uint32_t may_replace;
  // 0.
  uint32_t reserved;
} la_submit_options;

// One result. Free it with la_result_free. Later versions append fields.
typedef struct la_result {
  char request_id[65];
  uint32_t group_index;
  // Slot of the submission.
  uint64_t slot;
  // LA_OUTCOME, LA_DUPLICATE, LA_REFUSED, LA_CANCELLED, LA_LOST or LA_SKIPPED.
  uint32_t ending;
  // NULL: the group has no proof.
  uint8_t *proof;
  size_t proof_len;
  // Validator i is bit i % 8 of byte i / 8. NULL for a merge, whose proof has all that was asked for.
  uint8_t *participants;
  size_t participants_len;
  // Index of the first bad component of a merge, which is why it has no proof. -1: none.
  int64_t bad_component;
  // Why the group has no proof: of LA_OUTCOME the service's reason, such as "deadline", or its status where
  // that says all, such as "rejected"; of LA_SKIPPED a reason that la_skip_reason names. Else empty.
  char reason[32];
} la_result;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Starts an adapter. NULL: an option is invalid; `error` (may be NULL) has `error_len` bytes and says
// which.
//
// # Safety
// `options` is NULL or has `options->size` bytes, `error` is NULL or has `error_len` bytes.
struct la_adapter *la_new(const struct la_options *options,
                          char *error,
                          size_t error_len);

// Closes the adapter within `drain_ms` and about one second, waits for calls of `verify` and `log` that
// run, and frees it. NULL is ignored. Never call it from `verify` or `log`.
//
// # Safety
// `adapter` is NULL or of `la_new`, and is not used any more.
void la_close(struct la_adapter *adapter,
              uint64_t drain_ms);

// An eventfd that is readable when results can be taken, also those that `la_take` had no room for;
// read 8 bytes from it, then take. It is the adapter's: never close it. -1: `adapter` is NULL.
//
// # Safety
// `adapter` is NULL or of `la_new`.
int la_ready_fd(const struct la_adapter *adapter);

// Cancels each group of a request that has not ended, for example because its votes have left the
// chain. Returns their number; each is taken as `LA_CANCELLED`. 0: the request is unknown or over, or
// an argument is NULL.
//
// # Safety
// `adapter` is NULL or of `la_new`, `request_id` is NULL or a text that ends with 0.
size_t la_cancel(const struct la_adapter *adapter,
                 const char *request_id);

// Begins a snapshot. It is freed by la_snapshot_submit or la_snapshot_free.
//
// # Safety
// The pointers are NULL or valid.
struct la_snapshot *la_snapshot_new(const struct la_checkpoint *head,
                                    const struct la_checkpoint *justified);

// Frees a snapshot that is not submitted. NULL is ignored.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, and is not used any more.
void la_snapshot_free(struct la_snapshot *snapshot);

// Adds the public key of a validator, with LA_ATTESTATION_KEY or LA_PROPOSAL_KEY as `role`. 0: done.
// -1: an argument is NULL, or the role is unknown.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, `key` has `len` bytes.
int la_snapshot_key(struct la_snapshot *snapshot,
                    uint32_t validator,
                    uint32_t role,
                    const uint8_t *key,
                    size_t len);

// Begins a group: what its votes say. 0: done. -1: `snapshot` is NULL or a merge.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, the other pointers are NULL or valid.
int la_snapshot_group(struct la_snapshot *snapshot,
                      uint64_t slot,
                      const struct la_checkpoint *head,
                      const struct la_checkpoint *target,
                      const struct la_checkpoint *source);

// Begins a component of a merge, of attestation data: a snapshot with components is a merge, one proof
// of several messages in the order in which they are begun. Its signatures follow by la_snapshot_raw,
// or its one proof by la_snapshot_child. 0: done. -1: `snapshot` is NULL, or has groups.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, the other pointers are NULL or valid.
int la_merge_data(struct la_snapshot *snapshot,
                  uint64_t slot,
                  const struct la_checkpoint *head,
                  const struct la_checkpoint *target,
                  const struct la_checkpoint *source);

// Begins a component of a merge, as la_merge_data does, of a root at a slot, such as a block's root that
// its proposer has signed with LA_PROPOSAL_KEY. 0: done. -1: an argument is NULL, the role is unknown,
// or the snapshot has groups.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, `root` is NULL or valid.
int la_merge_root(struct la_snapshot *snapshot,
                  const struct la_checkpoint *root,
                  uint32_t role);

// Adds a validator's signature to the newest group or component. 0: done. -1: an argument is NULL, none
// is begun, or the component has a proof.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, `signature` has `len` bytes.
int la_snapshot_raw(struct la_snapshot *snapshot,
                    uint32_t validator,
                    const uint8_t *signature,
                    size_t len);

// Adds a proof that exists already to the newest group or component. 0: done. -1: an argument is NULL,
// nothing is begun, or the component has signatures or a proof.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, the other pointers have their bytes.
int la_snapshot_child(struct la_snapshot *snapshot,
                      const uint8_t *participants,
                      size_t participants_len,
                      const uint8_t *proof,
                      size_t proof_len);

// Names the proof system that made the newest proof of la_snapshot_child, by its scheme, and its revision or
// NULL. A child of another proof system than the request's is left out, a merge with one is rejected, and
// nothing is verified. Without this call it is the request's. 0: done. -1: `snapshot` or `scheme` is NULL,
// a text is no UTF-8, or the newest group or component has no proof.
//
// # Safety
// `snapshot` is NULL or of `la_snapshot_new`, each text is NULL or ends with 0.
int la_snapshot_child_system(struct la_snapshot *snapshot,
                             const char *scheme,
                             const char *revision);

// Submits, and frees the snapshot in any case. 0: submitted, and `request_id` (may be NULL), which has
// 65 bytes, has its id. Else the reason for which it was skipped: see la_skip_reason; the log gets what is
// invalid. -1: an argument is NULL, or the options have no fence, an unknown value or a wrong size.
//
// # Safety
// `adapter` is NULL or of `la_new`, `snapshot` is NULL or of `la_snapshot_new` and is not used any more,
// `options` is NULL or valid, `request_id` is NULL or has 65 bytes.
int la_snapshot_submit(struct la_adapter *adapter,
                       struct la_snapshot *snapshot,
                       const struct la_submit_options *options,
                       char *request_id);

// The name of a skip reason, for example "in_flight". Never NULL; it lives as long as the library.
const char *la_skip_reason(int reason);

// Takes up to `capacity` results, each of `result_size` bytes: sizeof(la_result). Returns their number; 0 for
// a size that is too small. Call until it returns less than `capacity`:
// what is left for a later tick may pass its fence meanwhile. Until then the eventfd stays readable.
//
// # Safety
// `adapter` is NULL or of `la_new`, `results` has room for `capacity` of `result_size` bytes.
size_t la_take(struct la_adapter *adapter,
               uint64_t slot,
               struct la_result *results,
               size_t result_size,
               size_t capacity);

// Frees the bytes of a result. NULL is ignored.
//
// # Safety
// `result` is NULL or of `la_take`.
void la_result_free(struct la_result *result);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LEAN_AGGREGATOR_H */
