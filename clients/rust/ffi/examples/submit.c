/* Submits one snapshot and waits for its result: submit ENDPOINT [CA.pem [CERTIFICATE.pem KEY.pem]].
 * The environment variable TOKEN may have a token. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lean_aggregator.h"

/* A text from a file; the example keeps it until it exits. */
static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  char *text = calloc(1, 1 << 16);
  if (file == NULL || text == NULL || fread(text, 1, (1 << 16) - 1, file) == 0) {
    perror(path);
    exit(1);
  }
  fclose(file);
  return text;
}

static la_snapshot *make_snapshot(void) {
  la_checkpoint checkpoint = {{1}, 1};
  uint8_t key[52];
  uint8_t signature[2536];
  memset(key, 7, sizeof key);
  memset(signature, 9, sizeof signature);
  la_snapshot *snapshot = la_snapshot_new(&checkpoint, &checkpoint);
  la_snapshot_key(snapshot, 0, LA_ATTESTATION_KEY, key, sizeof key);
  la_snapshot_group(snapshot, 1, &checkpoint, &checkpoint, &checkpoint);
  la_snapshot_raw(snapshot, 0, signature, sizeof signature);
  return snapshot;
}

/* A node calls its own verifier here. This is called on a thread of the adapter. */
static int verify(void *context, const la_proof *proof) {
  (void)context;
  return proof->proof_len > 0 && proof->message_len == 32;
}

int main(int argc, char **argv) {
  la_options options = {
      .size = sizeof options,
      .endpoints = argc > 1 ? argv[1] : "127.0.0.1:9190",
      .node_id = "c-node",
      .token = getenv("TOKEN"),
      .verify = verify,
  };
  char *texts[3] = {NULL, NULL, NULL};
  for (int i = 0; i < 3 && i + 2 < argc; i++) texts[i] = read_file(argv[i + 2]);
  options.ca_pem = texts[0];
  options.certificate_pem = texts[1];
  options.key_pem = texts[2];

  char error[256];
  la_adapter *adapter = la_new(&options, error, sizeof error);
  for (int i = 0; i < 3; i++) free(texts[i]); /* la_new has copied them. */
  if (adapter == NULL) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  la_submit_options submit = {
      .size = sizeof submit, .slot = 1, .deadline_ms = 2000, .fence_ms = 4000};
  char request_id[65];
  int reason = la_snapshot_submit(adapter, make_snapshot(), &submit, request_id);
  printf("%s\n", reason == 0 ? "submitted" : la_skip_reason(reason));

  struct pollfd ready = {la_ready_fd(adapter), POLLIN, 0};
  la_result results[4];
  size_t count = 0;
  if (reason == 0 && poll(&ready, 1, 5000) > 0) {
    uint64_t wakes;
    if (read(ready.fd, &wakes, sizeof wakes) > 0) count = la_take(adapter, 1, results, sizeof results[0], 4);
  }
  for (size_t i = 0; i < count; i++) {
    printf("group %u: ending %u, proof of %zu bytes %s\n", results[i].group_index, results[i].ending,
           results[i].proof_len, results[i].reason);
    la_result_free(&results[i]);
  }
  la_close(adapter, 0);
  return 0;
}
