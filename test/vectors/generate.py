#!/usr/bin/env python3
"""Makes the signature vectors in xmss/: real leanXMSS signatures over real attestation data roots.

Run once, with the project's prover environment (about ten minutes on two cores):

    .prover-venv/bin/python test/vectors/generate.py

Layout (read by tools/harness/vectors.ts and described in test/vectors/README.md):
  xmss/vectors.json    keys, attestation data, roots, who signed what, children
  xmss/signatures.bin  every signature, packed in the order in which vectors.json lists them
  xmss/child-*.bin     aggregate proofs over some of them

Even slots carry one attestation data signed by all validators; odd slots carry three, signed by
disjoint sets (a key may sign one message a slot only). The keys come from public seeds: they
protect nothing. Validator 64 signs at a wrong leaf on purpose and appears nowhere else.
"""

import json
import multiprocessing
import pathlib
import struct
import sys
import time

import py_lean_pq as pq

from attestation import attestation_data, hash_tree_root, sha256

VALIDATORS = 64
FIRST_SLOT = 100
SLOTS = 8
WRONG_LEAF_VALIDATOR = 64
HERE = pathlib.Path(__file__).resolve().parent / "xmss"


def variants(slot: int) -> list:
    if slot % 2 == 0:
        return [("a", range(0, 64))]
    return [("a", range(0, 32)), ("b", range(32, 48)), ("c", range(48, 64))]


def plan() -> list:
    groups = []
    for slot in range(FIRST_SLOT, FIRST_SLOT + SLOTS):
        for variant, signers in variants(slot):
            data = attestation_data(slot, "" if variant == "a" else f" fork {variant}")
            groups.append({"data": data, "root": hash_tree_root(data).hex(), "validators": list(signers)})
    return groups


def sign_all(index: int) -> tuple:
    key = pq.XmssSecretKey.from_seed(sha256(f"lean-aggregator test validator {index}".encode()))
    key.prepare(FIRST_SLOT)
    if index == WRONG_LEAF_VALIDATOR:
        message = bytes.fromhex(plan()[0]["root"])
        return index, key.public_key, {0: key.sign(message, FIRST_SLOT + 1)}
    signatures = {}
    for at, group in enumerate(plan()):
        if index in group["validators"]:
            slot = group["data"]["slot"]
            signatures[at] = key.sign(bytes.fromhex(group["root"]), slot)
            assert struct.unpack("<I", signatures[at][:4])[0] == slot
    return index, key.public_key, signatures


def main() -> None:
    golden = {"slot": 100, "head": {"root": "01" * 32, "slot": 100}, "target": {"root": "02" * 32, "slot": 99},
              "source": {"root": "03" * 32, "slot": 50}}
    assert hash_tree_root(golden).hex() == "49e635460ab6c255eae43c25e86f2d4be90a15dd353880fdccf07822e0b1ad0d"
    HERE.mkdir(exist_ok=True)
    groups, keys, signatures = plan(), {}, {}
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for index, key, made in pool.imap_unordered(sign_all, range(VALIDATORS + 1)):
            keys[index] = key
            signatures.update({(at, index): value for at, value in made.items()})
            print(f"{len(keys)} of {VALIDATORS + 1} keys, {time.monotonic() - started:.0f} s", flush=True)

    packed = bytearray()
    for at, group in enumerate(groups):
        group["signaturesOffset"] = len(packed)
        for index in group["validators"]:
            packed += signatures[at, index]
    wrong_leaf_offset = len(packed)
    packed += signatures[0, WRONG_LEAF_VALIDATOR]
    (HERE / "signatures.bin").write_bytes(packed)

    pq.setup()
    children = []
    for name, at, signers in (("100-a", 0, range(0, 16)), ("100-b", 0, range(16, 32)), ("102", 4, range(0, 8)),
                              ("104", 8, range(0, 48))):
        message = bytes.fromhex(groups[at]["root"])
        raws = [(keys[i], message, signatures[at, i]) for i in signers]
        proof = pq.aggregate(xmss=raws).to_bytes()
        (HERE / f"child-{name}.bin").write_bytes(proof)
        children.append({"file": f"child-{name}.bin", "group": at, "validators": list(signers)})
        print(f"child {name}: {len(proof)} bytes", flush=True)

    manifest = {
        "scheme": "leanxmss", "library": f"py-lean-pq {pq.__version__}", "signatureBytes": len(signatures[0, 0]),
        "validators": [{"index": i, "publicKey": keys[i].hex()} for i in range(VALIDATORS + 1)],
        "groups": groups, "children": children,
        "wrongLeaf": {"group": 0, "validator": WRONG_LEAF_VALIDATOR, "signaturesOffset": wrong_leaf_offset},
    }
    (HERE / "vectors.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(packed)} bytes of signatures, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
