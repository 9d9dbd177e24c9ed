#!/bin/sh
# Packages of any Debian suite and architecture, downloaded and unpacked, never installed:
#
#     vm/debian.sh names  SUITE ARCH PATTERN            the packages whose names match (a regular expression)
#     vm/debian.sh unpack SUITE ARCH DIR PACKAGE...     these packages' files, below DIR
#     vm/debian.sh unpack-all SUITE ARCH DIR PACKAGE... these and all that they depend on
#
# They come through apt with lists, state and cache of its own (.cache/debian), from the mirror that this machine is
# configured for. The lists are kept for a day.
set -eu

command=$1 suite=$2 arch=$3
shift 3
cache=$(cd "$(dirname "$0")/.." && pwd)/.cache/debian/$suite-$arch
mkdir -p "$cache"

# One at a time for each suite: apt's own locks are switched off with its state.
exec 9> "$cache/lock"
flock 9

if [ -z "$(find "$cache/updated" -mtime -1 2>/dev/null)" ]; then
  mkdir -p "$cache/lists/partial" "$cache/archives/partial"
  : > "$cache/status"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  awk '/^URIs:/ { print $2 } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) print $i }' \
    /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    grep '/debian/*$' | sort -u | head -n 1 |
    sed "s|.*|deb [arch=$arch signed-by=$keyring] & $suite main|" > "$cache/sources.list"
  [ -s "$cache/sources.list" ] || { echo "no Debian mirror is configured here" >&2; exit 1; }
  fresh=no
else
  fresh=yes
fi

with_own_state() {
  program=$1
  shift
  "$program" -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" \
    -o Dir::Etc::sourcelist="$cache/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$cache/lists" -o Dir::State::status="$cache/status" \
    -o Dir::Cache::archives="$cache/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}

if [ "$fresh" = no ]; then
  with_own_state apt-get update >&2
  : > "$cache/updated"
fi

# Everything or nothing: a directory that is there is whole.
unpack() {
  dir=$1
  parts=$dir.partial
  rm -rf "$parts"
  mkdir -p "$parts"
  for package in "$cache"/archives/*.deb; do dpkg -x "$package" "$parts"; done
  rm -f "$cache"/archives/*.deb
  rm -rf "$dir"
  mv "$parts" "$dir"
}

case $command in
  names)
    with_own_state apt-cache pkgnames | grep -E "^($1)\$" || true
    ;;
  unpack)
    dir=$1
    shift
    rm -f "$cache"/archives/*.deb
    (cd "$cache/archives" && with_own_state apt-get download "$@" >&2)
    unpack "$dir"
    ;;
  unpack-all)
    dir=$1
    shift
    rm -f "$cache"/archives/*.deb
    with_own_state apt-get install --yes --download-only --no-install-recommends "$@" >&2
    unpack "$dir"
    ;;
  *)
    echo "debian.sh: no such command: $command" >&2
    exit 2
    ;;
esac
