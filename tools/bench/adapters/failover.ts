/** Counts what a node of the adapters' bench has printed around the fault of a service. Pure. */

/** A line that a node prints; with `endpoint` for a result. */
export interface NodeLine {
  kind: string;
  endpoint?: string;
}

export interface Failover {
  /** Groups: each submission has one. */
  submitted: number;
  proved: number;
  /** Submissions that the adapter or the service skipped. */
  skipped: number;
  /** From the fault to the first proof of another service; undefined: none came. */
  takeoverMs: number | undefined;
}

/** What is wrong with a failover; empty: nothing is. */
export function faultsOf({ submitted, proved, takeoverMs }: Failover): string[] {
  return [
    ...(submitted === 0 ? ["nothing was submitted"] : []),
    ...(submitted > proved ? [`${submitted - proved} groups were lost`] : []),
    ...(takeoverMs === undefined ? ["the other service proved nothing"] : []),
  ];
}

/** `faulty`: the endpoint whose service had the fault at `faultAtMs`. */
export function countFailover(
  lines: readonly (NodeLine & { atMs: number })[],
  faulty: string,
  faultAtMs: number,
): Failover {
  const count = (kind: string) => lines.filter((line) => line.kind === kind).length;
  const takeover = lines.find(
    ({ kind, endpoint, atMs }) => kind === "proved" && endpoint !== faulty && atMs > faultAtMs,
  );
  return {
    submitted: count("submitted"),
    proved: count("proved"),
    skipped: count("skipped"),
    takeoverMs: takeover === undefined ? undefined : takeover.atMs - faultAtMs,
  };
}
