#!/usr/bin/env python3
"""The devnet's leanXMSS, in two processes that its nodes share over Unix sockets.

    crypto.py signer SOCKET SEED VALIDATORS [PROPOSERS]     holds the secret keys, signs
    crypto.py verifier SOCKET                               verifies signatures and proofs

A line of JSON asks, a line of JSON answers, matched by "id", in any order; bytes are base64. One
line with "ready" goes to standard output once the socket listens, the signer's with the public
keys; before it, lines with "progress". The process ends when its standard input does.

The first PROPOSERS validators (default: none) have a second key, for their blocks: a leaf signs once.

Keys come from a public seed and protect nothing: each run signs anew at the same leaves.
"""

import base64
import concurrent.futures
import hashlib
import json
import os
import socketserver
import sys
import threading

import py_lean_pq as pq

LEAF_BYTES = 4
THREADS = os.cpu_count() or 1
# Between a node's 0 and the 10 that the service gives its provers.
SIGNER_NICE = 5


def say(**line) -> None:
    print(json.dumps(line), flush=True)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signer(seed: str, validators: int, proposers: int = 0):
    seeds = [f"{seed} {index}" for index in range(validators)]
    seeds += [f"{seed} proposer {index}" for index in range(proposers)]

    def make(text: str):
        key = pq.XmssSecretKey.from_seed(hashlib.sha256(text.encode()).digest())
        # The bottom tree of the first leaves, for every slot that a devnet can last.
        key.prepare(0)
        return key

    keys = []
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for key in pool.map(make, seeds):
            keys.append(key)
            say(progress=f"{len(keys)} of {len(seeds)} keys made")

    def sign(ask):
        message = base64.b64decode(ask["message"])
        own = keys[validators:] if ask["role"] == "proposal" else keys[:validators]
        return {"signature": text(own[ask["validator"]].sign(message, ask["slot"]))}

    # A signature takes half a second of one core. Four machines would do that beside each other, and
    # beside the aggregator's prover: here nodes come first, then signatures, and the prover last.
    os.nice(SIGNER_NICE)
    public = [text(key.public_key) for key in keys]
    return {"sign": sign}, {"keys": public[:validators], "proposalKeys": public[validators:]}


def verifier():
    pq.setup()

    def verify_signature(ask):
        message, signature = base64.b64decode(ask["message"]), base64.b64decode(ask["signature"])
        # The library takes no slot: the leaf index is the signature's own first bytes.
        if int.from_bytes(signature[:LEAF_BYTES], "little") != ask["slot"]:
            return {"valid": False}
        return valid(lambda: pq.xmss_verify(base64.b64decode(ask["key"]), message, signature))

    def verify_proof(ask):
        def check():
            claims = [
                (base64.b64decode(key), base64.b64decode(claim["message"]))
                for claim in ask["claims"]
                for key in claim["keys"]
            ]
            aggregate = pq.Aggregate.from_bytes(base64.b64decode(ask["proof"]))
            if aggregate.sphincs_claims or sorted(aggregate.xmss_claims) != sorted(claims):
                raise pq.LeanPqError("attests other claims")

        return valid(check)

    return {"verify_signature": verify_signature, "verify_proof": verify_proof}, {}


def valid(check):
    try:
        check()
    except (pq.LeanPqError, ValueError):
        return {"valid": False}
    return {"valid": True}


def serve(path: str, handlers: dict, ready: dict) -> None:
    pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    class Connection(socketserver.StreamRequestHandler):
        def handle(self):
            lock = threading.Lock()

            def answer(ask):
                try:
                    result = handlers[ask["op"]](ask)
                except Exception as error:  # the asker's to deal with
                    result = {"error": f"{type(error).__name__}: {error}"}
                with lock:
                    try:
                        self.wfile.write(json.dumps({"id": ask["id"], **result}).encode() + b"\n")
                    except OSError:
                        pass  # the node was killed

            for line in self.rfile:
                pool.submit(answer, json.loads(line))

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            if not isinstance(sys.exc_info()[1], ConnectionError):  # that is a killed node's
                super().handle_error(request, client_address)

    server = Server(path, Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(ready=True, **ready)
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    role, path, *rest = sys.argv[1:]
    serve(path, *(signer(rest[0], *map(int, rest[1:])) if role == "signer" else verifier()))


if __name__ == "__main__":
    main()
