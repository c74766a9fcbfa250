#!/bin/sh
# Certificates of OpenSSL's making, as participants bring them: a self-signed one with OpenSSL's
# defaults, and one that an RSA root issued through an intermediate CA. The keys are for tests only.
set -eu
cd "$(dirname "$0")"
days=7300

openssl genpkey -algorithm ed25519 -out self_ed25519.key
openssl req -x509 -new -key self_ed25519.key -subj "/CN=Self Made" -days $days -out self_ed25519.pem

openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out root.key
openssl req -x509 -new -key root.key -subj "/O=Example/CN=Example Root" -days $days \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out root.pem

openssl ecparam -name secp384r1 -genkey -noout -out middle.key
openssl req -new -key middle.key -subj "/O=Example/CN=Example Issuing CA" -out middle.csr
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n' > ext
openssl x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days $days \
    -extfile ext -out middle.pem

openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:prime256v1 -out leaf_p256.key
openssl req -new -key leaf_p256.key -subj "/O=Bank of Examples/CN=Data Desk" -out leaf.csr
printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n' > ext
openssl x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -CAcreateserial -days $days \
    -extfile ext -out leaf.pem
cat leaf.pem middle.pem > leaf_p256_chain.pem

openssl ec -in leaf_p256.key -out leaf_p256_sec1.key
openssl req -x509 -new -key root.key -subj "/CN=RSA" -days $days -out self_rsa.pem
mv root.key self_rsa.key

rm -f ext ./*.csr ./*.srl leaf.pem middle.pem middle.key
