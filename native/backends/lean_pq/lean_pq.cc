/*
 * The wheel py-lean-pq: leanVM, which folds and merges. A proof of it names no slot, and lists the
 * claims that it attests.
 */
#include "../wheel/wheel.h"

namespace wheel {

namespace {

constexpr uint32_t kKeysMax = 4096;   // VALIDATOR_REGISTRY_LIMIT of the lean spec
constexpr uint32_t kChildrenMax = 16;  // the wheel's own limit
constexpr uint32_t kClaimsMax = 64;    // a block has at most 8, and its proposer's

constexpr char kSource[] = R"py(
KEY_BYTES, SIGNATURE_BYTES, LEAF_BYTES = 32, 2404, 4
pq = None


def set_up():
    global pq
    pq = importlib.import_module("py_lean_pq")
    pq.setup()
    return f"py-lean-pq-{pq.__version__}"


def pairs(claims):
    """What the wheel calls the claims of a proof: pairs of a key and a message, without a slot."""
    return {(key, root) for root, _, keys in claims for key in split(keys, KEY_BYTES)}


def verdict(key, root, slot, signature):
    try:
        # It takes no slot: it verifies at the leaf that the first four bytes of the signature name.
        pq.xmss_verify(key, root, signature)
    except MemoryError:
        raise
    except BaseException:
        return BAD
    return GOOD if int.from_bytes(signature[:LEAF_BYTES], "little") == slot else WRONG_SLOT


def decode(proof, claims):
    # from_bytes verifies the proof against the claims listed in it, which may differ from ours.
    aggregate = pq.Aggregate.from_bytes(proof)
    if aggregate.sphincs_claims or set(aggregate.xmss_claims) != pairs(claims):
        raise ValueError("it attests other claims")
    return aggregate


def join(raws, decoded, wanted, rate):
    signed = [(key, root, signature) for root, _, keys, signatures in raws
              for key, signature in signatures_of(keys, signatures)]
    made = pq.aggregate(decoded, xmss=signed)
    if made.sphincs_claims or set(made.xmss_claims) != pairs(wanted):
        raise ValueError("the new proof attests other claims than wanted")
    return made.to_bytes()
)py";

lp_about about() {
  lp_about about{};
  about.backend = "lean_pq";
  about.scheme = "leanxmss";
  about.kinds = LP_FOLD | LP_MERGE;
  about.can = LP_TELLS_WRONG_SLOT | LP_RAWS_BESIDE_CHILDREN | LP_MERGE_RAWS | LP_MERGE_MERGED |
              LP_SAME_KEY_TWICE | LP_VERIFIES_BESIDE;
  about.public_key_bytes = 32;
  about.signature_bytes = 2404;
  about.proof_bytes_max = 512 * 1024;  // proofs measured: 190 to 245 KB
  about.setup_ms = 5000;               // measured on two cores: 3.7 to 4.9 s
  about.merge = lp_limits{kKeysMax, kKeysMax, kChildrenMax, 0, kClaimsMax, kKeysMax};
  about.fold = about.merge;
  about.fold.claims_max = 1;
  // To verify: at 64 bytes a key, no proof of many more than 4096 is within proof_bytes_max.
  about.merge.keys_max = kKeysMax * kClaimsMax;
  return about;
}

}  // namespace

const Wheel kWheel{about(), "LEANVM_NUM_THREADS", kSource};

}  // namespace wheel
