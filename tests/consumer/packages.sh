#!/usr/bin/env bash
# tests/consumer/packages.sh FOLDER: installs the .deb in FOLDER, builds and runs the consumers with it, removes it again,
# and does the same with the .tar.gz. Changes the system's packages, so scripts/consumers runs it in a sid tree.

set -euo pipefail
packages="$(realpath "$1")"
consumer="$(dirname "$(realpath "$0")")"
package="$(dpkg-deb -f "$packages"/*.deb Package)"
outside="$(mktemp -d)"
log="$outside/log"
trap 'status=$?; [ $status = 0 ] || cat "$log" >&2; dpkg --purge "$package" >/dev/null 2>&1 || true; rm -rf "$outside"' EXIT

# find_package WHERE [cmake argument...]
find_package() {
  echo "consumers: find_package, from $1"
  cmake -S "$consumer/find_package" -B "$outside/$1" -G Ninja "${@:2}" >"$log" 2>&1
  cmake --build "$outside/$1" >>"$log" 2>&1
  "$outside/$1/consumer"
}

apt-get -y --no-install-recommends install "$packages"/*.deb >"$log" 2>&1
dpkg-query -W -f 'consumers: ${Package} ${Version} needs ${Depends}\n' "$package"
find_package deb
echo "consumers: pkg-config, from deb"
cp -r "$consumer" "$outside/consumer"
make -C "$outside/consumer/pkg_config" >"$log" 2>&1
"$outside/consumer/pkg_config/consumer"
dpkg --purge "$package" >"$log" 2>&1
if "$outside/deb/consumer" >"$log" 2>&1; then
  echo "error: the package is removed, and the program still runs" >&2
  exit 1
fi

mkdir "$outside/unpacked here"
tar xzf "$packages"/*.tar.gz -C "$outside/unpacked here"
find_package tar.gz -DCMAKE_PREFIX_PATH="$(echo "$outside/unpacked here"/*)"
