/*
 * The Python side of the backend calls py_lean_pq and decides each status; the C++ side only moves
 * bytes. Every entry point returns (status, payload, at, index, within) and raises no exception.
 * The payload is the result or the text of the error, as bytes; the last three name the input at
 * fault as lp_fault does.
 */
#ifndef LEAN_PQ_MODULE_H
#define LEAN_PQ_MODULE_H

namespace lean_pq {

inline constexpr char kModuleName[] = "lean_aggregator_backend";

/* Its numbers are those of lean_prover.h; lean_pq.cc asserts that they agree. */
inline constexpr char kModuleSource[] = R"py(
import importlib
import sys

OK, INVALID, BAD_SIGNATURE, BAD_PROOF, INTERNAL = 0, 1, 2, 3, 6
GOOD, BAD, WRONG_SLOT = 0, 1, 2
AT_NONE, AT_RAWS, AT_CHILD, AT_WANTED = 0, 1, 2, 3
FOLD = 1
KEY_BYTES, SIGNATURE_BYTES, LEAF_BYTES = 32, 2404, 4
pq = None


class Refused(Exception):
    def __init__(self, status, text, at=AT_NONE, index=0, within=0):
        super().__init__(text)
        self.answer = status, text.encode("utf-8", "replace"), at, index, within


def entry(call):
    # pyo3 raises a Rust panic as PanicException, which is a BaseException only.
    def guarded(*args):
        try:
            return OK, call(*args), AT_NONE, 0, 0
        except Refused as refused:
            return refused.answer
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            return INTERNAL, text.encode("utf-8", "replace"), AT_NONE, 0, 0

    return guarded


def split(packed, size):
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def pairs(claims):
    """What the wheel calls the claims of a proof: pairs of a key and a message, without a slot."""
    return {(key, root) for root, _, keys in claims for key in split(keys, KEY_BYTES)}


def verdict(key, root, slot, signature):
    # xmss_verify takes no slot; the leaf index is the first four bytes of the signature.
    if int.from_bytes(signature[:LEAF_BYTES], "little") != slot:
        return WRONG_SLOT
    try:
        pq.xmss_verify(key, root, signature)
    except MemoryError:
        raise
    except BaseException:
        return BAD
    return GOOD


def verdicts(root, slot, keys, signatures):
    signed = zip(split(keys, KEY_BYTES), split(signatures, SIGNATURE_BYTES), strict=True)
    return bytes(verdict(key, root, slot, signature) for key, signature in signed)


def decode(proof, claims, name, at=AT_NONE, index=0):
    # from_bytes verifies the proof against the claims listed in it, which may differ from ours.
    try:
        aggregate = pq.Aggregate.from_bytes(proof)
        xmss, sphincs = aggregate.xmss_claims, aggregate.sphincs_claims
    except MemoryError:
        raise
    except BaseException as error:
        raise Refused(BAD_PROOF, f"{name} does not verify: {error}", at, index) from error
    if sphincs or set(xmss) != pairs(claims):
        raise Refused(BAD_PROOF, f"{name} verifies, but attests other claims", at, index)
    return aggregate


def refuse_bad_raws(index, root, slot, keys, signatures):
    for within, found in enumerate(verdicts(root, slot, keys, signatures)):
        if found != GOOD:
            what = "is at another leaf" if found == WRONG_SLOT else "does not verify"
            raise Refused(BAD_SIGNATURE, f"the signature {what}", AT_RAWS, index, within)


def refuse_other_claims(kind, raws, children, wanted):
    given = [(root, slot, keys) for root, slot, keys, _ in raws]
    given += [claim for _, claims in children for claim in claims]
    if kind == FOLD and len({(root, slot) for root, slot, _ in given}) > 1:
        raise Refused(INVALID, "a FOLD has inputs of several messages")
    for index, (root, slot, keys) in enumerate(wanted):
        same = [claim for claim in given if claim[:2] == (root, slot)]
        if pairs(same) != pairs([(root, slot, keys)]):
            raise Refused(INVALID, "the inputs have other keys for it", AT_WANTED, index)
    if {claim[:2] for claim in given} != {claim[:2] for claim in wanted}:
        raise Refused(INVALID, "the inputs have a message that is not wanted", AT_WANTED)


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
def verify_signatures(raws):
    return verdicts(*raws)


@entry
def verify(proof):
    decode(*proof, "the proof")
    return b""


@entry
def prove(kind, raws, children, wanted):
    refuse_other_claims(kind, raws, children, wanted)
    # The wheel verifies raws too, but names a bad one only in its text. Cost: 0.1 ms for each raw.
    for index, each in enumerate(raws):
        refuse_bad_raws(index, *each)
    decoded = [decode(proof, claims, "the child", AT_CHILD, index)
               for index, (proof, claims) in enumerate(children)]
    signed = [(key, root, signature) for root, _, keys, signatures in raws
              for key, signature in zip(split(keys, KEY_BYTES),
                                        split(signatures, SIGNATURE_BYTES), strict=True)]
    made = pq.aggregate(decoded, xmss=signed)
    if made.sphincs_claims or set(made.xmss_claims) != pairs(wanted):
        raise Refused(INTERNAL, "the new proof attests other claims than wanted")
    return made.to_bytes()
)py";

}  // namespace lean_pq

#endif
