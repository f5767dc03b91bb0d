/**
 * Reads protobuf messages from JSON that people type. protobuf-es alone would skip an unknown field,
 * round a large number and take hex for base64, all in silence; its errors do not say where. So each
 * value is checked against its field first. Binary messages have none of this.
 */
import type { DescEnum, DescField, DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { fromJson, ScalarType, toJson } from "@bufbuild/protobuf";
import { cut, LIBRARY_ERROR_LENGTH_MAX, quoted } from "../errors.js";
import { JsonError, jsonPlaceOf } from "./json-text.js";
import { alternatives } from "./safe-parse.js";

/**
 * How bytes are written: `base64` is protobuf's own form, for calls. `hex` also takes hexadecimal
 * digits after `0x`, and is the form of files and of what the command line prints.
 */
export type BytesForm = "base64" | "hex";

/** Longest unknown name for which a similar one is looked up. */
const SIMILAR_LENGTH_MAX = 64;

/** Shortest text after 0x that counts as hex where base64 is expected: random base64 is no hex. */
const HEX_LENGTH_MIN = 32;
/** What no character may belong to twice: the time of a match must not grow with the square. */
const HEX_DIGITS = /^0x[0-9a-f]*$/i;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * The message that a JSON value stands for; converts hex in `json` itself. Throws `JsonError`, with
 * the path of the value as it was typed.
 */
export function messageFromJson<D extends DescMessage>(
  schema: D,
  json: unknown,
  bytes: BytesForm,
): MessageShape<D> {
  new Check(bytes).message(schema, json);
  try {
    return fromJson(schema, json as JsonValue);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const start = cut(text, LIBRARY_ERROR_LENGTH_MAX);
    throw new JsonError("", `is not a ${schema.name}: ${start}`);
  }
}

/** The message as JSON with hex for bytes, which `messageFromJson` reads back. */
export function messageToHexJson<D extends DescMessage>(
  schema: D,
  message: MessageShape<D>,
): JsonValue {
  const json = toJson(schema, message);
  new Check("hex", (base64) => `0x${Buffer.from(base64, "base64").toString("hex")}`).message(
    schema,
    json,
  );
  return json;
}

/** One pass through a value: throws at the first error, or converts bytes as it goes. */
class Check {
  /** Keys and indices from the whole value to the one that is looked at. */
  private readonly path: (string | number)[] = [];

  constructor(
    private readonly form: BytesForm,
    /** Converts bytes in base64 to what is printed. Default: they are read. */
    private readonly print?: (base64: string) => string,
  ) {}

  message(schema: DescMessage, json: unknown): void {
    // The standard's own messages have JSON forms of their own, which protobuf-es checks.
    if (schema.typeName.startsWith("google.protobuf.")) return;
    const object = this.object(json);
    const seen = new Map<DescField, string>();
    for (const key of Object.keys(object)) {
      this.path.push(key);
      const field = fieldsOf(schema).get(key);
      if (field === undefined) throw this.wrong(noSuchField(schema, key));
      const earlier = seen.get(field);
      if (earlier !== undefined) throw this.wrong(`is there twice, also as ${quoted(earlier)}`);
      seen.set(field, key);
      const value = object[key];
      if (value !== null) this.convert(object, key, this.field(field, value));
      this.path.pop();
    }
  }

  /** Checks the value of a field; returns what is to stand in its place. */
  private field(field: DescField, value: unknown): unknown {
    if (field.fieldKind === "list") {
      if (!Array.isArray(value)) throw this.wrong(`is ${shown(value)}, expected a list`);
      const list: unknown[] = value;
      for (let at = 0; at < list.length; at++) {
        this.path.push(at);
        if (list[at] === null) throw this.wrong("is null, expected a value");
        const read = this.value(field, list[at]);
        if (read !== list[at]) list[at] = read;
        this.path.pop();
      }
      return list;
    }
    if (field.fieldKind !== "map") return this.value(field, value);
    const entries = this.object(value);
    for (const key of Object.keys(entries)) {
      this.path.push(key);
      this.convert(entries, key, this.value(field, entries[key]));
      this.path.pop();
    }
    return entries;
  }

  private convert(object: Record<string, unknown>, key: string, value: unknown): void {
    if (value !== object[key]) object[key] = value;
  }

  /** Checks a single value; returns what is to stand in its place. */
  private value(field: DescField, value: unknown): unknown {
    if (field.message !== undefined) this.message(field.message, value);
    else if (field.scalar === ScalarType.BYTES) return this.bytes(value);
    // What is printed was never typed, and a value of an enum may be of a later version: a number.
    else if (this.print !== undefined) return value;
    else if (field.enum !== undefined) this.enum(field.enum, value);
    else this.scalar(field.scalar, value);
    return value;
  }

  private object(value: unknown): Record<string, unknown> {
    if (isObject(value)) return value;
    throw this.wrong(`is ${shown(value)}, expected an object`);
  }

  private enum({ values, typeName }: DescEnum, value: unknown): void {
    if (typeName === "google.protobuf.NullValue") return;
    if (values.some(({ name, number }) => value === name || value === number)) return;
    const names = values.map(({ name }) => name);
    const similar =
      typeof value !== "string"
        ? undefined
        : (names.find((name) => name.endsWith(`_${value.toUpperCase()}`)) ??
          similarTo(value, names));
    const mean = similar === undefined ? "" : `; did you mean ${quoted(similar)}`;
    throw this.wrong(`is ${shown(value)}, expected ${alternatives(names)}${mean}`);
  }

  private bytes(value: unknown): unknown {
    if (typeof value !== "string") throw this.wrong(`is ${shown(value)}, expected ${this.form}`);
    if (this.print !== undefined) return this.print(value);
    if (this.form === "hex" && /^0x/i.test(value)) {
      if (isHex(value)) return Buffer.from(value.slice(2), "hex").toString("base64");
      throw this.wrong(`is ${shown(value)}, expected an even number of hex digits after 0x`);
    }
    if (value.length >= "0x".length + HEX_LENGTH_MIN && isHex(value)) {
      throw this.wrong(
        `is ${shown(value)}: JSON over HTTP takes base64; ` +
          "hex is for files given to the command line",
      );
    }
    const digits = value.replaceAll(/\s+/g, "");
    const expected = this.form === "hex" ? "base64, or hex after 0x" : "base64";
    if (!BASE64.test(digits)) throw this.wrong(`is ${shown(value)}, expected ${expected}`);
    if (digits.replace(/=+$/, "").length % 4 !== 1) return value;
    const count = `${digits.length} characters of base64, which are no whole number of bytes`;
    throw this.wrong(`is ${shown(value)}, expected ${expected}: has ${count}; is it cut off?`);
  }

  private scalar(type: ScalarType | undefined, value: unknown): void {
    if (type === ScalarType.STRING) {
      if (typeof value !== "string") throw this.wrong(`is ${shown(value)}, expected text`);
      if (LONE_SURROGATE.test(value)) {
        throw this.wrong(`is ${shown(value)}, which has half of a surrogate pair: write the whole`);
      }
    } else if (type === ScalarType.BOOL) {
      if (typeof value !== "boolean")
        throw this.wrong(`is ${shown(value)}, expected true or false`);
    } else if (type !== undefined) {
      const range = RANGES.get(type);
      if (range !== undefined) this.whole(range, value);
    }
  }

  private whole([min, max]: readonly [bigint, bigint], value: unknown): void {
    if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw this.wrong(
        `is a number of 2^53 or more without quotes, which JSON rounds: put it in quotes`,
      );
    }
    const isNumber = typeof value === "number" && Number.isInteger(value);
    if (isNumber || (typeof value === "string" && /^-?\d{1,30}$/.test(value))) {
      const number = BigInt(value);
      if (number >= min && number <= max) return;
    }
    throw this.wrong(`is ${shown(value)}, expected a whole number from ${min} to ${max}`);
  }

  private wrong(detail: string): JsonError {
    return new JsonError(jsonPlaceOf(this.path), detail);
  }
}

/** Half of a character that UTF-16 writes as two units: it has no form in UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const INT32 = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const UINT32 = [0n, 2n ** 32n - 1n] as const;
const INT64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;
const UINT64 = [0n, 2n ** 64n - 1n] as const;
/** Least and greatest value of each type of whole numbers. */
const RANGES: ReadonlyMap<ScalarType, readonly [bigint, bigint]> = new Map([
  [ScalarType.INT32, INT32],
  [ScalarType.SINT32, INT32],
  [ScalarType.SFIXED32, INT32],
  [ScalarType.UINT32, UINT32],
  [ScalarType.FIXED32, UINT32],
  [ScalarType.INT64, INT64],
  [ScalarType.SINT64, INT64],
  [ScalarType.SFIXED64, INT64],
  [ScalarType.UINT64, UINT64],
  [ScalarType.FIXED64, UINT64],
]);

const fieldsBySchema = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The fields of a message by both of their names. */
function fieldsOf(schema: DescMessage): ReadonlyMap<string, DescField> {
  const known = fieldsBySchema.get(schema);
  if (known !== undefined) return known;
  const names = schema.fields.flatMap((field): [string, DescField][] => [
    [field.name, field],
    [field.jsonName, field],
  ]);
  const fields = new Map(names);
  fieldsBySchema.set(schema, fields);
  return fields;
}

function noSuchField(schema: DescMessage, key: string): string {
  const names = schema.fields.map(({ name, jsonName }) => (key.includes("_") ? name : jsonName));
  const similar = similarTo(key, names);
  if (similar !== undefined) return `no such field; did you mean ${quoted(similar)}`;
  return names.length === 0
    ? `no such field; ${schema.name} has none`
    : `no such field; ${schema.name} has ${names.join(", ")}`;
}

/** The name that `typed` is probably meant to be; undefined without a similar one. */
function similarTo(typed: string, names: readonly string[]): string | undefined {
  if (typed.length > SIMILAR_LENGTH_MAX) return undefined;
  const plain = (name: string) => name.toLowerCase().replaceAll(/[-_ ]/g, "");
  const ranked = names
    .map((name) => ({ name, edits: editsBetween(plain(typed), plain(name)) }))
    .sort((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best !== undefined && best.edits <= Math.max(1, typed.length / 4) ? best.name : undefined;
}

/** The number of characters to insert, delete or replace to get from one text to the other. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

const isHex = (text: string) => text.length % 2 === 0 && HEX_DIGITS.test(text);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as an error quotes it: in JSON, or its kind when it is not a single value. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? quoted(value) : String(value);
}
