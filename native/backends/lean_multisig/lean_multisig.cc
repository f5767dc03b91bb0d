/*
 * The wheel py-lean-multisig: an older leanMultisig, which folds and does not merge. Its proofs
 * attest the slot, and verify only with their keys in one order, in which this file puts them.
 *
 * A key and a message are eight numbers of 32 bits, of a field whose prime is below 2^31. The wheel
 * takes a number of up to 2^31 for its remainder, so that two messages would have one signature.
 * Here a number that is no remainder is no key, and no message that anybody can have signed.
 */
#include "../wheel/wheel.h"

namespace wheel {

namespace {

constexpr uint32_t kKeysMax = 4096;    // VALIDATOR_REGISTRY_LIMIT of the lean spec
constexpr uint32_t kRawsMax = 1024;    // the most that was tried: 5.8 GB, and 58 s on two cores beside other work
constexpr uint32_t kChildrenMax = 16;  // the wheel's own limit

constexpr char kSource[] = R"py(
import os
import struct
import tempfile

KEY_BYTES, SIGNATURE_BYTES = 32, 1212
PRIME, RATE_DEFAULT = 2**31 - 2**24 + 1, 2
NUMBERS = struct.Struct("<8I").unpack
lm = verifier = None
provers = {}


def set_up():
    global lm, verifier
    lm = importlib.import_module("py_lean_multisig")
    # The setup writes its programs to a folder of a fixed name and reads them again, so that is not
    # in the folder that all users share.
    try:
        with tempfile.TemporaryDirectory() as own:
            os.environ["TMPDIR"] = own
            verifier = lm.Verifier()
            prover_of(RATE_DEFAULT)  # the setup itself; provers of other rates share it
    except BaseException as error:
        todo = 'it writes files of a few KB: set "fileMb" of the device to 1'
        raise RuntimeError(f"{error}; {todo}" if "FileTooLarge" in str(error) else str(error)) from error
    return f"py-lean-multisig-{lm.__version__}"


def prover_of(rate):
    if rate not in provers:
        provers[rate] = lm.Prover(log_inv_rate=rate)
    return provers[rate]


def is_canonical(packed):
    return all(number < PRIME for number in NUMBERS(packed))


def public_key(key):
    if not is_canonical(key):
        raise ValueError("a key is no eight numbers of the field")
    return lm.PublicKey.from_bytes(key)


def verdict(key, root, slot, signature):
    try:
        if not is_canonical(root):
            return BAD
        lm.verify(public_key(key), root, lm.Signature.from_bytes(signature), slot)
    except MemoryError:
        raise
    except BaseException:
        return BAD
    return GOOD


def decode(proof, claims):
    [(root, slot, keys)] = claims
    if not is_canonical(root):
        raise ValueError("its message is no eight numbers of the field")
    ordered = sorted(set(split(keys, KEY_BYTES)), key=NUMBERS)
    aggregate = lm.AggregatedSignature.from_bytes(proof)
    public_keys = [public_key(key) for key in ordered]
    verifier.verify(public_keys, root, aggregate, slot)
    return public_keys, aggregate


def join(raws, decoded, wanted, rate):
    [(root, slot, keys)] = wanted
    folded = {key.to_bytes() for public_keys, _ in decoded for key in public_keys}
    # The wheel folds no single child beside a signature by one of the child's keys.
    fresh = {key: signature for _, _, of, signatures in raws
             for key, signature in signatures_of(of, signatures) if key not in folded}
    public_keys, made = prover_of(rate or RATE_DEFAULT).aggregate(
        [lm.PublicKey.from_bytes(key) for key in fresh],
        [lm.Signature.from_bytes(signature) for signature in fresh.values()],
        root, slot, children=decoded or None)
    if {key.to_bytes() for key in public_keys} != set(split(keys, KEY_BYTES)):
        raise ValueError("the new proof attests other claims than wanted")
    return made.to_bytes()
)py";

lp_about about() {
  lp_about about{};
  about.backend = "lean_multisig";
  about.scheme = "leanmultisig";
  about.kinds = LP_FOLD;
  about.can = LP_SLOT_BOUND | LP_RAWS_BESIDE_CHILDREN | LP_SAME_KEY_TWICE | LP_VERIFIES_BESIDE;
  about.public_key_bytes = 32;
  about.signature_bytes = 1212;
  about.proof_bytes_max = 512 * 1024;  // proofs measured: 120 to 300 KB
  about.rates = 0x1f;  // 1 to 4, and 0 for the default
  about.rate_default = 2;
  about.setup_ms = 13000;  // measured on two cores: 7 to 13 s
  about.fold = lp_limits{kRawsMax, kRawsMax, kChildrenMax, 0, 1, kKeysMax};
  return about;
}

}  // namespace

const Wheel kWheel{about(), "RAYON_NUM_THREADS", kSource};

}  // namespace wheel
