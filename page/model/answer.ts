/**
 * The answers of `StreamActivity` as the live page and `admin top` read them: from the JSON of the
 * message, in which fields with their default value are absent. What is not as expected becomes the
 * default; nothing here throws.
 */

/** The inputs of a group or of a proof. */
export interface Size {
  votes: number;
  raws: number;
  children: number;
  /** Of a merge, number of its messages; else 0. */
  messages: number;
}

/** Number of votes by fate; `proved` by the step in which the proof was ready. */
export interface VoteFates {
  proved: number[];
  /** By name of the field, such as `shed` or `badSignature`. */
  others: Record<string, number>;
}

export type Event =
  | {
      kind: "accepted";
      session: string;
      request: string;
      node: string;
      slot: string;
      priority: string;
      receivedAtMs: number;
      deadlineAtMs: number;
      fenceAtMs: number;
      groups: Size[];
    }
  | { kind: "skipped"; node: string; slot: string; reason: string; detail: string }
  | { kind: "started"; session: string; group: number; attempt: number; device: string }
  /** A device got a job of an attempt's tree. */
  | { kind: "job"; attempt: number; job: number; device: string }
  | {
      kind: "ended";
      session: string;
      group: number;
      status: string;
      reason: string;
      votes: VoteFates;
      proveMs: number;
    }
  | {
      kind: "lane";
      device: string;
      /** As in `DeviceState`, in lower case; `unspecified` when it has gone. */
      state: string;
      /** The number of the job, or of an attempt of one proof. */
      job: number;
      /** Undefined while the inputs are verified, and without work. */
      proof: Size | undefined;
      cause: string;
    }
  /** Not drawn, or of a kind that this version does not know. It has its number all the same. */
  | { kind: "other" };

export type Activity = Event & { atMs: number };

/** What a proof of one size is predicted to take. */
export interface Cost {
  kind: string;
  raws: number;
  children: number;
  messages: number;
  logInvRate: number;
  ms: number;
  lowMs: number;
  highMs: number;
  peakBytes: number;
}

export interface Prover {
  role: string;
  pid: number;
  isReady: boolean;
  residentBytes: number;
}

export interface Device {
  id: string;
  state: string;
  cause: string;
  isDrained: boolean;
  /** The cores that its provers are bound to, such as `0-3`; empty: none, or not known. */
  cores: string;
  scheme: string;
  revision: string;
  provers: Prover[];
  /** Empty: as in the answer before. */
  costs: Cost[];
  /** The running proof; undefined without one. */
  running: { runningMs: number; predictedMs: number } | undefined;
}

export interface Node {
  id: string;
  usedMs: number;
  sessions: number;
}

export interface Answer {
  nowMs: number;
  nowUnixMs: number;
  service: string;
  run: string;
  version: string;
  state: string;
  detail: string;
  isRecorded: boolean;
  missed: number;
  /** As many as the service sent: it numbers all of them. */
  activities: Activity[];
  groupsWaiting: number;
  /** Every device; undefined while activities are still to come. */
  devices: Device[] | undefined;
  nodes: Node[];
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const fields = (value: unknown): Fields => (isFields(value) ? value : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
/** 64-bit numbers are strings in JSON. */
const number = (value: unknown): number => {
  const read = typeof value === "string" ? Number(value) : value;
  return typeof read === "number" && Number.isFinite(read) ? read : 0;
};
/** A slot, which may be too large for a number. */
const slotOf = (value: unknown): string =>
  typeof value === "string" && /^\d{1,20}$/.test(value) ? value : "0";
/** The value of an enum without its prefix, in lower case; `unspecified` when absent. */
const name = (value: unknown, prefix: string): string =>
  typeof value === "string" ? value.replace(prefix, "").toLowerCase() : "unspecified";

/** @param json a `StreamActivityResponse` in JSON */
export function answerOf(json: unknown): Answer {
  const from = fields(json);
  const status = fields(from["status"]);
  const devices = list(from["devices"]).map(deviceOf);
  return {
    nowMs: number(from["nowMs"]),
    nowUnixMs: number(from["nowUnixMs"]),
    service: text(from["serviceId"]),
    run: text(from["run"]),
    version: text(from["serverVersion"]),
    state: name(status["state"], "SERVICE_STATE_"),
    detail: text(status["detail"]),
    isRecorded: from["recorded"] === true,
    missed: number(from["missed"]),
    activities: list(from["activities"]).map(activityOf),
    groupsWaiting: number(from["groupsWaiting"]),
    // A service or recording of an older version does not say `complete`.
    devices: from["complete"] === true || devices.length > 0 ? devices : undefined,
    nodes: list(from["nodes"]).map((each) => {
      const node = fields(each);
      const usedMs = number(node["usedMs"]);
      return { id: text(node["nodeId"]), usedMs, sessions: number(node["sessionsInFlight"]) };
    }),
  };
}

function deviceOf(json: unknown): Device {
  const from = fields(json);
  const status = fields(from["status"]);
  const proof = fields(fields(status["running"])["proof"]);
  const predictedMs = number(proof["predictedMs"]);
  return {
    id: text(status["deviceId"]),
    state: name(status["state"], "DEVICE_STATE_"),
    cause: text(status["cause"]),
    isDrained: status["drained"] === true,
    cores: text(from["cores"]),
    scheme: text(from["scheme"]),
    revision: text(from["revision"]),
    provers: list(status["provers"]).map((each) => {
      const prover = fields(each);
      return {
        role: name(prover["role"], "PROVER_ROLE_"),
        pid: number(prover["pid"]),
        isReady: prover["ready"] === true,
        residentBytes: number(prover["residentBytes"]),
      };
    }),
    costs: list(from["learnedCosts"]).map(costOf),
    running: predictedMs > 0 ? { runningMs: number(proof["runningMs"]), predictedMs } : undefined,
  };
}

function costOf(json: unknown): Cost {
  const from = fields(json);
  return {
    kind: name(from["kind"], "PROOF_KIND_"),
    raws: number(from["rawSignatures"]),
    children: number(from["children"]),
    messages: number(from["messages"]),
    logInvRate: number(from["logInvRate"]),
    ms: number(from["proveMs"]),
    lowMs: number(from["proveMsLow"]),
    highMs: number(from["proveMsHigh"]),
    peakBytes: number(from["peakBytes"]),
  };
}

function activityOf(json: unknown): Activity {
  const from = fields(json);
  const atMs = number(from["atMs"]);
  for (const [kind, read] of Object.entries(readers)) {
    if (from[kind] !== undefined) return { atMs, ...read(fields(from[kind])) };
  }
  return { atMs, kind: "other" };
}

const readers: Readonly<Record<string, (from: Fields) => Event>> = {
  accepted: (from) => ({
    kind: "accepted",
    session: text(from["sessionId"]),
    request: text(from["requestId"]),
    node: text(from["nodeId"]),
    slot: slotOf(from["slot"]),
    priority: name(from["priority"], "PRIORITY_"),
    receivedAtMs: number(from["receivedAtMs"]),
    deadlineAtMs: number(from["deadlineAtMs"]),
    fenceAtMs: number(from["fenceAtMs"]),
    groups: list(from["groups"]).map(sizeOf),
  }),
  skipped: (from) => ({
    kind: "skipped",
    node: text(from["nodeId"]),
    slot: slotOf(from["slot"]),
    reason: name(from["reason"], "SKIP_REASON_"),
    detail: text(from["detail"]),
  }),
  started: (from) => ({
    kind: "started",
    session: text(from["sessionId"]),
    group: number(from["groupIndex"]),
    attempt: number(from["attempt"]),
    device: text(from["deviceId"]),
  }),
  job: (from) => ({
    kind: "job",
    attempt: number(from["attempt"]),
    job: number(from["job"]),
    device: text(from["deviceId"]),
  }),
  ended: (from) => ({
    kind: "ended",
    session: text(from["sessionId"]),
    group: number(from["groupIndex"]),
    status: name(from["status"], "OUTCOME_STATUS_"),
    reason: from["reason"] === undefined ? "" : name(from["reason"], "OUTCOME_REASON_"),
    votes: fatesOf(fields(from["votes"])),
    proveMs: number(from["proveMs"]),
  }),
  lane: (from) => ({
    kind: "lane",
    device: text(from["deviceId"]),
    state: name(from["state"], "DEVICE_STATE_"),
    job: number(from["attempt"]),
    proof: from["proof"] === undefined ? undefined : sizeOf(from["proof"]),
    cause: text(from["cause"]),
  }),
};

function sizeOf(json: unknown): Size {
  const from = fields(json);
  return {
    votes: number(from["votes"]),
    raws: number(from["rawSignatures"]),
    children: number(from["children"]),
    messages: number(from["messages"]),
  };
}

function fatesOf({ proved, ...others }: Fields): VoteFates {
  return {
    proved: list(proved).map(number),
    others: Object.fromEntries(
      Object.entries(others).map(([fate, count]) => [fate, number(count)]),
    ),
  };
}
