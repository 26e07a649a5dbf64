#!/usr/bin/env bash
# Builds the browser's verifier: evidence/wasm -> gateway/web/public/qz_verify.wasm.
#
# With the wasm32-unknown-unknown target at hand (`rustup target add`), that target is used. Without
# it, Debian's rustc-web is: a newer compiler with its library sources, from which cargo builds the
# standard library itself (-Zbuild-std). These packages conflict with a packaged rustup, so they are
# unpacked into the target folder and nothing is installed but LLVM's library and linker.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
target=wasm32-unknown-unknown
out="$root/gateway/web/public/qz_verify.wasm"
base=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$base"
base=$(cd "$base" && pwd)
toolchain="$base/wasm-toolchain"
# A target folder of its own: another compiler would rebuild everything in the shared one.
export CARGO_TARGET_DIR="$base/wasm"

die() { echo "wasm: $*" >&2; exit 1; }

# The verifier draws no random numbers: getrandom, a dependency of dependencies, gets the backend that
# always fails. Paths of this machine stay out of the file.
flags='--cfg getrandom_backend="unsupported"'
flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$toolchain=/rust"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER
# Nor does cargo configuration in the folders around the project have a say.
cd /

unpack_toolchain() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        die "no wasm32 target: run 'rustup target add $target', or build on Debian 12"
    apt-cache show rustc-web >/dev/null 2>&1 || { [ "$(id -u)" = 0 ] && apt-get update -q >/dev/null; } || true
    local std llvm linker version
    std=$(apt-cache depends libstd-rust-web-dev 2>/dev/null | awk '/Depends: libstd-rust-web-/{print $2; exit}')
    [ -n "$std" ] || die "Debian's package rustc-web is not available: check the apt sources (bookworm-security) and run 'apt-get update'"
    llvm=$(apt-cache depends "$std" | awk '/Depends: libllvm/{print $2; exit}')
    linker="lld-${llvm#libllvm}"
    wasm_ld="/usr/lib/llvm-${llvm#libllvm}/bin/wasm-ld"

    if ! dpkg -s "$llvm" "$linker" >/dev/null 2>&1; then
        [ "$(id -u)" = 0 ] || die "missing packages: apt-get install $llvm $linker"
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$llvm" "$linker" >/dev/null ||
            die "could not install $llvm and $linker"
    fi

    version=$(apt-cache policy rustc-web | awk '/Candidate:/{print $2}')
    if [ "$(cat "$toolchain/version" 2>/dev/null)" != "$version" ]; then
        echo "wasm: unpacking rustc-web $version"
        rm -rf "$toolchain"
        mkdir -p "$toolchain/debs"
        fetch() {
            (cd "$toolchain/debs" && apt-get download -qq -o APT::Sandbox::User=root \
                rustc-web libstd-rust-web-dev "$std" rust-web-src)
        }
        # A list that is out of date names files that are gone.
        fetch 2>/dev/null || { [ "$(id -u)" = 0 ] && apt-get update -q >/dev/null && fetch; } ||
            die "could not download rustc-web $version: run 'apt-get update' and try again"
        for package in "$toolchain"/debs/*.deb; do
            members=('./usr/*')
            [[ $package == *rust-web-src* ]] && members=('./usr/lib/*' './usr/src/*/library/*')
            dpkg-deb --fsys-tarfile "$package" |
                tar -x -C "$toolchain" --wildcards --exclude='./usr/share' "${members[@]}"
        done
        rm -rf "$toolchain/debs"
        echo "$version" >"$toolchain/version"
    fi
}

build=(cargo build --manifest-path "$root/Cargo.toml" --package qz-wasm --lib --profile wasm --target "$target" --locked)
if [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; then
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags "${build[@]}"
else
    unpack_toolchain
    multiarch=("$toolchain"/usr/lib/*-linux-gnu)
    # RUSTC_BOOTSTRAP lets a stable cargo build the standard library.
    RUSTC="$toolchain/usr/bin/rustc" RUSTC_BOOTSTRAP=1 LD_LIBRARY_PATH="${multiarch[0]}" \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$wasm_ld" \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags \
        "${build[@]}" -Zbuild-std=std,panic_abort
fi

mkdir -p "$(dirname "$out")"
cp "$CARGO_TARGET_DIR/$target/wasm/qz_wasm.wasm" "$out"
echo "wasm: ${out#"$root"/}, $(stat -c %s "$out") bytes ($(gzip -9 -c "$out" | wc -c) compressed)"
