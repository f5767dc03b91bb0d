/*
 * C interface of the lean-aggregator adapter, for C, C++ and Zig.
 *
 * Every call copies what it is given and returns at once, but la_close. No call unwinds across this
 * border. All calls may be made from any thread; a snapshot is made by one thread.
 */
#ifndef LEAN_AGGREGATOR_H
#define LEAN_AGGREGATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct la_adapter la_adapter;
typedef struct la_snapshot la_snapshot;

/* Options. Set `size` to sizeof(la_options): later versions append fields. */
typedef struct la_options {
  size_t size;
  const char *endpoints; /* addresses in order of preference, separated by commas */
  const char *node_id;   /* 1 to 64 characters of A-Z a-z 0-9 . _ - */
  uint64_t node_epoch;   /* start of the node in milliseconds since 1970; 0: now */
} la_options;

/* One submission. Set `size` to sizeof(la_submit_options). */
typedef struct la_submit_options {
  size_t size;
  uint64_t slot;
  uint64_t deadline_ms; /* time in which a proof may start; 0: 750 */
  uint64_t fence_ms;    /* time until the proofs are worthless; needed */
  uint32_t priority;    /* LA_AGGREGATION, LA_PROPOSAL or LA_BACKLOG */
  uint32_t min_inputs;  /* fewest inputs of a group that are worth a proof; 0: one */
} la_submit_options;

enum { LA_AGGREGATION = 0, LA_PROPOSAL = 1, LA_BACKLOG = 2 };

/* How a group ended. */
enum { LA_OUTCOME = 0, LA_DUPLICATE = 1, LA_REFUSED = 2, LA_CANCELLED = 3, LA_LOST = 4 };

/* A checkpoint: a block root and its slot. */
typedef struct la_checkpoint {
  uint8_t root[32];
  uint64_t slot;
} la_checkpoint;

/* One result. Free it with la_result_free. */
typedef struct la_result {
  char request_id[65];
  uint32_t group_index;
  uint64_t slot;
  uint32_t ending;
  uint8_t *proof; /* NULL: the group has no proof */
  size_t proof_len;
  uint8_t *participants; /* validator i is bit i % 8 of byte i / 8 */
  size_t participants_len;
} la_result;

/* Starts an adapter. NULL: an option is invalid; `error` (may be NULL) says which. */
la_adapter *la_new(const la_options *options, char *error, size_t error_len);

/* Closes the adapter within drain_ms and about one second, and frees it. NULL is ignored. */
void la_close(la_adapter *adapter, uint64_t drain_ms);

/* An eventfd that is readable when results can be taken; read 8 bytes from it, then take. It is
 * the adapter's: never close it. -1: the adapter has no eventfd. */
int la_ready_fd(const la_adapter *adapter);

/* Begins a snapshot. It is freed by la_snapshot_submit or la_snapshot_free. */
la_snapshot *la_snapshot_new(const la_checkpoint *head, const la_checkpoint *justified);
void la_snapshot_free(la_snapshot *snapshot);

/* Each adds one thing and copies its bytes. 0: done. -1: an argument is NULL or no group is begun. */
int la_snapshot_key(la_snapshot *snapshot, uint32_t validator, const uint8_t *key, size_t len);
int la_snapshot_group(la_snapshot *snapshot, uint64_t slot, const la_checkpoint *head,
                      const la_checkpoint *target, const la_checkpoint *source);
int la_snapshot_raw(la_snapshot *snapshot, uint32_t validator, const uint8_t *signature, size_t len);
int la_snapshot_child(la_snapshot *snapshot, const uint8_t *participants, size_t participants_len,
                      const uint8_t *proof, size_t proof_len);

/* Submits, and frees the snapshot in any case. 0: submitted, and request_id has its id. Else the
 * reason for which it was skipped: see la_skip_reason. -1: an argument is NULL. */
int la_snapshot_submit(la_adapter *adapter, la_snapshot *snapshot,
                       const la_submit_options *options, char request_id[65]);

/* The name of a skip reason, for example "in_flight". Never NULL. */
const char *la_skip_reason(int reason);

/* Takes up to `capacity` results. Returns their number. Call until it returns less than `capacity`:
 * what is left for a later tick may pass its fence meanwhile. */
size_t la_take(la_adapter *adapter, uint64_t slot, la_result *results, size_t capacity);
void la_result_free(la_result *result);

#ifdef __cplusplus
}
#endif
#endif
