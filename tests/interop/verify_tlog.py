"""Verify a log with two clients that know C2SP and nothing of this project.

    verify_tlog.py URL VKEY [--older CHECKPOINT]... [--proof PROOF --leaf ENTRY]...

URL is the log's prefix (…/log/index). VKEY is the log's verifier key, or the market's: a market signs
each of its logs with its one key, under the name <market>/<log>. aics-tlog fetches the checkpoint,
verifies its signature and origin, and reads every tile and entry bundle back against its root; each
CHECKPOINT seen earlier has to be signed by the same key and to be a prefix of the tree of now. Then
proofbundle verifies each .tlog-proof file against the entry's bytes, offline. Prints what was
checked as JSON; exits 1 at the first thing that does not hold.
"""

import argparse
import json
import sys

from aics_tlog import (
    HttpTileReader,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    format_vkey,
    inclusion_proof_from_tiles,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
    vkey_from_ed25519,
)
from proofbundle.tlogproof import verify_tlog_proof


class Refused(Exception):
    """What does not hold, in a sentence."""


def log_key(vkey: str, url: str):
    """The log's key: as given, or the market's under the log's name, the last word of the URL."""
    key = parse_vkey(vkey)
    log = url.rstrip("/").rsplit("/", 1)[1]
    if log not in ("index", "trades") or key.name.endswith("/" + log):
        return key
    return vkey_from_ed25519(f"{key.name}/{log}", key.public_key)


def signed_head(note: bytes, key, what: str):
    """The checkpoint in a signed note, once its signature and origin hold."""
    parsed = parse_note(note)
    verdict = verify_checkpoint(parsed, key, expected_origin=key.name)
    if not verdict.ok:
        raise Refused(f"{what}: {verdict.error or 'no signature by the pinned key'}")
    return parse_checkpoint(parsed.text)


def check(given) -> dict:
    key = log_key(given.vkey, given.url)
    reader = HttpTileReader([given.url])
    head = signed_head(reader.read_checkpoint(), key, "the checkpoint")
    if head.size == 0:
        raise Refused("the log is empty: nothing to verify")

    audited = audit_tiles(reader, head.size, head.root)

    # Inclusion by way of the tiles: first, last, and around the edge of the first full tile.
    verified = VerifiedTileReader(reader, head.size, head.root)
    indices = sorted({i for i in (0, 255, 256, head.size // 2, head.size - 1) if i < head.size})
    for index in indices:
        proof = inclusion_proof_from_tiles(verified, index, head.size)
        if not verify_leaf_inclusion(verified.entry(index), index, head.size, proof, head.root):
            raise Refused(f"entry {index} is not in the tree of size {head.size}")

    for path in given.older:
        with open(path, "rb") as file:
            older = signed_head(file.read(), key, path)
        proof = consistency_proof_from_tiles(verified, older.size, head.size)
        if not verify_consistency(older.size, head.size, older.root, head.root, proof):
            raise Refused(f"{path}: size {older.size} is no prefix of size {head.size}")

    for proof_path, leaf_path in zip(given.proof, given.leaf, strict=True):
        with open(proof_path, encoding="utf-8") as proof, open(leaf_path, "rb") as leaf:
            verdict = verify_tlog_proof(
                proof.read(), leaf.read(), format_vkey(key), expected_origin=key.name
            )
        if not verdict["ok"]:
            raise Refused(f"{proof_path}: {verdict}")

    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "tiles": audited.tiles,
        "bundles": audited.bundles,
        "inclusion": len(indices),
        "consistency": len(given.older),
        "proofs": len(given.proof),
    }


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("url")
    arguments.add_argument("vkey")
    arguments.add_argument("--older", action="append", default=[])
    arguments.add_argument("--proof", action="append", default=[])
    arguments.add_argument("--leaf", action="append", default=[])
    given = arguments.parse_args()
    try:
        print(json.dumps(check(given)))
        return 0
    except (Refused, ValueError, OSError) as fault:
        print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
