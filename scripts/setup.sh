#!/usr/bin/env bash
# Install what is missing and say so; say nothing, and do nothing, when all is there.
#
#   scripts/setup.sh build        what `cargo build` needs besides Rust: a C compiler
#   scripts/setup.sh build test   and what `make test` needs: Python, Node.js, PostgreSQL
#
# Debian 12 and 13 are the machines this is tried on. Elsewhere it prints what is needed and stops.
set -euo pipefail

packages=()
reasons=()
need() { # package, why
    packages+=("$1")
    reasons+=("$1: $2")
}

has() { command -v "$1" >/dev/null 2>&1; }

compiles_c() { # a compiler alone is not enough: the C library's headers are a package of their own
    has cc && echo '#include <stdlib.h>' | cc -x c -fsyntax-only - 2>/dev/null
}

python_ok() { # 3.11 or newer, able to make a virtual environment with pip in it
    has python3 && python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

node_ok() { # 18 or newer
    has node && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null
}

postgres_ok() { # Debian keeps the server's programs out of PATH
    has postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

if ! has cargo; then
    echo "Rust is missing: no 'cargo' in PATH or in ~/.cargo/bin." >&2
    echo "Install Rust 1.95 or newer with rustup, then run this again." >&2
    exit 1
fi

for set in "$@"; do
    case $set in
    build)
        compiles_c || need build-essential "a C compiler and headers, for the cryptography in ring"
        ;;
    test)
        python_ok || need python3-venv "Python 3.11 or newer with venv: other people's COSE, HPKE and log verifiers"
        node_ok || need nodejs "Node.js 18 or newer: another HPKE implementation, with X-Wing"
        has npm || need npm "fetches that HPKE implementation"
        [ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates "pip and npm check whom they talk to"
        postgres_ok || need postgresql "a server that the tests of the PostgreSQL source start for themselves"
        ;;
    *)
        echo "usage: scripts/setup.sh build [test]" >&2
        exit 2
        ;;
    esac
done

[ ${#packages[@]} -eq 0 ] && exit 0

echo "Missing on this machine:"
printf '  %s\n' "${reasons[@]}"

if ! has apt-get; then
    echo "There is no apt-get here. Install the equivalents of these by hand, then run this again:" >&2
    echo "  ${packages[*]}" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo; then
        echo "Installing needs root, and there is no sudo. As root:" >&2
        echo "  apt-get install ${packages[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
    echo "+ ${as_root[*]:+${as_root[*]} }$*"
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "That failed. By hand: apt-get update && apt-get install ${packages[*]}" >&2
        exit 1
    fi
}

run apt-get update -q
run apt-get install -q -y --no-install-recommends "${packages[@]}"
echo "Installed: ${packages[*]}"
