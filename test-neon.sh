#!/usr/bin/env bash
# The kernel tests for 64-bit Arm, with the NEON kernels and the portable ones, executed by qemu on a processor of another kind.
# A minute or two. Says what it lacks. On a 64-bit Arm processor ./test.sh does the same.
set -euo pipefail
cd "$(dirname "$0")"

target=aarch64-unknown-linux-gnu
# Both can be set from outside, for systems that keep the Arm libraries elsewhere than Debian.
: "${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:=aarch64-linux-gnu-gcc}"
: "${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER:=qemu-aarch64 -L /usr/aarch64-linux-gnu}"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER
linker=$CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER
emulator=${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER%% *}

complete=yes
lacks() {
  echo "test-neon.sh: no $1; $2" >&2
  complete=no
}
if ! command -v "$linker" > /dev/null; then
  lacks "linker $linker" "Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
elif [ "$("$linker" -print-file-name=Scrt1.o)" = Scrt1.o ]; then
  lacks "C library for $linker" "Debian: apt install libc6-dev-arm64-cross"
fi
command -v "$emulator" > /dev/null || lacks "emulator $emulator" "Debian: apt install qemu-user"
[ -d "$(rustc --print target-libdir --target $target)" ] ||
  lacks "standard library of Rust for $target" "rustup target add $target"
[ $complete = yes ] || exit 2

cargo test --release --locked --package matryo-kernels --target $target "$@"
