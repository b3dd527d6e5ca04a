# What deploy/run, deploy/test and deploy/bench share: where things are, and installing what is missing. Sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

# Installs the Debian packages named, those of them that are missing; says what to install where it cannot.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "these packages are missing, and there is no root to install them: ${missing[*]}
  Install them by hand: apt-get install ${missing[*]}"
    as_root=(sudo -n)
  fi
  command -v apt-get >/dev/null || fail "this is no Debian; install what corresponds to: ${missing[*]}"
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || true
  # A package's own service is not wanted: everything here starts the servers it needs.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null && "${as_root[@]}" chmod +x $policy && made_policy=1
  fi
  local status=0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2 || status=$?
  [ -n "$made_policy" ] && "${as_root[@]}" rm -f $policy
  [ $status -eq 0 ] || fail "apt-get could not install: ${missing[*]}"
}

need_swift() {
  command -v swift >/dev/null || fail "the Swift toolchain (6.2 or newer) is not on the PATH; see https://www.swift.org/install/linux/debian/"
}

build_packages=(libevent-dev libhiredis-dev libsodium-dev)
run_packages=(redis-server util-linux tzdata)
