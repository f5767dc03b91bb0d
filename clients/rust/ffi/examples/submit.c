/* Submits one snapshot and waits for its result: submit ENDPOINT. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lean_aggregator.h"

static la_snapshot *make_snapshot(void) {
  la_checkpoint checkpoint = {{1}, 1};
  uint8_t key[52];
  uint8_t signature[2536];
  memset(key, 7, sizeof key);
  memset(signature, 9, sizeof signature);
  la_snapshot *snapshot = la_snapshot_new(&checkpoint, &checkpoint);
  la_snapshot_key(snapshot, 0, key, sizeof key);
  la_snapshot_group(snapshot, 1, &checkpoint, &checkpoint, &checkpoint);
  la_snapshot_raw(snapshot, 0, signature, sizeof signature);
  return snapshot;
}

int main(int argc, char **argv) {
  la_options options = {sizeof options, argc > 1 ? argv[1] : "127.0.0.1:9190", "c-node", 0};
  char error[256];
  la_adapter *adapter = la_new(&options, error, sizeof error);
  if (adapter == NULL) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  la_submit_options submit = {sizeof submit, 1, 5000, 10000, LA_AGGREGATION, 0};
  char request_id[65];
  int reason = la_snapshot_submit(adapter, make_snapshot(), &submit, request_id);
  printf("%s\n", reason == 0 ? "submitted" : la_skip_reason(reason));

  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  la_result results[4];
  size_t count = 0;
  if (reason == 0 && poll(&ready, 1, argc > 2 ? 200 : 12000) > 0) {
    uint64_t wakes;
    if (read(ready.fd, &wakes, sizeof wakes) > 0) count = la_take(adapter, 1, results, 4);
  }
  for (size_t i = 0; i < count; i++) {
    printf("group %u: ending %u, proof of %zu bytes\n", results[i].group_index, results[i].ending,
           results[i].proof_len);
    la_result_free(&results[i]);
  }
  la_close(adapter, 0);
  return 0;
}
