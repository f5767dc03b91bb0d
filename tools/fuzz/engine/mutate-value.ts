/** Changes to a value of JSON or of the structured clone: what a schema is there to refuse. */
import type { Random } from "../../sim/random.js";
import { mutateBytes } from "./mutate-bytes.js";

const NAMES = ["__proto__", "constructor", "toString", "length", "id", "type", "value", "0", ""];
const LEAVES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 0.5, 255, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31), 1e308, "", "0"],
  ...["-1", "1e9", "0x10", " ", "\u0000", "\ud800", "a,b", "é", "[", "x".repeat(300)],
];
const DEPTH_MAX = 300;

type Container = unknown[] | Record<string, unknown>;

/** Works on a copy; byte arrays stay byte arrays. */
export function mutateValue(value: unknown, random: Random): unknown {
  const root = { value: structuredClone(value) };
  for (let count = random.whole(1, 3); count > 0; count--)
    change(pickContainer(root, random), random);
  return root.value;
}

const isContainer = (value: unknown): value is Container =>
  typeof value === "object" && value !== null && !(value instanceof Uint8Array);

function pickContainer(container: Container, random: Random): Container {
  const inner = Object.values(container).filter(isContainer);
  if (inner.length === 0 || random.chance(0.3)) return container;
  return pickContainer(random.pick(inner), random);
}

function change(container: Container, random: Random): void {
  const keys = Object.keys(container);
  const roll = random.whole(0, 7);
  if (keys.length === 0 || roll === 0)
    return set(container, random.pick(NAMES), random.pick(LEAVES));
  const key = random.pick(keys);
  const value: unknown = Reflect.get(container, key);
  if (roll === 1) Reflect.deleteProperty(container, key);
  else if (roll === 2) set(container, random.pick([...NAMES, ...keys]), value);
  else if (roll === 3) set(container, key, [value, value]);
  else if (roll === 4) set(container, key, { [random.pick(NAMES)]: value });
  else if (roll === 5 && random.chance(0.1)) set(container, key, nested());
  else set(container, key, changed(value, random));
}

/** As an own property, whatever its name. */
function set(container: Container, key: string, value: unknown): void {
  const name = Array.isArray(container) && !/^\d+$/.test(key) ? String(container.length) : key;
  const options = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(container, name, options);
}

function changed(value: unknown, random: Random): unknown {
  if (random.chance(0.4)) return random.pick(LEAVES);
  if (value instanceof Uint8Array) return mutateBytes(value, random);
  if (typeof value === "string")
    return Buffer.from(mutateBytes(Buffer.from(value), random)).toString();
  if (typeof value === "number") return value + random.pick([-1, 1, 0.5, 2 ** 32]);
  return random.pick(LEAVES);
}

function nested(): unknown {
  let value: unknown = 0;
  for (let depth = 0; depth < DEPTH_MAX; depth++) value = [value];
  return value;
}
