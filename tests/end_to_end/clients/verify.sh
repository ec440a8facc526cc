#!/usr/bin/env bash
# Compares two photos: verify.sh URL A.jpg B.jpg; or seals one and prints it: verify.sh A.jpg.
# Needs bash, curl and openssl 3, and nothing else. The legacy format. TOKEN in the environment: the terminal's.
# While it runs, `ps` shows the key to whoever is logged in: not for machines with other users.
set -euo pipefail
export LC_ALL=C
umask 077
KEY="${KEY:-dcbbad6765e14139a07d34b92292a672}"
IV="${IV:-df25d188a061}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

hex() { od -An -v -tx1 | tr -d ' \n'; }
key=$(printf %s "$KEY" | hex)
iv=$(printf %s "$IV" | hex)

# openssl's command line has AES-GCM for associated data only (GMAC). Its tag of the ciphertext differs from the wanted
# one in the last block of GHASH: lengths of 0 and L bits there, of L and 0 in GMAC. That is (L || L) * H, to be added.
# Source: NIST SP 800-38D, algorithm 1 (multiplication) and section 7.1, step 5.
seal() {
    openssl enc -aes-256-ctr -K "$key" -iv "${iv}00000002" -in "$1" -out "$work/ciphertext"
    local bits gmac h high low z_high=0 z_low=0 step carry tag
    bits=$(($(wc -c < "$work/ciphertext") * 8))
    gmac=$(openssl mac -cipher AES-256-GCM -macopt "hexkey:$key" -macopt "hexiv:$iv" -in "$work/ciphertext" GMAC)
    h=$(head -c 16 /dev/zero | openssl enc -aes-256-ecb -nopad -K "$key" | hex)
    high=$((16#${h:0:16})) low=$((16#${h:16:16}))
    for ((step = 0; step < 128; step++)); do
        if ((bits >> (63 - step % 64) & 1)); then
            z_high=$((z_high ^ high)) z_low=$((z_low ^ low))
        fi
        carry=$((low & 1))
        low=$((low >> 1 & ~(1 << 63) | high << 63))
        high=$((high >> 1 & ~(1 << 63) ^ carry * (0xe1 << 56)))
    done
    printf -v tag %016x%016x $((16#${gmac:0:16} ^ z_high)) $((16#${gmac:16:16} ^ z_low))
    printf %b "$(sed 's/../\\x&/g' <<< "$tag")" > "$work/tag"
    cat "$work/ciphertext" "$work/tag" | openssl base64 -A
}

if [ $# = 1 ]; then
    seal "$1"
    exit
fi
seal "$2" > "$work/first"
seal "$3" > "$work/second"
printf %s "${TOKEN:+Authorization: Bearer $TOKEN}" > "$work/header"
curl --silent --show-error --header "@$work/header" --data-urlencode "first_encrypted_image@$work/first" \
    --data-urlencode "second_encrypted_image@$work/second" "$1/identity/image_verification/stateless"
