// Open a sealed packet with hpke-js.
//
//     node open_reply_hpke.mjs FILE
//
// FILE is JSON; numbers are the registry's (RFC 9180 section 7), bytes are hex:
//
//     {"kem": 25722, "kdf": 1, "aead": 3, "secret_key": "..", "enc": "..", "ciphertext": "..",
//      "info": "..", "aad": ".."}
//
// KEM 25722 (0x647a) is X-Wing, whose secret key is the 32-byte seed; KEM 32 is X25519. Prints the
// plaintext in hex; exits 1 when it does not open.

import { readFileSync } from "node:fs";
import {
  Aes128Gcm,
  Aes256Gcm,
  CipherSuite,
  DhkemX25519HkdfSha256,
  HkdfSha256,
  HkdfSha512,
} from "@hpke/core";
import { Chacha20Poly1305 } from "@hpke/chacha20poly1305";
import { XWing } from "@hpke/hybridkem-x-wing";

const KEMS = { 0x0020: DhkemX25519HkdfSha256, 0x647a: XWing };
const KDFS = { 1: HkdfSha256, 3: HkdfSha512 };
const AEADS = { 1: Aes128Gcm, 2: Aes256Gcm, 3: Chacha20Poly1305 };

const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex")).buffer;
const packet = JSON.parse(readFileSync(process.argv[2], "utf8"));

try {
  const suite = new CipherSuite({
    kem: new KEMS[packet.kem](),
    kdf: new KDFS[packet.kdf](),
    aead: new AEADS[packet.aead](),
  });
  const recipientKey = await suite.kem.importKey("raw", bytes(packet.secret_key), false);
  const recipient = await suite.createRecipientContext({
    recipientKey,
    enc: bytes(packet.enc),
    info: bytes(packet.info),
  });
  const opened = await recipient.open(bytes(packet.ciphertext), bytes(packet.aad));
  console.log(Buffer.from(opened).toString("hex"));
} catch (fault) {
  console.error(`does not open: ${fault.name}: ${fault.message}`);
  process.exitCode = 1;
}
