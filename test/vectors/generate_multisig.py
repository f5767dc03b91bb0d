#!/usr/bin/env python3
"""Makes the signature vectors in multisig/, and the calibration of the backend lean_multisig.

Run once, with that wheel's environment (`make setup-multisig`; half a minute on two cores):

    .multisig-venv/bin/python test/vectors/generate_multisig.py

The layout is that of xmss/. Slots 100 and 101 carry one attestation data each, signed by all
validators. This scheme signs few roots: each of a message's eight numbers must be one of its field.
The head of the attestation data is chosen so that the root is such a message. The keys come from
public seeds: they protect nothing.
"""

import json
import pathlib
import struct
import sys

import py_lean_multisig as lm

from attestation import attestation_data, hash_tree_root, sha256

VALIDATORS, CHILD_SIGNERS = 32, 8
FIRST_SLOT, SLOTS = 100, 2
PRIME = 2**31 - 2**24 + 1
VECTORS = pathlib.Path(__file__).resolve().parent
HERE = VECTORS / "multisig"
CALIBRATION = VECTORS.parent.parent / "native" / "backends" / "lean_multisig" / "calibration.json"


def accepted(slot: int) -> tuple:
    """The first attestation data of the slot whose root can be signed; one in about 270 can."""
    for fork in range(100_000):
        data = attestation_data(slot, f" fork {fork}")
        root = hash_tree_root(data)
        if all(number < PRIME for number in struct.unpack("<8I", root)):
            return data, root
    raise SystemExit(f"no root of slot {slot} can be signed")


def main() -> None:
    HERE.mkdir(exist_ok=True)
    validators = range(VALIDATORS)
    seeds = [sha256(f"lean-aggregator multisig validator {index}".encode()) for index in validators]
    pairs = [lm.keygen(seed, FIRST_SLOT, FIRST_SLOT + SLOTS - 1) for seed in seeds]
    keys = [key for _, key in pairs]
    packed, groups, signed = bytearray(), [], []
    for slot in range(FIRST_SLOT, FIRST_SLOT + SLOTS):
        data, root = accepted(slot)
        signatures = [lm.sign(secret, root, slot, rng_seed=seed) for (secret, _), seed in zip(pairs, seeds)]
        groups.append({"data": data, "root": root.hex(), "validators": list(validators),
                       "signaturesOffset": len(packed)})
        signed.append((root, slot, signatures))
        packed += b"".join(signature.to_bytes() for signature in signatures)
    (HERE / "signatures.bin").write_bytes(packed)

    root, slot, signatures = signed[0]
    _, child = lm.Prover().aggregate(keys[:CHILD_SIGNERS], signatures[:CHILD_SIGNERS], root, slot)
    (HERE / "child-100.bin").write_bytes(child.to_bytes())
    manifest = {
        "scheme": "leanmultisig", "library": f"py-lean-multisig {lm.__version__}",
        "signatureBytes": len(signatures[0].to_bytes()),
        "validators": [{"index": i, "publicKey": keys[i].to_bytes().hex()} for i in validators],
        "groups": groups,
        "children": [{"file": "child-100.bin", "group": 0, "validators": list(range(CHILD_SIGNERS))}],
    }
    (HERE / "vectors.json").write_text(json.dumps(manifest, indent=1) + "\n")

    votes = [{"publicKey": key.to_bytes().hex(), "signature": signature.to_bytes().hex()}
             for key, signature in zip(keys, signatures)]
    calibration = {**votes[0], "root": root.hex(), "slot": slot, "more": votes[1:]}
    CALIBRATION.write_text(json.dumps(calibration, indent=2) + "\n")
    print(f"{len(packed)} bytes of signatures, a proof of {len(child.to_bytes())} bytes")


if __name__ == "__main__":
    sys.exit(main())
