/** Every limit of the service, with its reason. Configuration can lower some of them. */
export const limits = {
  /** A snapshot: 4096 raw signatures of 2.4 KB, 16 children of 512 KiB and a key table: 20 MiB. */
  snapshotBytesMax: 24 * 1024 * 1024,
  /** Groups accepted of a snapshot: a block has at most 8 attestation data; twice that. */
  groupsMax: 16,
  /** Groups sent in a snapshot: those over `groupsMax` get an outcome, no proof. */
  groupsSentMax: 256,
  /** leanSpec's VALIDATOR_REGISTRY_LIMIT. */
  validatorsMax: 4096,
  /**
   * Raw signatures and children of a snapshot: 24 MiB hold 10,000 signatures of 2.4 KB. Each input
   * that is left out costs a hash: 30 ms for this many.
   */
  inputsMax: 16_384,
  /** Children of a group, even if the backend takes more: each adds seconds to the proof. */
  childrenMax: 64,
  /** One proof: the chain's limit of 512 KiB. The older network's 1 MiB comes from its backend. */
  proofBytesMax: 512 * 1024,
  /** Longest deadline: a backlog session may start work for a few slots, not indefinitely. */
  deadlineMsMax: 60_000,
  /** Longest fence: proof bytes are kept at most this long. */
  fenceMsMax: 120_000,
  /** Outcomes and summaries stay readable this long after the session's fence. */
  retentionMs: 60_000,
  /** Events kept in a node's log: 60 slots with 16 groups and a summary each. */
  logEventsMax: 1024,
  /** Nodes with a log: more than the largest fleet that shares one service. */
  nodesMax: 256,
  /** Sessions in flight of all nodes together: each may hold one snapshot. */
  sessionsInFlightMax: 64,
  /** Snapshots and proofs held at once, those of queued sessions included. */
  heldBytesMax: 512 * 1024 * 1024,
  /** Memory of an outcome for each input that it names as left out: 350 bytes measured. */
  leftOutBytes: 400,
  /** Share of the held bytes for all answers: clients that do not read keep no snapshot out. */
  answersPercentMax: 25,
  /** Characters of a node id or request id: a UUID and more. Both are kept and logged. */
  idLengthMax: 64,
  /** Request ids remembered for each node: a retry comes within seconds. */
  requestIdsMax: 256,
  /** Proofs of other priorities before backlog gets a turn: two slots with a full block each. */
  proofsBeforeBacklog: 8,
  /** Devices of one service: a machine with eight GPUs and a CPU has nine. */
  devicesMax: 16,
  /** File descriptors of a prover: 20 while it proves, some dozens more of a GPU driver. */
  proverFilesMax: 256,
  /** One request to a prover: a part of the largest snapshot, with room. */
  proverRequestBytesMax: 48 * 1024 * 1024,
  /** One reply of a prover: one proof, or 4096 verdicts, with room. */
  proverReplyBytesMax: 1024 * 1024,
  /** Names and revisions by which a prover describes itself: a longer one is invalid. */
  proverNameLengthMax: 256,
  /** An error of a prover: the 512 bytes of the C ABI and a few words around them. */
  proverErrorLengthMax: 2048,
  /** Kept of a prover's standard error: the last lines of a panic or a Python traceback. */
  proverStderrBytesMax: 2048,
  /** One key or signature: XMSS has a few KB; a larger one would only exhaust memory. */
  proverItemBytesMax: 64 * 1024,
  /** Requests waiting for one prover: far more than a lane has in flight. */
  proverRequestsMax: 1024,
  /** A prover's setup: 4 to 13 s when cold, several times that on a loaded machine. */
  proverStartMsMax: 60_000,
  /** Silence of a prover before it counts as hung: ten heartbeats, more than load explains. */
  proverSilenceMsMax: 5000,
  /** A verification before it counts as hung: a proof takes 20 to 100 ms, a signature 0.1 ms. */
  verifyMsMax: 2000,
  /** Added to `verifyMsMax` for each signature of the request. */
  verifyMsPerSignature: 2,
  /** Share of the machine's or container's memory for all prover processes together. */
  proverMemoryPercentMax: 80,
  /** Heartbeats of a prover: it sends two a second and one after each proof; more are misuse. */
  proverHeartbeatsPerSecondMax: 1000,
  /** Provers that an input may end before it is set aside and not proved again. */
  setAsideDeathsMax: 2,
  /** Inputs remembered because provers died over them: more than an honest network ever sends. */
  setAsideMax: 256,
  /** Principals of a policy: one for each of `nodesMax` nodes, and as many people and tools. */
  principalsMax: 512,
  /** The file of the costs learned for a device: the service writes less than 1 KB. */
  costFileBytesMax: 16 * 1024,
  /** A policy file: `principalsMax` principals of 2 KB. */
  policyBytesMax: 1024 * 1024,
  /** Between two polls of the policy file, and two checks of open streams against the policy. */
  policyPollMs: 1000,
  /** Between two log lines about denied calls with the same reason. */
  deniedLogEveryMs: 10_000,
  /** Open streams of a node: one for its adapter, one for a person, some for reconnects. */
  streamsPerNodeMax: 8,
  /**
   * Highest quota of calls: more than one event loop can answer, so a higher quota would limit
   * nothing. Calls without a quota are not counted: a whole fleet may share one socket or loopback
   * address, and other limits bound each call.
   */
  callsPerMinuteMax: 1_000_000,
  /** An operator's request: it carries at most two short names. */
  adminRequestBytesMax: 4096,
  /** VerifyAggregate calls at once: each takes up to 0.1 s of the process that verifies proofs. */
  verifyCallsMax: 8,
  /** Longest wait of GetSession and of DrainDevice: a client that waits longer calls again. */
  waitMsMax: 60_000,
  /** A request without snapshot or proof: ids, a cursor, group indices. */
  requestBytesMax: 64 * 1024,
  /** A VerifyAggregate request: a proof and 4096 keys of 32 bytes; in JSON, base64 adds a third. */
  verifyBytesMax: 1024 * 1024,
  /** A JSON request: decoding blocks all nodes for 35 ms a MB; a snapshot of 1 MB has 1.4 MB. */
  jsonBytesMax: 4 * 1024 * 1024,
  /** Messages in one request: 4096 keys, 16 groups of 4096 raw signatures, and room. */
  requestMessagesMax: 100_000,
  /** Arrival of a whole request: 24 MiB at 20 Mbit/s. A slower one is refused. */
  requestReadMsMax: 10_000,
  /** Reading of an answer: 16 proofs of 512 KiB at 7 Mbit/s. A slower client is cut off. */
  answerTakeMsMax: 10_000,
  /** A TLS handshake: a few round trips, with room for a distant or busy client. */
  handshakeMsMax: 3000,
  /** Arrival of HTTP headers, and of the first bytes, which show the HTTP version. */
  headersReadMsMax: 5000,
  /** HTTP headers of a request: names, a timeout, a token of some KiB; Node.js's own limit. */
  headerBytesMax: 16 * 1024,
  /** An idle HTTP/1.1 connection stays open for a few slots, so that a node can reuse it. */
  keepAliveMs: 15_000,
  /** Between two pings to an HTTP/2 connection, which is cut when the last was not answered. */
  pingEveryMs: 10_000,
  /**
   * Pings of a client between two of ours: two a second as keepalive, and one for each frame of
   * 16 KiB that measures bandwidth while sixteen proofs arrive.
   */
  pingsMax: 1000,
  /**
   * SETTINGS frames of a client between two of our pings: gRPC clients resize their window a few
   * times while they measure bandwidth.
   */
  settingsMax: 100,
  /** Connections of the nodes' listener: two for each node, as during its restart. */
  connectionsMax: 512,
  /** Connections of the operator's listener: a few people and scripts. */
  adminConnectionsMax: 16,
  /** Connections of the probes' listener: each probe or scraper has one for a moment. */
  probeConnectionsMax: 16,
  /**
   * Age at which a connection gets a GOAWAY: it ends when its certificate authority is no longer
   * trusted, and a load balancer can distribute connections anew.
   */
  connectionAgeMs: 30 * 60_000,
  /** A connection without a call gets a GOAWAY after this; an adapter always has a stream open. */
  connectionIdleMs: 5 * 60_000,
  /** Time for calls to end after a GOAWAY: the longest wait of GetSession, and room. */
  connectionGraceMs: 70_000,
  /** Flow-control window of a connection: today's snapshots arrive without a pause. */
  receiveWindowBytes: 1024 * 1024,
  /**
   * Calls at once on one HTTP/2 connection: a node has a stream or two and a few unary calls. Each
   * takes about 0.1 ms of the event loop to start and 0.1 ms to reset, so a connection that opens
   * twice as many delays all others twice as long.
   */
  callsPerConnectionMax: 32,
  /**
   * Calls reset by the client between two of our pings: four times all that may be open, as when a
   * client closes and reopens its streams. Each costs us more than it costs the client.
   */
  resetsMax: 128,
  /**
   * Between two new connections from an address after a connection of it was cut for misuse: each
   * misuse costs up to 10 ms, so an address takes at most a twentieth of our time.
   */
  penaltyEveryMs: 250,
  /** How long that lasts after each cut, and the longest that a connection waits. */
  penaltyMs: 1000,
  /** Addresses remembered for it; the oldest are forgotten first. */
  penaltiesMax: 1024,
} as const;

/** The service's defaults. */
export const defaults = {
  /** A proof of a slot's votes is useful if it is ready 750 ms after the snapshot. */
  deadlineMs: 750,
  /** Two slots less two intervals. */
  fenceMs: 6400,
  drainMs: 2000,
  /** The node may call when the operator has added its user to the socket's group. */
  socketMode: "0660",
  /** A proof with four children peaks at 2.6 GB; about 1 GB stays allocated after it. */
  proverMemoryMb: 3000,
} as const;
