/** Blind changes to bytes: the usual ones of fuzzers, one to four at a time. */
import type { Random } from "../../sim/random.js";

const NUMBERS = [
  0,
  1,
  2,
  127,
  128,
  255,
  256,
  32767,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
const CHANGES_MAX = 4;
/** An insertion or a copy is mostly short, so that inputs do not grow without bound. */
const PIECE_BYTES_MAX = 64;

type Change = (bytes: Buffer, random: Random) => Buffer;

const at = (bytes: Buffer, random: Random) => random.whole(0, Math.max(0, bytes.length - 1));

function piece(bytes: Buffer, random: Random): Buffer {
  const start = at(bytes, random);
  return bytes.subarray(start, start + random.whole(1, PIECE_BYTES_MAX));
}

function insert(bytes: Buffer, position: number, what: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, position), what, bytes.subarray(position)]);
}

const flipBit: Change = (bytes, random) => {
  const position = at(bytes, random);
  if (bytes.length > 0)
    bytes.writeUInt8(bytes.readUInt8(position) ^ (1 << random.whole(0, 7)), position);
  return bytes;
};

const setByte: Change = (bytes, random) => {
  if (bytes.length > 0) bytes[at(bytes, random)] = random.whole(0, 255);
  return bytes;
};

const setNumber: Change = (bytes, random) => {
  const number = random.pick(NUMBERS);
  const width = random.pick([2, 4]);
  if (bytes.length < width) return bytes;
  const position = random.whole(0, bytes.length - width);
  const fitting = width === 2 ? number & 0xffff : number;
  if (random.chance(0.5)) bytes.writeUIntBE(fitting, position, width);
  else bytes.writeUIntLE(fitting, position, width);
  return bytes;
};

const erase: Change = (bytes, random) => {
  const start = at(bytes, random);
  const end = start + random.whole(1, Math.max(1, bytes.length >> 2));
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
};

const cut: Change = (bytes, random) => Buffer.from(bytes.subarray(0, at(bytes, random)));

const insertRandom: Change = (bytes, random) => {
  const what = Buffer.from(Array.from({ length: random.whole(1, 16) }, () => random.whole(0, 255)));
  return insert(bytes, at(bytes, random), what);
};

const insertSame: Change = (bytes, random) =>
  insert(bytes, at(bytes, random), Buffer.alloc(random.whole(1, 256), random.whole(0, 255)));

const copyPiece: Change = (bytes, random) =>
  insert(bytes, at(bytes, random), Buffer.from(piece(bytes, random)));

const repeatPiece: Change = (bytes, random) => {
  const what = Buffer.from(piece(bytes, random));
  return insert(bytes, at(bytes, random), Buffer.concat(Array.from({ length: 16 }, () => what)));
};

const movePiece: Change = (bytes, random) => {
  const what = Buffer.from(piece(bytes, random));
  what.copy(bytes, at(bytes, random));
  return bytes;
};

const changes = [
  flipBit,
  setByte,
  setNumber,
  erase,
  cut,
  insertRandom,
  insertSame,
  copyPiece,
  repeatPiece,
  movePiece,
];

export function mutateBytes(input: Uint8Array, random: Random): Uint8Array {
  let bytes = Buffer.from(input);
  for (let count = random.whole(1, CHANGES_MAX); count > 0; count--) {
    bytes = random.pick(changes)(bytes, random) as Buffer<ArrayBuffer>;
  }
  return new Uint8Array(bytes);
}

/** The head of one input and the tail of another. */
export function splice(a: Uint8Array, b: Uint8Array, random: Random): Uint8Array {
  const head = a.subarray(0, random.whole(0, a.length));
  return new Uint8Array(Buffer.concat([head, b.subarray(random.whole(0, b.length))]));
}
