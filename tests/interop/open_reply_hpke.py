"""Open a sealed packet with Python's HPKE libraries.

    open_reply_hpke.py FILE

FILE is JSON; numbers are the registry's (RFC 9180 section 7), bytes are hex:

    {"kem": 32, "kdf": 1, "aead": 3, "secret_key": "..", "enc": "..", "ciphertext": "..",
     "info": "..", "aad": ".."}

KEM 32 is X25519, opened by pyhpke. KEM 25722 (0x647a) is X-Wing, opened by `cryptography`; its
secret key is the 32-byte seed. Prints the plaintext in hex; exits 1 when it does not open.
"""

import hashlib
import json
import sys

X25519 = 0x0020
X_WING = 0x647A


def with_pyhpke(packet: dict) -> bytes:
    from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

    suite = CipherSuite.new(KEMId(packet["kem"]), KDFId(packet["kdf"]), AEADId(packet["aead"]))
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    secret = KEMKey.from_pyca_cryptography_key(
        X25519PrivateKey.from_private_bytes(packet["secret_key"])
    )
    context = suite.create_recipient_context(packet["enc"], secret, info=packet["info"])
    return context.open(packet["ciphertext"], aad=packet["aad"])


def with_cryptography(packet: dict) -> bytes:
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    if packet["aad"]:
        raise ValueError("this library seals and opens without additional data only")
    # X-Wing's seed becomes 64 bytes for ML-KEM-768 and 32 for X25519 (draft-connolly-cfrg-xwing-kem).
    expanded = hashlib.shake_256(packet["secret_key"]).digest(96)
    secret = hpke.MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
    kdf = {1: hpke.KDF.HKDF_SHA256, 3: hpke.KDF.HKDF_SHA512}[packet["kdf"]]
    aead = {
        1: hpke.AEAD.AES_128_GCM,
        2: hpke.AEAD.AES_256_GCM,
        3: hpke.AEAD.CHACHA20_POLY1305,
    }[packet["aead"]]
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, kdf, aead)
    return suite.decrypt(packet["enc"] + packet["ciphertext"], secret, packet["info"])


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        packet = json.load(file)
    for name in ("secret_key", "enc", "ciphertext", "info", "aad"):
        packet[name] = bytes.fromhex(packet[name])
    try:
        opened = {X25519: with_pyhpke, X_WING: with_cryptography}[packet["kem"]](packet)
    except Exception as fault:  # the libraries have several classes for "no"
        print(f"does not open: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    print(opened.hex())
    return 0


if __name__ == "__main__":
    sys.exit(main())
