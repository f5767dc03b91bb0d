"""Attestation data and its root, for the scripts beside this file that make vectors."""

import hashlib


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hash_tree_root_checkpoint(root: bytes, slot: int) -> bytes:
    return sha256(root + slot.to_bytes(8, "little").ljust(32, b"\0"))


def hash_tree_root(data: dict) -> bytes:
    """SSZ hash_tree_root of AttestationData{slot, head, target, source}: four chunks, two layers."""
    chunks = [data["slot"].to_bytes(8, "little").ljust(32, b"\0")]
    for name in ("head", "target", "source"):
        point = data[name]
        chunks.append(hash_tree_root_checkpoint(bytes.fromhex(point["root"]), point["slot"]))
    return sha256(sha256(chunks[0] + chunks[1]) + sha256(chunks[2] + chunks[3]))


def attestation_data(slot: int, fork: str = "") -> dict:
    def block(at: int, fork: str = "") -> dict:
        return {"root": sha256(f"block {at}{fork}".encode()).hex(), "slot": at}

    return {"slot": slot, "head": block(slot, fork), "target": block(slot - 2), "source": block(slot - 8)}
