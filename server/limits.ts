/**
 * Every limit of the service: what it limits and, after the colon, its reason. Names have the unit.
 * The configuration can set some limits lower.
 */
export const limits = {
  /** A snapshot: 4096 raw signatures of 2.4 KB, 16 children of 512 KiB and the keys make 18 MiB. */
  snapshotBytesMax: 24 * 1024 * 1024,
  /** Groups of a snapshot that may be proved: twice the 8 attestation data of a full block. */
  groupsMax: 16,
  /** Groups sent in a snapshot: those beyond `groupsMax` get an outcome but no proof. */
  groupsSentMax: 256,
  /** Validators: leanSpec's VALIDATOR_REGISTRY_LIMIT. */
  validatorsMax: 4096,
  /**
   * Raw signatures and children of a snapshot: 24 MiB hold 10,000 signatures of 2.4 KB. Each input
   * that is left out has to be hashed: 30 ms for this many inputs.
   */
  inputsMax: 16_384,
  /**
   * Validators of the children of a snapshot's groups: each in two children of each of `groupsMax` groups.
   * Each has its key copied and hashed: 15 ms for this many, as estimated.
   */
  participantsMax: 131_072,
  /** Children of a group, even if the backend takes more: each adds seconds to the proof. */
  childrenMax: 64,
  /** Messages of a merge, even if the backend takes more: a block has 8 attestations and its root. */
  mergeMessagesMax: 16,
  /**
   * Keys of a merge that is proved, over all its messages. A proof of lean_pq lists each with its message,
   * in 64 bytes: beside the 245 KB of the rest, more would pass `proofBytesMax`.
   */
  mergeKeysMax: 4096,
  /** One proof: the chain's limit of 512 KiB. A backend may have its own, lower limit. */
  proofBytesMax: 512 * 1024,
  /**
   * Longest deadline of a session: backlog may start proofs for some slots, not indefinitely. As long as a
   * fence, for an adapter's default for backlog and merges, and for what it submits again, is the fence.
   */
  deadlineMsMax: 120_000,
  /** Longest fence of a session: its proofs are kept in memory until then. */
  fenceMsMax: 120_000,
  /** Outcomes and summaries can be read at most this long after the session's fence. */
  retentionMs: 60_000,
  /**
   * Events kept for the readers that follow a node, and outcomes of its ended requests: 60 slots
   * with 16 outcomes and a summary each.
   */
  nodeEventsMax: 1024,
  /** Awaited requests of a stream: a node has one in flight a priority, and merges its backlog. */
  awaitedMax: 64,
  /** Silence after which a stream gets a heartbeat: three of them fit in what a reader allows. */
  heartbeatMs: 500,
  /** Nodes that have a record: more than the largest fleet that shares one service. */
  nodesMax: 256,
  /** Values of a metric's label `node`: a fleet of that size is read node by node. */
  nodeLabelsMax: 64,
  /** Time without a snapshot after which a node may lose its label to another: a devnet's restart. */
  nodeLabelMs: 10 * 60_000,
  /** Steps of a request, and the worth of a vote in one: a slot has four intervals, and 20 bits. */
  stepsMax: 8,
  stepWeightMax: 1_000_000,
  /** Steps of an attempt, which joins those of its requests: they mostly have the same weights. */
  attemptStepsMax: 32,
  /** Sessions in flight, of all nodes together: two of each, as far as `heldBytesMax` has room. */
  sessionsInFlightMax: 512,
  /** Memory for requests, snapshots, proofs and answers: about twenty of the largest snapshots. */
  heldBytesMax: 512 * 1024 * 1024,
  /** Memory counted for each group of a session in flight besides inputs and outcome: 3.6 KB measured. */
  groupBytes: 4000,
  /** Memory counted for each request of a node's record besides its outcomes: 2.0 KB measured. */
  recordBytes: 2500,
  /** Memory counted for each outcome besides its proof and its lists: 3.8 KB measured, 4.0 KB with eight steps. */
  outcomeBytes: 4500,
  /** Memory counted for each input that an outcome names as left out: 350 bytes measured. */
  leftOutBytes: 400,
  /** Memory counted for each claim of an outcome besides its participants: 1.3 KB measured. */
  claimBytes: 1500,
  /** Share of `heldBytesMax` for answers: clients that do not read them must not fill it all. */
  answersPercentMax: 25,
  /**
   * Share of what is free of `heldBytesMax` for the requests of one connection: 100 MB, four of the
   * largest snapshots. An honest node sends one or two at once; eight connections that fill their
   * shares leave room for another's largest.
   */
  connectionPercentMax: 25,
  /** Memory counted for a call while it is open: 37 KB measured over HTTP/2, 14 KB over HTTP/1.1. */
  callBytes: 40 * 1024,
  /** Characters of a node id or request id: a UUID and more. Both are kept and logged. */
  idLengthMax: 64,
  /** Ended requests kept for each node: enough, since a client retries within seconds. */
  requestIdsMax: 256,
  /**
   * Groups that may overtake waiting backlog before it gets a turn: those of a full block. As many
   * votes may overtake merges that are made ahead.
   */
  proofsBeforeBacklog: 8,
  /** After votes were proved, a node has so long to replace a merge that waited: by one that has their proof. */
  replaceMs: 250,
  /**
   * Sessions of one node, priority, kind and proof system that have begun all their groups, so that no other
   * replaces anything of them: as many merges as an adapter has in flight.
   */
  begunSessionsMax: 3,
  /** Proof systems of one lane host, so that no host takes all that a service may have. */
  hostSystemsMax: 4,
  /** Devices of one service: a machine with eight GPUs and a CPU has nine. */
  devicesMax: 16,
  /** Proof systems of one service: two while it is upgraded, a few more with other schemes. */
  proofSystemsMax: 16,
  /** A message between doors and lane hosts, as NATS has it by default; work and proofs in chunks. */
  fleetMessageBytesMax: 1024 * 1024,
  /** What a lane host publishes: an announcement with the longest texts takes a third of this. */
  fleetReportBytesMax: 64 * 1024,
  /** Times that a lane host names: the longest is that between two tries to set a prover up. */
  fleetDurationMsMax: 60 * 60_000,
  /** Deaths of provers in one attempt: the active one and its standby, and some more at odds. */
  deathsMax: 16,
  /** File descriptors of a prover: 20 while it proves, and some dozens for a GPU driver. */
  proverFilesMax: 256,
  /**
   * One request to a prover: a group of the largest snapshot takes half of this, with keys of 32 bytes. Of
   * long keys, which each child has, a job may be longer, and is refused.
   */
  proverRequestBytesMax: 48 * 1024 * 1024,
  /** One reply of a prover: one proof or 4096 verdicts take half of this or less. */
  proverReplyBytesMax: 1024 * 1024,
  /** Names and revisions by which a prover describes itself: a longer one is invalid. */
  proverNameLengthMax: 256,
  /** An error message of a prover: the 512 bytes of the C ABI and some words around them. */
  proverErrorLengthMax: 2048,
  /** End of a prover's standard error that is kept: some lines of a panic or Python traceback. */
  proverStderrBytesMax: 2048,
  /** A line of a library's log: the 512 bytes of the C ABI, and what the library printed before it. */
  libraryLineBytesMax: 1024,
  /** Lines of its library's log that a prover process may add to the service's in a second. */
  libraryLinesPerSecondMax: 20,
  /** Calls in which provers died that are kept: a day of deaths by one input makes a single file. */
  fatalCallsMax: 32,
  /** Bytes of these: ten of the largest. */
  fatalCallBytesMax: 256 * 1024 * 1024,
  /** Size of a key or of a signature that a prover may announce: those of XMSS have a few KB. */
  proverItemBytesMax: 64 * 1024,
  /** Unanswered requests to one prover: far more than its lane ever sends at once. */
  proverRequestsMax: 1024,
  /** One message of the engine: the limit of a NATS server that nobody configured. */
  enginePayloadBytesMax: 1024 * 1024,
  /** Bytes published that a server has not taken yet: more than what a host gets in one burst. */
  engineUnsentBytesMax: 64 * 1024 * 1024,
  /** Servers of one engine: clusters have 3 or 5. */
  engineServersMax: 16,
  /**
   * Messages that a service reads of one lane host in a second; the rest is dropped. A host with 16
   * devices that each end a proof every 50 ms sends as many. To read one takes 20 to 50 µs.
   */
  fleetMessagesPerSecond: 2000,
  /** Lane hosts that a service hears: as many as a large fleet has, and a few more. */
  fleetHostsMax: 512,
  /**
   * Time for a prover's setup while its library has not said how long one takes: 4 to 13 s with
   * lean_pq when cold, several times that on a loaded machine; another library may take a minute.
   */
  proverStartMsMax: 120_000,
  /** The same once it has: so many times what it says, as starts are cold and machines loaded. */
  proverStartTimes: 10,
  /** Bounds of that: a process takes seconds to start under load, and a hung one must be found. */
  proverToldStartMsMin: 20_000,
  proverToldStartMsMax: 600_000,
  /** Silence after which a prover is treated as hung: ten heartbeats, more than load explains. */
  proverSilenceMsMax: 5000,
  /**
   * Time for a verification, after which the next prover is asked: to verify a proof takes 20 to
   * 100 ms. For signatures, `verifyMsPerSignature` is added.
   */
  verifyMsMax: 2000,
  /** Added to `verifyMsMax` for each signature of the request: one takes 0.1 ms. */
  verifyMsPerSignature: 2,
  /** Signatures of one request: with 2 ms for each, it ends before its prover counts as silent. */
  verifySignaturesMax: 1024,
  /** Time between two looks at the control group's limits, which an operator may change. */
  machinePollMs: 5000,
  /** Share of the machine's or container's memory for the proving processes of all devices. */
  proverMemoryPercentMax: 80,
  /** Heartbeats of a prover, which sends two a second and one after each proof: more are misuse. */
  proverHeartbeatsPerSecondMax: 1000,
  /** Provers that an input may end before it is set aside: one death may be a coincidence. */
  setAsideDeathsMax: 2,
  /** Inputs remembered over which provers died: more than an honest network ever sends. */
  setAsideMax: 256,
  /** Log lines kept while the log cannot be written: some minutes of lines of 200 bytes. */
  logBufferBytesMax: 1024 * 1024,
  /** Time at exit for a slow reader to take the last log lines: a stuck one delays the exit so. */
  logCloseMsMax: 200,
  /** Principals of a policy: one for each of `nodesMax` nodes, and as many for people and tools. */
  principalsMax: 512,
  /** The highest `log_inv_rate` that a prover can offer: its `rates` are bits of a u32. */
  rateMax: 31,
  /** Entries in the file of learned costs: one rate or two of one proof system, as a rule. */
  costEntriesMax: 64,
  /** Sizes of proofs of which a device remembers the peak memory: all that a network has, twice. */
  memoryPeaksMax: 64,
  /** The file with the learned costs of a device: the service writes less than 1 KB an entry. */
  costFileBytesMax: 128 * 1024,
  /** A policy file: `principalsMax` principals of 2 KiB each. */
  policyBytesMax: 1024 * 1024,
  /** A file of settings, and one of certificates or a key: far above any. */
  settingsFileBytesMax: 1024 * 1024,
  tlsFileBytesMax: 1024 * 1024,
  /** A file that describes a backend: a few KiB. */
  backendFileBytesMax: 64 * 1024,
  /** A calibration: 4096 votes of 2.4 KB in hexadecimal make 20 MB. */
  calibrationBytesMax: 24 * 1024 * 1024,
  /** Records that wait to be written; one that finds no room is left out of the recording. */
  recordPendingBytesMax: 64 * 1024 * 1024,
  /** Slots that wait to be counted, for their fence or a session; one that finds no room is not. */
  slotsCountedMax: 16_384,
  /** The same of one node; as many slots of 2 s as the longest fence is away. */
  slotsCountedOfNodeMax: 64,
  /** Lines of the audit record that wait to be written; one that finds no room is lost, and counted. */
  auditPendingBytesMax: 4 * 1024 * 1024,
  /** Time for a disk to take what waits for it, or to open a file: a stuck one delays an end or a reload so. */
  diskTakeMsMax: 2000,
  /** An answer of `StreamActivity` in a recording: 512 activities, and 64 devices with their costs. */
  recordedAnswerBytesMax: 1024 * 1024,
  /** A file of a recording, which is read as a whole. */
  recordFileBytesMax: 1024 * 1024 * 1024,
  /** Files of a recording: one at least for each run, also of a service that restarts each few seconds. */
  recordFilesMax: 10_000,
  /** The input of a command: some thousand proofs in JSON. */
  inputFileBytesMax: 256 * 1024 * 1024,
  /** Time that a command waits for the next bytes of a pipe that is named as its file. */
  pipeReadMsMax: 30_000,
  /** Time between two polls of the policy file; after each, open streams are checked again. */
  policyPollMs: 1000,
  /** Least time between two log lines about denied calls with the same reason. */
  deniedLogEveryMs: 10_000,
  /**
   * Open `StreamResults` calls of a node: its adapter has one, and some for reconnects. As many more
   * without an epoch, for people.
   */
  streamsPerNodeMax: 8,
  /**
   * How often within a minute a run of a node may end the sessions of earlier runs. Each time may kill a
   * running proof with its prover process, which takes seconds to start: a node that starts again and
   * again would cost others a lane.
   */
  takeoversPerMinuteMax: 6,
  /** Provers that a node has killed within a minute by cancels and new runs: each next one takes seconds. */
  killsPerMinuteMax: 6,
  /**
   * Highest quota of calls in a policy: more than one event loop can answer. Without a quota, calls
   * are not counted: a whole fleet may share one principal, such as that of a socket, and other
   * limits bound each call.
   */
  callsPerMinuteMax: 1_000_000,
  /** An operator's request: it carries at most two short names. */
  adminRequestBytesMax: 4096,
  /**
   * VerifyAggregate calls at once: they are verified one after the other, each in up to 0.1 s. A caller
   * gets no more than it leaves free, so one alone has half of them.
   */
  verifyCallsMax: 16,
  /** Longest `wait_ms` of GetSession and DrainDevice: a client that waits longer calls again. */
  waitMsMax: 60_000,
  /** A request without snapshot or proof: it has ids, or group indices. */
  requestBytesMax: 64 * 1024,
  /** A VerifyAggregate request: a proof, and 4096 keys of up to 52 bytes for each of 16 messages. */
  verifyBytesMax: 4 * 1024 * 1024,
  /** A JSON request: to decode 1 MB blocks all calls for 35 ms. JSON turns 1 MB into 1.4 MB. */
  jsonBytesMax: 4 * 1024 * 1024,
  /** Protobuf messages in one request: 16 groups of 4096 raw signatures, 4096 keys, and slack. */
  requestMessagesMax: 100_000,
  /** Time for a whole request to arrive: 24 MiB at 20 Mbit/s. A slower one is refused. */
  requestReadMsMax: 10_000,
  /** Time to read an answer: 16 proofs of 512 KiB at 7 Mbit/s. A slower client's call is cut. */
  answerTakeMsMax: 10_000,
  /** Time to read a page: /metrics has about 60 KB. A prober or scraper waits 1 to 10 s itself. */
  pageTakeMsMax: 5000,
  /** Time for a TLS handshake: a few round trips, also with a distant or busy client. */
  handshakeMsMax: 3000,
  /** Time for HTTP headers to arrive, and for the first bytes, which show the HTTP version. */
  headersReadMsMax: 5000,
  /** HTTP headers of a request: room for a token of some KiB. Node.js has the same limit. */
  headerBytesMax: 16 * 1024,
  /** An idle HTTP/1.1 connection stays open for a few slots, so that a node can reuse it. */
  keepAliveMs: 15_000,
  /** Time between two pings to an HTTP/2 client; one that has not answered by then is cut. */
  pingEveryMs: 10_000,
  /**
   * Pings of a client between two of ours: two a second as keepalive, and one for each frame of
   * 16 KiB while sixteen proofs arrive, by which gRPC clients measure bandwidth.
   */
  pingsMax: 1000,
  /**
   * SETTINGS frames of a client between two of our pings: gRPC clients resize their window a few
   * times while they measure bandwidth.
   */
  settingsMax: 100,
  /** Connections of the nodes' listener: two for each of `nodesMax` nodes, as when they restart. */
  connectionsMax: 512,
  /**
   * Activities kept for the operator's live view: some minutes of a small network, 15 s of a fleet that
   * makes 100 proofs a second. One takes about 300 bytes, the largest 1.5 KB, as estimated.
   */
  activitiesMax: 8192,
  /** Activities in one answer: about 100 KB in JSON. */
  activitiesPerAnswerMax: 512,
  /** Traces of snapshots that have not ended or are not delivered; one takes about 5 KB with 16 groups. */
  tracesOpenMax: 2048,
  /** Spans that wait for the collector: half a minute of a fleet that makes 100 proofs a second. */
  spansWaitingMax: 16_384,
  /** Spans in one request to the collector: about 10 KB, encoded in few milliseconds of the event loop. */
  spansPerRequestMax: 64,
  /** Activities that the traces take in one turn of the event loop: few milliseconds too. */
  tracedActivitiesMax: 128,
  /** Open `StreamActivity` calls: some people with a page and a terminal each. */
  activityStreamsMax: 8,
  /** Time between two answers of such a stream; and the longest when nothing happens. */
  activityEveryMs: 250,
  activityIdleMs: 1000,
  /** Time after which a stream sends the learned costs of the devices again. */
  activityCostsEveryMs: 5000,
  /** The same of the stream that `--record` keeps: 1 KB a second and device while there is work. */
  recordedActivityEveryMs: 1000,
  recordedActivityIdleMs: 10_000,
  recordedCostsEveryMs: 60_000,
  /** Connections of the operator's listener: a few people and scripts. */
  adminConnectionsMax: 16,
  /** Connections of the probes' listener: each probe or scraper has one for a short time. */
  probeConnectionsMax: 16,
  /**
   * Age at which a connection gets a GOAWAY. The new connection is checked against the current
   * certificate authorities, and a load balancer can send it to another server.
   */
  connectionAgeMs: 30 * 60_000,
  /** Time without a call after which a connection gets GOAWAY; an adapter always has a stream. */
  connectionIdleMs: 5 * 60_000,
  /** Time for calls to end after a GOAWAY: `waitMsMax` of GetSession, and 10 s more. */
  connectionGraceMs: 70_000,
  /** Flow-control window of a connection and of a stream: today's snapshots fit in it. */
  receiveWindowBytes: 1024 * 1024,
  /**
   * Open calls of one connection: a node has a stream or two and a few unary calls. A call takes
   * 0.1 ms of the event loop to start and 0.1 ms to reset, which delays all connections. Over
   * HTTP/1.1, those that wait for the answer to the one before.
   */
  callsPerConnectionMax: 32,
  /**
   * Calls that a client may reset between two of our pings before its connection is cut: four times
   * `callsPerConnectionMax`, for a client that closes and reopens its streams. A reset costs the
   * service more than the client.
   */
  resetsMax: 128,
  /**
   * Time between new connections from an address of which one was cut for misuse. Each misuse takes
   * up to 10 ms, so an address takes at most a twentieth of the service's time.
   */
  penaltyEveryMs: 250,
  /** How long new connections are spaced after a cut, and the longest that one of them waits. */
  penaltyMs: 1000,
  /** Addresses remembered because of a cut; the oldest is forgotten first. */
  penaltiesMax: 1024,
  /** Doors that a host, and each of its lanes, remembers: more than a cell has, with the run before of each. */
  doorsMax: 64,
  /** Doors that wait for one attempt: more than serve one network. */
  ownersMax: 16,
  /** Proofs that a lane keeps until their fence: a fence later than four proofs is backlog's. */
  heldProofsMax: 4,
  /** Least time between two answers to a door with one held proof of 512 KiB. */
  heldAnswerEveryMs: 200,
  /** Proofs of others that a lane host fetches and verifies: each takes up to 0.1 s of a standby. */
  hostVerificationsMax: 4,
  /** Commands of doors that wait for a lane: people give them. */
  laneCommandsMax: 16,
} as const;

/** Defaults of settings: see `config.ts`. */
export const defaults = {
  /** A devnet of four nodes records about 1 MB a slot, so 256 MB last for the last quarter of an hour. */
  recordMb: 256,
  /** A proof of a slot's votes is useful if it is ready within 750 ms of the snapshot. */
  deadlineMs: 750,
  /**
   * Fence of a request that names none: from interval 2 of slot N, when snapshots come, to slot
   * N + 2, 8 s less 1.6 s.
   */
  fenceMs: 6400,
  drainMs: 2000,
  /** A node on this machine may call once the operator has added its user to the socket's group. */
  socketMode: "0660",
  /**
   * What a prover may hold, in bytes, if half of the memory is less. A proof with four children takes 2.6 GB, of
   * which about 1 GB stays allocated after it.
   */
  proverBytesLeast: 3e9,
  refreshPercent: 1,
  /** Share of the proofs before an upgrade's slot that the next revision makes again. */
  shadowShare: 0.01,
} as const;
