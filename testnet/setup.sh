#!/usr/bin/env bash
# Installs what is missing on Debian 12: `setup.sh demo` what building and the demo need, `setup.sh chaos`
# what chaos runs need besides, `setup.sh test` what the tests need (chaos included). Installs nothing that is there; one clear line for what it cannot install.
set -euo pipefail

die() { echo "setup: $*" >&2; exit 1; }

command -v cargo >/dev/null || die "Rust is missing: install the stable toolchain (rustup), 1.95 or later"
command -v node >/dev/null && command -v npm >/dev/null || die "Node.js 20 or later with npm is missing"

packages=()
want() { "${@:2}" >/dev/null 2>&1 || packages+=("$1"); }
has_file() { compgen -G "$1" >/dev/null; }

want build-essential sh -c 'command -v cc && command -v c++ && command -v make'
want libclang-dev has_file '/usr/lib/llvm-*/lib/libclang*.so*'
want fonts-noto-cjk has_file '/usr/share/fonts/opentype/noto/NotoSerifCJK*'
if [ "${1:-demo}" != demo ]; then
    want iproute2 sh -c 'PATH=$PATH:/usr/sbin:/sbin command -v ip'
    want nftables sh -c 'PATH=$PATH:/usr/sbin:/sbin command -v nft'
    want util-linux sh -c 'command -v unshare && command -v nsenter && command -v setpriv'
    want faketime has_file '/usr/lib/*/faketime/libfaketimeMT.so.1'
fi
if [ "${1:-demo}" = test ]; then
    want chromium sh -c 'command -v chromium'
    want qpdf sh -c 'command -v qpdf'
    want poppler-utils sh -c 'command -v pdftotext'
    want openssl sh -c 'command -v openssl'
    want softhsm2 sh -c 'command -v softhsm2-util'
    want default-jdk-headless sh -c 'command -v javac'
    want libbcprov-java test -f /usr/share/java/bcprov.jar
    want libbcpkix-java test -f /usr/share/java/bcpkix.jar
    want python3-venv python3 -c 'import venv, ensurepip'
fi

if [ ${#packages[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || die "missing packages; run: sudo apt-get install ${packages[*]}"
    command -v apt-get >/dev/null || die "missing packages (Debian names): ${packages[*]}"
    echo "setup: installing ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null ||
        die "apt-get could not install ${packages[*]}"
fi

if [ "${1:-demo}" = test ]; then
    tools="${QZ_TOOLS:-$HOME/.cache/qizheng/tools}"
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        echo "setup: building cargo-deny (once, into $tools)"
        # Built outside this workspace, so that its configuration has no say.
        (cd / && CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked --debug cargo-deny --root "$tools")
        rm -rf "$tools/target"
    fi
    "$(dirname "${BASH_SOURCE[0]}")/corpus.sh"
fi
