/* What the example does not show: arguments that are wrong, a check that says no, a cancel.
 * exercise ENDPOINT of a service whose proofs take a second. */
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lean_aggregator.h"

static int reject(void *context, const la_proof *proof) {
  CHECK(strlen(proof->request_id) > 0 && proof->slot == 1 && proof->group_index == 0);
  CHECK(proof->participants_len == 1 && proof->participants[0] == 1);
  *(int *)context += 1;
  return 0;
}

static la_snapshot *make_snapshot(uint8_t tag) {
  la_checkpoint checkpoint = {{tag}, 1};
  uint8_t bytes[2536] = {tag};
  la_snapshot *snapshot = la_snapshot_new(&checkpoint, &checkpoint);
  CHECK(la_snapshot_raw(snapshot, 0, bytes, sizeof bytes) == -1); /* No group is begun. */
  CHECK(la_snapshot_key(snapshot, 0, LA_ATTESTATION_KEY, bytes, 52) == 0);
  CHECK(la_snapshot_group(snapshot, 1, &checkpoint, &checkpoint, &checkpoint) == 0);
  CHECK(la_snapshot_raw(snapshot, 0, bytes, sizeof bytes) == 0);
  return snapshot;
}

/* A merge of attestation data with a signature, and of a block's root, whose key this validator may lack. */
static la_snapshot *make_merge(uint32_t proposer) {
  la_checkpoint checkpoint = {{4}, 1};
  la_checkpoint root = {{5}, 1};
  uint8_t bytes[64] = {1};
  uint8_t proposal_key[52] = {2};
  la_snapshot *merge = la_snapshot_new(&checkpoint, &checkpoint);
  CHECK(la_snapshot_key(merge, 0, 7, bytes, 52) == -1); /* No role. */
  CHECK(la_snapshot_key(merge, 0, LA_ATTESTATION_KEY, bytes, 52) == 0);
  CHECK(la_snapshot_key(merge, 1, LA_PROPOSAL_KEY, proposal_key, 52) == 0);
  CHECK(la_merge_root(merge, NULL, LA_PROPOSAL_KEY) == -1);
  CHECK(la_merge_data(merge, 1, &checkpoint, &checkpoint, &checkpoint) == 0);
  CHECK(la_snapshot_group(merge, 1, &checkpoint, &checkpoint, &checkpoint) == -1);
  CHECK(la_snapshot_raw(merge, 0, bytes, sizeof bytes) == 0);
  CHECK(la_snapshot_child(merge, bytes, 1, bytes, 8) == -1); /* It has a signature. */
  CHECK(la_snapshot_child_system(merge, "another", NULL) == -1); /* And no proof. */
  CHECK(la_merge_root(merge, &root, LA_PROPOSAL_KEY) == 0);
  CHECK(la_snapshot_raw(merge, proposer, bytes, sizeof bytes) == 0);
  return merge;
}

/* A call with wrong options says which, and frees the snapshot. */
static void misuse(const char *endpoint) {
  char error[256];
  la_options options = {.size = 8, .endpoints = endpoint, .node_id = "c-node"};
  CHECK(la_new(NULL, error, sizeof error) == NULL && strstr(error, "NULL"));
  CHECK(la_new(&options, error, sizeof error) == NULL && strstr(error, "options.size"));
  options.size = sizeof options;
  options.node_id = NULL;
  CHECK(la_new(&options, error, sizeof error) == NULL && strstr(error, "node_id"));
  options.node_id = "a node";
  CHECK(la_new(&options, error, 8) == NULL && strlen(error) == 7);
  options.node_id = "c-node";
  options.key_pem = "a key";
  CHECK(la_new(&options, error, sizeof error) == NULL && strstr(error, "certificate_pem"));
  struct {
    la_options known;
    uint64_t later;
  } newer = {{.size = sizeof newer, .endpoints = endpoint, .node_id = "c-node"}, 1};
  CHECK(la_new(&newer.known, error, sizeof error) == NULL && strstr(error, "does not know"));
  options.key_pem = NULL;
  options.slot_ms = 4000;
  CHECK(la_new(&options, error, sizeof error) == NULL && strstr(error, "intervals"));
  la_submit_options submit = {.size = sizeof submit};
  CHECK(la_snapshot_submit(NULL, make_snapshot(9), &submit, NULL) == -1);
  CHECK(la_take(NULL, 1, NULL, sizeof(la_result), 1) == 0 && la_ready_fd(NULL) == -1);
  CHECK(la_cancel(NULL, "r") == 0);
  CHECK(strcmp(la_skip_reason(INT_MIN), "none") == 0 && strcmp(la_skip_reason(0), "none") == 0);
  la_snapshot_free(NULL);
  la_result_free(NULL);
  la_close(NULL, 0);
}

/* Waits for one result, without its bytes. */
static la_result take_one(la_adapter *adapter) {
  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  la_result result;
  size_t count = 0;
  while (count == 0) {
    uint64_t wakes;
    CHECK(poll(&ready, 1, 9000) > 0 && read(ready.fd, &wakes, sizeof wakes) == 8);
    count = la_take(adapter, 1, &result, sizeof result, 1);
  }
  la_result_free(&result);
  return result;
}

/* Reads each wake, and takes nothing, until none comes for two seconds. */
static void read_wakes(la_adapter *adapter) {
  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  uint64_t wakes;
  while (poll(&ready, 1, 2000) > 0) CHECK(read(ready.fd, &wakes, sizeof wakes) == 8);
}

static uint32_t take(la_adapter *adapter) { return take_one(adapter).ending; }

/* Votes and merges are in flight side by side; a bad component ends a merge without a proof. */
static void merge(const char *endpoint) {
  char error[256];
  la_options options = {.size = sizeof options, .endpoints = endpoint, .node_id = "c-merger"};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  la_submit_options submit = {.size = sizeof submit, .slot = 1, .fence_ms = 9000};
  la_snapshot *votes = make_snapshot(3);
  la_checkpoint root = {{5}, 1};
  CHECK(la_merge_root(votes, &root, LA_PROPOSAL_KEY) == -1); /* It has groups. */
  la_snapshot_free(votes);
  CHECK(la_snapshot_submit(adapter, make_merge(1), &submit, NULL) == 0);
  CHECK(la_snapshot_submit(adapter, make_merge(1), &submit, NULL) > 0); /* One is in flight. */
  submit.may_replace = 2;
  CHECK(la_snapshot_submit(adapter, make_merge(1), &submit, NULL) == -1);
  submit.may_replace = 1;
  CHECK(la_snapshot_submit(adapter, make_merge(1), &submit, NULL) == 0);
  submit.may_replace = 0;
  read_wakes(adapter);
  la_result none;
  CHECK(la_take(adapter, 1, &none, sizeof none, 0) == 0); /* It has no room: the eventfd stays readable. */
  CHECK(la_take(adapter, 1, &none, 8, 1) == 0);           /* Its result is too small. */
  for (int ended = 0; ended < 2; ended++) {
    la_result made = take_one(adapter);
    CHECK(made.ending == LA_OUTCOME && made.bad_component == -1 && strlen(made.reason) == 0);
  }
  int reason = 1;
  for (int tries = 0; reason != 0 && tries < 500; tries++) { /* Until the first one is over. */
    reason = la_snapshot_submit(adapter, make_merge(0), &submit, NULL);
    usleep(10000);
  }
  CHECK(reason == 0);
  la_result rejected = take_one(adapter);
  CHECK(rejected.bad_component == 1 && strcmp(rejected.reason, "rejected") == 0);
  char request_id[65];
  reason = 1;
  for (int tries = 0; reason != 0 && tries < 500; tries++) {
    reason = la_snapshot_submit(adapter, make_merge(1), &submit, request_id);
    if (reason != 0) usleep(10000);
  }
  CHECK(la_cancel(adapter, request_id) == 1);
  CHECK(take(adapter) == LA_CANCELLED);
  la_close(adapter, 1000);
}

/* A newer program takes results of its own size: what this library does not know is 0. */
static void newer_results(la_adapter *adapter) {
  enum { RESULTS = 3 };
  struct {
    la_result known;
    uint64_t later;
  } results[RESULTS];
  memset(results, 1, sizeof results);
  size_t count = 0;
  while (count < RESULTS) {
    size_t left = RESULTS - count;
    count += la_take(adapter, 1, &results[count].known, sizeof results[0], left);
    usleep(10000);
  }
  for (int i = 0; i < RESULTS; i++) {
    CHECK(results[i].known.ending == LA_OUTCOME && results[i].later == 0);
    la_result_free(&results[i].known);
  }
}

/* Slot times give fences; a program of the time before may_replace; what the service skips is a result. */
static void slots(const char *endpoint) {
  char error[256];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t now_ms = (uint64_t)now.tv_sec * 1000;
  la_options options = {.size = sizeof options,
                        .endpoints = endpoint,
                        .node_id = "c-clock",
                        .slot_ms = 4000,
                        .intervals = 5,
                        .genesis_ms = now_ms - 4000};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  la_submit_options submit = {.size = offsetof(la_submit_options, may_replace), .slot = 1};
  CHECK(la_snapshot_submit(adapter, make_snapshot(4), &submit, NULL) == 0);
  submit.priority = LA_PROPOSAL;
  CHECK(la_snapshot_submit(adapter, make_snapshot(5), &submit, NULL) == 0);
  submit.priority = LA_BACKLOG;
  CHECK(la_snapshot_submit(adapter, make_snapshot(7), &submit, NULL) == 0);
  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  CHECK(poll(&ready, 1, 9000) > 0); /* One is proved, and two are to come. */
  options.node_id = "c-late";
  la_adapter *late = la_new(&options, error, sizeof error);
  CHECK(late != NULL);
  char request_id[65];
  submit.priority = LA_AGGREGATION;
  submit.fence_ms = 100; /* The proof that runs takes longer. */
  CHECK(la_snapshot_submit(late, make_snapshot(6), &submit, request_id) == 0);
  la_result skipped = take_one(late);
  CHECK(skipped.ending == LA_SKIPPED && strcmp(skipped.request_id, request_id) == 0);
  CHECK(strcmp(skipped.reason, "predicted_miss") == 0);
  la_close(late, 0);
  newer_results(adapter);
  la_close(adapter, 0);
}

/* What there was no room for stays in the adapter, and is dropped at its fence. */
static void fences(const char *endpoint) {
  char error[256];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  la_options options = {.size = sizeof options,
                        .endpoints = endpoint,
                        .node_id = "c-fences",
                        .slot_ms = 4000,
                        .intervals = 5,
                        .genesis_ms = (uint64_t)now.tv_sec * 1000 - 4000};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  la_submit_options submit = {.size = sizeof submit, .slot = 1, .deadline_ms = 4000};
  la_checkpoint checkpoint = {{11}, 1};
  uint8_t signature[2536] = {11};
  la_snapshot *snapshot = make_snapshot(10);
  CHECK(la_snapshot_group(snapshot, 1, &checkpoint, &checkpoint, &checkpoint) == 0);
  CHECK(la_snapshot_raw(snapshot, 0, signature, sizeof signature) == 0);
  CHECK(la_snapshot_submit(adapter, snapshot, &submit, NULL) == 0);
  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  for (uint64_t results = 0, wakes = 0; results < 2; results += wakes) {
    CHECK(poll(&ready, 1, 9000) > 0 && read(ready.fd, &wakes, sizeof wakes) == 8);
  }
  la_result taken;
  CHECK(la_take(adapter, 1, &taken, sizeof taken, 1) == 1 && taken.ending == LA_OUTCOME);
  la_result_free(&taken);
  CHECK(la_take(adapter, 3, &taken, sizeof taken, 1) == 0); /* The fence is the start of slot 3. */
  la_close(adapter, 0);
}

/* Notes that the service has heard a later run of this node. */
static void note(void *context, const char *text) {
  if (strstr(text, "node_id_in_use") != NULL) *(volatile int *)context = 1;
}

/* The node's log gets what an operator should know, until the adapter is closed. */
static void logs(const char *endpoint) {
  char error[256];
  la_options options = {
      .size = sizeof options, .endpoints = endpoint, .node_id = "c-log", .node_epoch = 2};
  la_adapter *later = la_new(&options, error, sizeof error);
  CHECK(later != NULL);
  la_submit_options submit = {
      .size = sizeof submit, .slot = 1, .deadline_ms = 4000, .fence_ms = 9000};
  CHECK(la_snapshot_submit(later, make_snapshot(12), &submit, NULL) == 0);
  CHECK(take(later) == LA_OUTCOME);
  volatile int *context = calloc(1, sizeof *context);
  options.node_epoch = 1;
  options.log = note;
  options.log_context = (void *)context;
  la_adapter *earlier = la_new(&options, error, sizeof error);
  CHECK(earlier != NULL);
  for (int tries = 0; *context == 0 && tries < 900; tries++) usleep(10000);
  CHECK(*context == 1);
  la_close(earlier, 0);
  free((void *)context);
  la_close(later, 0);
}

/* Takes its time, and then writes to its context. */
static int slow_check(void *context, const la_proof *proof) {
  (void)proof;
  usleep(400000);
  *(int *)context = 2;
  return 1;
}

static int begun_check(void *context, const la_proof *proof) {
  *(int *)context = 1;
  return slow_check(context, proof);
}

/* The context may be freed once the adapter is closed. */
static void close_while_checking(const char *endpoint) {
  char error[256];
  volatile int *context = calloc(1, sizeof *context);
  la_options options = {.size = sizeof options,
                        .endpoints = endpoint,
                        .node_id = "c-closing",
                        .verify = begun_check,
                        .verify_context = (void *)context};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  la_submit_options submit = {.size = sizeof submit, .slot = 1, .fence_ms = 9000};
  CHECK(la_snapshot_submit(adapter, make_snapshot(8), &submit, NULL) == 0);
  for (int tries = 0; *context == 0 && tries < 900; tries++) usleep(10000);
  CHECK(*context == 1);
  la_close(adapter, 0);
  CHECK(*context == 2);
  free((void *)context);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  misuse(argv[1]);
  merge(argv[1]);
  slots(argv[1]);
  fences(argv[1]);
  logs(argv[1]);
  close_while_checking(argv[1]);
  int checks = 0;
  char error[256];
  la_options options = {.size = sizeof options,
                        .endpoints = argv[1],
                        .node_id = "c-node",
                        .verify = reject,
                        .verify_context = &checks};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  la_submit_options submit = {
      .size = sizeof submit, .slot = 1, .deadline_ms = 4000, .fence_ms = 8000};
  char request_id[65];
  submit.priority = 7;
  CHECK(la_snapshot_submit(adapter, make_snapshot(1), &submit, request_id) == -1);
  submit.priority = LA_AGGREGATION;
  CHECK(la_snapshot_submit(adapter, make_snapshot(1), &submit, request_id) == 0);
  CHECK(take(adapter) == LA_REFUSED && checks == 1);
  CHECK(la_cancel(adapter, request_id) == 0); /* It is over. */
  CHECK(la_snapshot_submit(adapter, make_snapshot(2), &submit, request_id) == 0);
  CHECK(la_cancel(adapter, "another") == 0 && la_cancel(adapter, NULL) == 0);
  CHECK(la_cancel(adapter, request_id) == 1);
  CHECK(take(adapter) == LA_CANCELLED);
  la_close(adapter, 1000);
  puts("done");
  return 0;
}
