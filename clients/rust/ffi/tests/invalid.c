/* A submission that is invalid: invalid ENDPOINT of a service that answers nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "lean_aggregator.h"

static void keep(void *context, const char *text) {
  if (strstr(text, "participants is empty") != NULL) *(int *)context += 1;
}

/* Submits a merge whose proof has no participants. */
static void submit_invalid(la_adapter *adapter) {
  la_checkpoint checkpoint = {{1}, 1};
  uint8_t proof[8] = {1};
  la_snapshot *merge = la_snapshot_new(&checkpoint, &checkpoint);
  CHECK(la_merge_data(merge, 1, &checkpoint, &checkpoint, &checkpoint) == 0);
  CHECK(la_snapshot_child(merge, NULL, 0, proof, sizeof proof) == 0);
  la_submit_options submit = {.size = sizeof submit, .slot = 1, .fence_ms = 9000};
  int reason = la_snapshot_submit(adapter, merge, &submit, NULL);
  CHECK(strcmp(la_skip_reason(reason), "invalid") == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  int kept = 0;
  char error[256];
  la_options options = {.size = sizeof options,
                        .endpoints = argv[1],
                        .node_id = "c-node",
                        .log = keep,
                        .log_context = &kept};
  la_adapter *adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  submit_invalid(adapter);
  CHECK(kept == 1);
  la_close(adapter, 0);
  /* Without the function it is printed, which ends no node of which nobody reads the standard error. */
  int ends[2];
  CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
  close(ends[0]);
  close(ends[1]);
  options.log = NULL;
  adapter = la_new(&options, error, sizeof error);
  CHECK(adapter != NULL);
  submit_invalid(adapter);
  la_close(adapter, 0);
  puts("done");
  return 0;
}
