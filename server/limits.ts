/** Every bound of the service with its reason. Configuration may lower some; nothing is unbounded. */
export const limits = {
  /** 4096 raw signatures of 2.4 KB plus 16 children of 512 KiB and a key table fit in 20 MiB. */
  snapshotBytesMax: 24 * 1024 * 1024,
  /** A block carries at most 8 distinct attestation data; twice that for backlog. */
  groupsMax: 16,
  /** Groups of a snapshot, with those over `groupsMax`: each of them costs an outcome too. */
  groupsSentMax: 256,
  /** leanSpec's VALIDATOR_REGISTRY_LIMIT. */
  validatorsMax: 4096,
  /**
   * Raw signatures and children of a snapshot: 24 MiB have 10,000 signatures of 2.4 KB. Each that
   * is left out costs a hash: 30 ms for so many.
   */
  inputsMax: 16_384,
  /** Children of a group, whatever its backend takes: each costs seconds to fold in. */
  childrenMax: 64,
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
  /** Of all held bytes, for all answers together: whoever does not read keeps no snapshot out. */
  answersPercentMax: 25,
  /** Node ids and request ids: a UUID and room; both are kept, and stand in logs. */
  idLengthMax: 64,
  /** Remembered request ids a node; a retry comes within seconds. */
  requestIdsMax: 256,
  /** How often backlog is passed over, waiting or killed, before it has a turn: two slots of a block. */
  proofsBeforeBacklog: 8,
  /** Devices of one service: a machine with eight GPUs and its CPU has nine. */
  devicesMax: 16,
  /** Descriptors of a prover: it has 20 while it proves; a GPU's driver takes some dozens more. */
  proverFilesMax: 256,
  /** A request to a prover: a part of the largest snapshot, with room. */
  proverRequestBytesMax: 48 * 1024 * 1024,
  /** What a prover answers: one proof, or 4096 verdicts, with room. */
  proverReplyBytesMax: 1024 * 1024,
  /** A prover says what it is in names and revisions; a longer one is no description. */
  proverNameLengthMax: 256,
  /** An error of a prover is the 512 bytes of the C ABI and a few words around them. */
  proverErrorLengthMax: 2048,
  /** What is kept of a prover's last words: the last lines of a panic or a Python traceback. */
  proverStderrBytesMax: 2048,
  /** An XMSS key or signature is a few KB; sizes beyond this would only exhaust memory. */
  proverItemBytesMax: 64 * 1024,
  /** Requests that wait for one prover: far above what a lane has in flight. */
  proverRequestsMax: 1024,
  /** A cold setup takes 4 to 13 s; several times that on a loaded machine. */
  proverStartMsMax: 60_000,
  /** Ten heartbeats of a prover: below this a loaded machine explains the silence. */
  proverSilenceMsMax: 5000,
  /** A verification takes 0.1 ms a signature, 20 to 100 ms a proof: far beyond it, the process hangs. */
  verifyMsMax: 2000,
  /** More for each signature that is verified. */
  verifyMsPerSignature: 2,
  /** Of the machine's memory or the container's, for all proving processes together. */
  proverMemoryPercentMax: 80,
  /** A prover's heart beats twice a second and after each proof: far more would keep our loop busy. */
  proverHeartbeatsPerSecondMax: 1000,
  /** An input that has ended this many provers is not tried again. */
  setAsideDeathsMax: 2,
  /** Inputs that provers died over: more than any network sends in good faith between two fences. */
  setAsideMax: 256,
  /** Those that a policy names: each node of `nodesMax` with its own, and as many people and tools. */
  principalsMax: 512,
  /** What a device has learned, as a file: one that we wrote has less than 1 KB. */
  costFileBytesMax: 16 * 1024,
  /** A policy file: `principalsMax` principals of 2 KB. */
  policyBytesMax: 1024 * 1024,
  /** How often the policy file is looked at, and open streams held against it. */
  policyPollMs: 1000,
  /** A denied call leaves a line in the log, of each reason at most one so often. */
  deniedLogEveryMs: 10_000,
  /** Streams a node may have open: one per adapter, one for a person, some for reconnects. */
  streamsPerNodeMax: 8,
  /**
   * Highest quota of calls: more than one loop answers, so that a higher one would bound nothing.
   * Without a quota calls are not counted: one socket or loopback may stand for a whole fleet, and
   * what a single call can take is bounded elsewhere.
   */
  callsPerMinuteMax: 1_000_000,
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
  /** Of JSON: decoding it holds every other node up, some 35 ms a MB; a snapshot of 1 MB has 1.4. */
  jsonBytesMax: 4 * 1024 * 1024,
  /** Messages in one request: 4096 keys, 16 groups of 4096 raw signatures, and room. */
  requestMessagesMax: 100_000,
  /** A whole request arrives within this: 24 MiB at 20 Mbit/s. A slower one gives its share back. */
  requestReadMsMax: 10_000,
  /** An answer is taken within this: 16 proofs of 512 KiB at 7 Mbit/s. A slower caller is cut. */
  answerTakeMsMax: 10_000,
  /** A TLS handshake: a few round trips, with room for a far and busy client. */
  handshakeMsMax: 3000,
  /** HTTP headers, and the bytes that tell HTTP/1.1 from HTTP/2: a round trip or two, with room. */
  headersReadMsMax: 5000,
  /** HTTP headers of a request: names, a timeout, a token of some KiB; as Node's own for HTTP/1.1. */
  headerBytesMax: 16 * 1024,
  /** An idle HTTP/1.1 connection is kept over a slot or two, so that a node reuses its own. */
  keepAliveMs: 15_000,
  /** An HTTP/2 connection is pinged this often, and cut when the last ping went unanswered. */
  pingEveryMs: 10_000,
  /**
   * Pings that a client may send in between: two a second to see whether we live, and one a frame
   * of 16 KiB to measure the way while sixteen proofs arrive.
   */
  pingsMax: 1000,
  /**
   * Settings that a client may send in between: gRPC's clients tell a new window as they measure
   * the way, a few times at most.
   */
  settingsMax: 100,
  /** Connections of the data plane, and of the HTTP edge: every node twice, as while it restarts. */
  connectionsMax: 512,
  /** Connections of the operator's listener: a few people and their scripts. */
  adminConnectionsMax: 16,
  /** Connections of the listener for probes: each probe has one, for a moment. */
  probeConnectionsMax: 16,
  /**
   * A connection is told to leave at about this age: so that one whose certificate authority is
   * trusted no longer ends, and a balancer in front can spread them anew.
   */
  connectionAgeMs: 30 * 60_000,
  /** A connection without a call is told to leave then; an adapter always has a stream open. */
  connectionIdleMs: 5 * 60_000,
  /** What is told to leave has this long for its calls: the longest wait of GetSession, and room. */
  connectionGraceMs: 70_000,
  /** Bytes that a client may send before it waits: a snapshot of today's networks in one go. */
  receiveWindowBytes: 1024 * 1024,
  /**
   * Calls at once on one HTTP/2 connection: a node has a stream or two and a few unary calls. Each
   * takes some 0.1 ms of everybody's to begin and as much to be cut, so that twice as many on a
   * connection made for it would hold others up for twice as long.
   */
  callsPerConnectionMax: 32,
  /**
   * Calls that may end without an answer between two of our pings: all that may be open, four times,
   * as when a client closes and soon does again. Each costs us more than it costs to send.
   */
  resetsMax: 128,
  /**
   * An address of which a connection was cut for what it did has this between its next ones: what
   * leads to a cut costs us up to 10 ms, and so no more than a twentieth of our time.
   */
  penaltyEveryMs: 250,
  /** For so long after each cut; and no connection waits longer. */
  penaltyMs: 1000,
  /** Addresses that are known for it; the oldest are forgotten. */
  penaltiesMax: 1024,
} as const;

/** The service's defaults; 750 ms to start, and two slots less two intervals. */
export const defaults = {
  deadlineMs: 750,
  fenceMs: 6400,
  drainMs: 2000,
  /** The node may call, when the operator has put it into the socket's group. */
  socketMode: "0660",
  /** A proof with four children peaks at 2.6 GB and leaves about 1 GB behind. */
  proverMemoryMb: 3000,
} as const;
