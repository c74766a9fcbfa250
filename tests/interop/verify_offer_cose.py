"""Verify a signed message with the COSE library cwt.

    verify_offer_cose.py FILE [--typ TYPE]

FILE is one tagged COSE_Sign1, as the log stores it. The signer's Ed25519 key is the `kid`; the
message's type is in the protected header 16 (RFC 9596) and is also the external data that was
signed. Prints what the library found as JSON; exits 1 when the signature does not hold.
"""

import argparse
import json
import sys

import cbor2
from cwt import COSE, COSEKey

TYP = 16  # RFC 9596
KID = 4  # RFC 9052


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file")
    arguments.add_argument("--typ", help="the type this message has to have")
    given = arguments.parse_args()

    with open(given.file, "rb") as file:
        message = file.read()

    # Only to learn which key and type are claimed; cwt decodes the message again for itself.
    try:
        claimed = cbor2.loads(cbor2.loads(message).value[0])
        kid, typ = claimed[KID], claimed[TYP]
        # A COSE_Key (RFC 9053): key type OKP, curve Ed25519, algorithm EdDSA, x, and its kid.
        key = COSEKey.new({1: 1, 2: kid, 3: -8, -1: 6, -2: kid})
    except (cbor2.CBORDecodeError, AttributeError, IndexError, KeyError, ValueError) as fault:
        print(f"no tagged COSE_Sign1 with kid and typ: {fault}", file=sys.stderr)
        return 1
    if given.typ is not None and typ != given.typ:
        print(f"the message says it is {typ!r}, not {given.typ!r}", file=sys.stderr)
        return 1

    try:
        protected, unprotected, payload = COSE.new().decode_with_headers(
            message, key, external_aad=typ.encode()
        )
    except Exception as fault:  # the library has several classes for "no"
        print(f"cwt refuses this message: {fault}", file=sys.stderr)
        return 1

    print(json.dumps({
        "typ": protected[TYP],
        "kid": protected[KID].hex(),
        "unprotected": len(unprotected),
        "payload": payload.hex(),
    }))
    return 0


if __name__ == "__main__":
    sys.exit(main())
