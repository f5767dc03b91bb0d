/** Every bound of the service with its reason. Configuration may lower some; nothing is unbounded. */
export const limits = {
  /** 4096 raw signatures of 2.4 KB plus 16 children of 512 KiB and a key table fit in 20 MiB. */
  snapshotBytesMax: 24 * 1024 * 1024,
  /** A block carries at most 8 distinct attestation data; twice that for backlog. */
  groupsMax: 16,
  /** leanSpec's VALIDATOR_REGISTRY_LIMIT. */
  validatorsMax: 4096,
  /** The chain's own proof cap, 512 KiB. The older network's 1 MiB comes from its backend. */
  proofBytesMax: 512 * 1024,
  /** Longest deadline: a backlog session may start work for a few slots, not for ever. */
  deadlineMsMax: 60_000,
  /** Longest fence: proof bytes are kept this long at most. */
  fenceMsMax: 120_000,
  /** Outcomes and summaries stay readable this long after the session's fence. */
  retentionMs: 60_000,
  /** Events a node's log keeps; 16 groups and a summary a slot leave room for 60 slots. */
  logEventsMax: 1024,
  /** Nodes with a log; a fleet's largest shared server, with room. */
  nodesMax: 256,
  /** Sessions in flight over all nodes: each may hold one snapshot. */
  sessionsInFlightMax: 64,
  /** Bytes of snapshots and proofs held at once, queued sessions included. */
  heldBytesMax: 512 * 1024 * 1024,
  /** What an outcome holds for each input that it names as left out: 350 bytes were measured. */
  leftOutBytes: 400,
  /** Remembered request ids a node; a retry comes within seconds. */
  requestIdsMax: 256,
  /** Proofs of higher classes in a row before backlog that waits gets a turn: two slots of a block. */
  proofsBeforeBacklog: 8,
  /** Devices of one service: a machine with eight GPUs and its CPU has nine. */
  devicesMax: 16,
  /** Inputs that provers died over: more than any network sends in good faith between two fences. */
  setAsideMax: 256,
  /** Streams a node may have open: one per adapter, one for a person, some for reconnects. */
  streamsPerNodeMax: 8,
  /** The operator's requests carry two short names at most. */
  adminRequestBytesMax: 4096,
  /** VerifyAggregate calls at once: each takes up to 0.1 s of the process that checks proofs too. */
  verifyCallsMax: 8,
  /** Longest wait of GetSession, and for a drained device to be quiet; a client asks again. */
  waitMsMax: 60_000,
  /** Largest request that carries neither snapshot nor proof: ids, a cursor, group indices. */
  requestBytesMax: 64 * 1024,
  /** VerifyAggregate: one proof and 4096 keys of 32 bytes, also as JSON, where base64 adds a third. */
  verifyBytesMax: 1024 * 1024,
  /** Messages in one request: 4096 keys, 16 groups of 4096 raw signatures, and room. */
  requestMessagesMax: 100_000,
  /** A whole request arrives within this: 24 MiB at 20 Mbit/s. A slower one gives its share back. */
  requestReadMsMax: 10_000,
  /** HTTP headers, and the bytes that tell HTTP/1.1 from HTTP/2: a round trip or two, with room. */
  headersReadMsMax: 5000,
  /** An idle HTTP/1.1 connection is kept over a slot or two, so that a node reuses its own. */
  keepAliveMs: 15_000,
  /** An HTTP/2 connection is pinged this often, and cut when the last ping went unanswered. */
  pingEveryMs: 10_000,
  /** Connections of the HTTP edge: every node of `nodesMax`, its neighbour, and scrapers. */
  httpConnectionsMax: 512,
  /** Calls at once on one HTTP/2 connection: a node has a stream or two and a few unary calls. */
  callsPerConnectionMax: 64,
} as const;

/** The service's defaults; 750 ms to start, and two slots less two intervals. */
export const defaults = {
  deadlineMs: 750,
  fenceMs: 6400,
  drainMs: 2000,
  /** A proof with four children peaks at 2.6 GB and leaves about 1 GB behind. */
  proverMemoryMb: 3000,
} as const;
