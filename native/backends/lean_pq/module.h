/*
 * The Python side of the backend calls py_lean_pq and decides each status; the C++ side only moves
 * bytes. Every entry point returns (status, payload) and raises no exception. The payload is
 * the result or the text of the error, as bytes.
 */
#ifndef LEAN_PQ_MODULE_H
#define LEAN_PQ_MODULE_H

namespace lean_pq {

inline constexpr char kModuleName[] = "lean_aggregator_backend";

/* Its statuses are those of lean_prover_status; lean_pq.cc asserts that their numbers agree. */
inline constexpr char kModuleSource[] = R"py(
import importlib
import sys

OK, INVALID_ARGUMENT, BAD_SIGNATURE, BAD_AGGREGATE, INTERNAL = 0, 1, 2, 3, 6
KEY_BYTES, SIGNATURE_BYTES, LEAF_BYTES = 32, 2404, 4
pq = None


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def entry(call):
    # pyo3 raises a Rust panic as PanicException, which is a BaseException only.
    def guarded(*args):
        try:
            return OK, call(*args)
        except Refused as refused:
            return refused.status, str(refused).encode("utf-8", "replace")
        except BaseException as error:
            return INTERNAL, f"{type(error).__name__}: {error}".encode("utf-8", "replace")

    return guarded


def split(packed, size):
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def verdict(key, root, slot, signature):
    # xmss_verify takes no slot; the leaf index is the first four bytes of the signature.
    if int.from_bytes(signature[:LEAF_BYTES], "little") != slot:
        return INVALID_ARGUMENT
    try:
        pq.xmss_verify(key, root, signature)
    except MemoryError:
        raise
    except BaseException:
        return BAD_SIGNATURE
    return OK


def verdicts(root, slot, keys, signatures):
    pairs = zip(split(keys, KEY_BYTES), split(signatures, SIGNATURE_BYTES), strict=True)
    return bytes(verdict(key, root, slot, signature) for key, signature in pairs)


def decode(root, proof, keys, name):
    # from_bytes verifies the proof against the claims listed in it, which may differ from ours.
    try:
        aggregate = pq.Aggregate.from_bytes(proof)
        xmss, sphincs = aggregate.xmss_claims, aggregate.sphincs_claims
    except MemoryError:
        raise
    except BaseException as error:
        raise Refused(BAD_AGGREGATE, f"{name} does not verify: {error}") from error
    if sphincs or set(xmss) != {(key, root) for key in split(keys, KEY_BYTES)}:
        raise Refused(BAD_AGGREGATE, f"{name} verifies, but attests other keys or another message")
    return aggregate


def refuse_bad_raws(root, slot, keys, signatures):
    found = verdicts(root, slot, keys, signatures)
    for at, status in enumerate(found):
        if status != OK:
            what = "is at another leaf" if status == INVALID_ARGUMENT else "does not verify"
            raise Refused(status, f"raw signature {at} {what}")


@entry
def open_prover(site_packages):
    global pq
    path = site_packages.decode()
    if path and path not in sys.path:
        sys.path.insert(0, path)
    pq = importlib.import_module("py_lean_pq")
    pq.setup()
    return f"py-lean-pq-{pq.__version__}".encode()


@entry
def verify_signatures(root, slot, keys, signatures):
    return verdicts(root, slot, keys, signatures)


@entry
def verify_aggregate(root, proof, keys):
    decode(root, proof, keys, "proof")
    return b""


@entry
def aggregate(root, slot, keys, signatures, children):
    # The wheel verifies raws too, but names a bad one only in its text. Cost: 0.1 ms for each raw.
    refuse_bad_raws(root, slot, keys, signatures)
    decoded = [decode(root, proof, theirs, f"child {at}")
               for at, (proof, theirs) in enumerate(children)]
    raws = [(key, root, signature) for key, signature in
            zip(split(keys, KEY_BYTES), split(signatures, SIGNATURE_BYTES), strict=True)]
    made = pq.aggregate(decoded, xmss=raws)
    wanted = {(key, root) for packed in [keys, *(theirs for _, theirs in children)]
              for key in split(packed, KEY_BYTES)}
    if made.sphincs_claims or set(made.xmss_claims) != wanted:
        raise Refused(INTERNAL, "the new proof attests other keys than requested")
    return made.to_bytes()
)py";

}  // namespace lean_pq

#endif
