// Writes the inputs of the conformance program, which parses no JSON:
//
//   node native/conformance/inputs.mjs OUTDIR [BACKEND]
//
// OUTDIR/inputs.bin, little endian, packed:
//   "LPINPUT2", u32 public_key_bytes, u32 signature_bytes
//   three times a message and its signatures:
//     u32 slot, 32 bytes root, u32 count, count keys, count signatures
//     first: all valid, five or more
//     then:  one that is valid for the first root, but at another slot; count 0 in a scheme whose
//            signatures name no slot
//     then:  valid ones of another message, for a merge; count 0 without one
//   u32 child_keys, child_keys keys, u32 proof_bytes, proof   a fold of some of the first ones
// OUTDIR/config.txt: the backend's config, from build/BACKEND.json. BACKEND: lean_pq, the default, or
// lean_multisig.
// To test a backend of another scheme, write an inputs.bin of that scheme in the same layout.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const OTHER_SIGNATURES = 4;
/** Folder of the vectors of each backend. */
const VECTORS = { lean_pq: "xmss", lean_multisig: "multisig" };

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function inputs(vectors) {
  const manifest = JSON.parse(readFileSync(join(vectors, "vectors.json"), "utf8"));
  const signatures = readFileSync(join(vectors, "signatures.bin"));
  const { signatureBytes, wrongLeaf } = manifest;
  const [child] = manifest.children;
  const group = manifest.groups[child.group];
  const keyOf = (index) => Buffer.from(manifest.validators[index].publicKey, "hex");
  const keys = group.validators.map(keyOf);
  const slice = (offset, count) => signatures.subarray(offset, offset + count * signatureBytes);
  const proof = readFileSync(join(vectors, child.file));
  const raws = ({ data, root }, keys, offset) => [
    u32(data.slot),
    Buffer.from(root, "hex"),
    u32(keys.length),
    ...keys,
    slice(offset, keys.length),
  ];
  const other = manifest.groups.find((each) => each.root !== group.root);
  const few = other.validators.slice(0, OTHER_SIGNATURES).map(keyOf);
  return Buffer.concat([
    Buffer.from("LPINPUT2"),
    u32(keys[0].length),
    u32(signatureBytes),
    ...raws(group, keys, group.signaturesOffset),
    ...(wrongLeaf === undefined
      ? raws(group, [], 0)
      : raws(group, [keyOf(wrongLeaf.validator)], wrongLeaf.signaturesOffset)),
    ...raws(other, few, other.signaturesOffset),
    u32(child.validators.length),
    ...child.validators.map(keyOf),
    u32(proof.length),
    proof,
  ]);
}

function main() {
  const [out, backend = "lean_pq"] = process.argv.slice(2);
  if (out === undefined || !(backend in VECTORS)) {
    console.error("usage: inputs.mjs OUTDIR [lean_pq | lean_multisig]");
    process.exit(2);
  }
  mkdirSync(out, { recursive: true });
  const vectors = join(ROOT, "test", "vectors", VECTORS[backend]);
  writeFileSync(join(out, "inputs.bin"), inputs(vectors));
  const setup = JSON.parse(readFileSync(join(ROOT, "build", `${backend}.json`), "utf8"));
  const lines = ["libpython", "python", "sitepackages"].map((key) => `${key}=${setup[key]}\n`);
  writeFileSync(join(out, "config.txt"), lines.join(""));
}

main();
