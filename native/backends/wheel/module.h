/*
 * The common part of the Python side, which the wheel's own part follows, and which decides each
 * status; the C++ side only moves bytes. Every entry point returns (status, payload, at, index,
 * within) and raises no exception. The payload is the result or the text of the error, as bytes;
 * the last three name the input at fault as lp_fault does.
 *
 * A message is (root, slot, packed keys), and raws have packed signatures too. The wheel's own part
 * defines:
 *   KEY_BYTES, SIGNATURE_BYTES
 *   set_up() -> revision
 *   verdict(key, root, slot, signature) -> GOOD, BAD or WRONG_SLOT
 *   decode(proof, claims)               verifies that the proof attests exactly these claims,
 *                                       and returns what `join` takes; raises an exception if not
 *   join(raws, decoded, wanted, rate) -> the bytes of a proof of verified inputs
 */
#ifndef LEAN_WHEEL_MODULE_H
#define LEAN_WHEEL_MODULE_H

namespace wheel {

inline constexpr char kModuleName[] = "lean_aggregator_backend";

/* Its numbers are those of lean_prover.h; backend.cc asserts that they agree. */
inline constexpr char kCommonSource[] = R"py(
import importlib
import sys

OK, INVALID, BAD_SIGNATURE, BAD_PROOF, INTERNAL = 0, 1, 2, 3, 6
GOOD, BAD, WRONG_SLOT = 0, 1, 2
AT_NONE, AT_RAWS, AT_CHILD, AT_WANTED = 0, 1, 2, 3
FOLD = 1


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


def signatures_of(keys, signatures):
    return zip(split(keys, KEY_BYTES), split(signatures, SIGNATURE_BYTES), strict=True)


def verdicts(root, slot, keys, signatures):
    return bytes(verdict(key, root, slot, signature)
                 for key, signature in signatures_of(keys, signatures))


def decoded(proof, claims, name, at=AT_NONE, index=0):
    try:
        return decode(proof, claims)
    except MemoryError:
        raise
    except BaseException as error:
        raise Refused(BAD_PROOF, f"{name} does not verify: {error}", at, index) from error


def refuse_bad_raws(index, root, slot, keys, signatures):
    for within, found in enumerate(verdicts(root, slot, keys, signatures)):
        if found != GOOD:
            what = "is at another leaf" if found == WRONG_SLOT else "does not verify"
            raise Refused(BAD_SIGNATURE, f"the signature {what}", AT_RAWS, index, within)


def refuse_other_claims(kind, raws, children, wanted):
    given = [(root, slot, keys) for root, slot, keys, _ in raws]
    given += [claim for _, claims in children for claim in claims]
    if kind == FOLD and len({claim[:2] for claim in given}) > 1:
        raise Refused(INVALID, "a FOLD has inputs of several messages")
    for index, (root, slot, keys) in enumerate(wanted):
        same = {key for claim in given if claim[:2] == (root, slot)
                for key in split(claim[2], KEY_BYTES)}
        if same != set(split(keys, KEY_BYTES)):
            raise Refused(INVALID, "the inputs have other keys for it", AT_WANTED, index)
    if {claim[:2] for claim in given} != {claim[:2] for claim in wanted}:
        raise Refused(INVALID, "the inputs have a message that is not wanted", AT_WANTED)


@entry
def open_prover(site_packages):
    path = site_packages.decode()
    if path and path not in sys.path:
        sys.path.insert(0, path)
    return set_up().encode()


@entry
def verify_signatures(raws):
    return verdicts(*raws)


@entry
def verify(proof):
    decoded(*proof, "the proof")
    return b""


@entry
def prove(kind, rate, raws, children, wanted):
    refuse_other_claims(kind, raws, children, wanted)
    # A wheel verifies raws too, but names a bad one only in its text, if at all.
    for index, each in enumerate(raws):
        refuse_bad_raws(index, *each)
    return join(raws, [decoded(proof, claims, "the child", AT_CHILD, index)
                       for index, (proof, claims) in enumerate(children)], wanted, rate)
)py";

}  // namespace wheel

#endif
