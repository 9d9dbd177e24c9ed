#!/bin/sh
# Runs a command with another release of Node first in PATH: the official build, from npm's package node-linux-ARCH.
#
#     test/with-node.sh 26 npm test
#
# The newest release of that major version is downloaded to .cache/node; one that is there is used.
set -eu

[ $# -ge 2 ] || { sed -n 's/^# \{0,1\}//; 2,6p' "$0" >&2; exit 2; }
major=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "with-node.sh: there are no builds of Node for $(uname -m)" >&2; exit 3 ;;
esac

# The registry knows what is newest; without it, the newest that is here will do.
version=$(npm view "node-linux-$arch@^$major" version --json 2>/dev/null | sed -n 's/.*"\([0-9][0-9.]*\)".*/\1/p' |
  sort -V | tail -n 1)
[ -n "$version" ] || version=$(ls "$root/.cache/node" 2>/dev/null | sed -n "s/^\($major\.[0-9.]*\)-$arch\$/\1/p" |
  sort -V | tail -n 1)
[ -n "$version" ] || { echo "with-node.sh: there is no Node $major for $arch" >&2; exit 3; }

folder=$root/.cache/node/$version-$arch
if [ ! -d "$folder" ]; then
  new=$folder.new.$$
  trap 'rm -rf "$new"' EXIT
  mkdir -p "$new"
  (cd "$new" && npm pack --silent --pack-destination . "node-linux-$arch@$version" >/dev/null)
  tar -xzf "$new"/*.tgz -C "$new" --strip-components=1
  rm "$new"/*.tgz
  mv -T "$new" "$folder" || [ -d "$folder" ]
  trap - EXIT
fi
PATH=$folder/bin:$PATH
export PATH
exec "$@"
