/**
 * The environment variables of lean-aggregator, as a user or a deployment tool sets them: an empty
 * one is not set, and one that does not exist is most likely misspelt.
 */
const PREFIX = "LEAN_AGGREGATOR_";
/**
 * What Kubernetes and container links add for a service whose name begins with lean-aggregator,
 * such as LEAN_AGGREGATOR_PORT_9190_TCP_ADDR and LEAN_AGGREGATOR_NODES_SERVICE_HOST.
 */
const ADDED_FOR_SERVICES =
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?$/;
/** Most edits between a misspelt name and the one that was meant. */
const EDITS_MAX = 3;

/** Removes the empty ones, as `NAME=${OTHER:-}` in a shell or a compose file leaves them. */
export function dropEmptyVariables(env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith(PREFIX) && value === "") Reflect.deleteProperty(env, name);
  }
}

/** A sentence for each variable with our prefix that none of `known` is, with the nearest name. */
export function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  const names = Object.keys(env).filter((name) => name.toUpperCase().startsWith(PREFIX));
  const unknown = names.filter((name) => !known.includes(name) && !ADDED_FOR_SERVICES.test(name));
  return unknown.map((name) => {
    const nearest = nearestOf(name, known);
    const meant = nearest === undefined ? "unset it" : `did you mean ${nearest}?`;
    return `${name} is set: there is no such variable: ${meant}`;
  });
}

function nearestOf(name: string, known: readonly string[]): string | undefined {
  const from = name.toUpperCase().slice(PREFIX.length);
  const ranked = known
    .map((each) => ({ each, edits: editsBetween(from, each.slice(PREFIX.length)) }))
    .toSorted((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best !== undefined && best.edits <= EDITS_MAX ? best.each : undefined;
}

/** Characters to insert, delete or replace to make one text the other (Levenshtein). */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [at, character] of [...from].entries()) {
    const next = [at + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (character === to[column - 1] ? 0 : 1);
      const deleted = (row[column] ?? 0) + 1;
      const inserted = (next[column - 1] ?? 0) + 1;
      next.push(Math.min(replaced, deleted, inserted));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
