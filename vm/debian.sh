#!/bin/sh
# Unpacks Debian packages of any suite and architecture into a folder of their own:
#
#   vm/debian.sh [-d PATTERN] SUITE ARCH DIR PACKAGE...
#
#   -d PATTERN  also what the packages depend on, as far as the name matches: -d '*' for all of it,
#               -d 'linux-image-*' for the kernel behind linux-image-amd64
#
# Nothing is installed and nothing of the system's own apt is touched: apt runs with sources, lists and state under
# .cache/debian. The mirrors are those this machine is configured for. DIR is the work of one call: it appears whole or
# not at all, is replaced when other packages are asked for, and otherwise left as it is; remove it to have newer ones.
# DIR/.packages says which versions are in it. Two calls at once wait for each other where they have to.
set -eu

die() {
  echo "debian.sh: $1" >&2
  exit 1
}

pattern=
while getopts d: option; do
  case $option in
    d) pattern=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 4 ] || { sed -n 's/^# \{0,1\}//; 2,7p' "$0" >&2; exit 2; }
suite=$1 arch=$2 target=$3
shift 3
for tool in apt-get dpkg flock; do
  command -v "$tool" >/dev/null || die "$tool is not here: this takes a Debian, or a system made from one"
done

state=$(cd "$(dirname "$0")/.." && pwd)/.cache/debian/$suite-$arch
mkdir -p "$state/etc/preferences.d" "$state/etc/sources.list.d" "$state/lists/partial" "$state/archives/partial" "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")

# One at a time for each suite and architecture: apt's lists are shared between calls.
exec 9>"$state/lock"
flock 9

asked="$suite $arch $pattern $*"
[ "$(sed -n 's/^asked: //p' "$target/.packages" 2>/dev/null)" = "$asked" ] && exit 0

# The first Debian mirror of this machine, with this suite in the place of its own.
cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
  awk '/^URIs:/ { for (i = 2; i <= NF; i++) print $i } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) print $i }' |
  grep '/debian/*$' | head -n 1 |
  sed "s|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & $suite main|" > "$state/sources.list"
[ -s "$state/sources.list" ] || die 'no Debian mirror is configured on this machine'
: > "$state/status"

apt() {
  command=$1
  shift
  "apt-$command" -qq -o Dir::Etc="$state/etc" -o Dir::Etc::sourcelist="$state/sources.list" \
    -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
    -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -o Debug::NoLocking=1 "$@"
}

apt get update >&2 || die "the mirror of this machine has no suite $suite for $arch, or does not answer"

# What to take: the packages, and of what apt would install with them on an empty system, what the pattern names.
wanted=$*
if [ -n "$pattern" ]; then
  plan=$(apt get install --simulate --no-install-recommends "$@") || die "apt finds no way to install: $*"
  for name in $(echo "$plan" | sed -n 's/^Inst \([^ :]*\).*/\1/p'); do
    # shellcheck disable=SC2254 # a pattern is what it is
    case $name in
      $pattern) wanted="$wanted $name" ;;
    esac
  done
fi
wanted=$(printf '%s\n' $wanted | sort -u)

work=$target.new.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
rm -rf "$work"
mkdir -p "$work/.debs"
# shellcheck disable=SC2086 # one word a package
(cd "$work/.debs" && apt get download $wanted >&2) || die "could not download: $(echo $wanted)"
{
  echo "asked: $asked"
  for package in "$work"/.debs/*.deb; do
    dpkg-deb --show --showformat '${Package} ${Version} ${Architecture}\n' "$package"
    dpkg-deb --extract "$package" "$work"
  done
} > "$work/.packages.new"
mv "$work/.packages.new" "$work/.packages"
rm -rf "$work/.debs" "$target"
mv "$work" "$target"
