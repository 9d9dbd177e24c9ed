#!/bin/sh
# Puts the newest bpftrace that Debian has under .cache/bpftrace, with every library it needs, and prints the command
# that runs it. Nothing is installed: the packages come through apt with lists, state and cache of its own, from the
# mirrors this machine is configured for, and are only unpacked.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)/.cache/bpftrace
run=$root/run
if [ -x "$run" ]; then
  echo "$run"
  exit 0
fi

mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/tree"
: > "$root/status"

# The same mirrors, the suite "sid".
awk '/^URIs:/ { print $2 } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) print $i }' \
  /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
  grep '/debian/*$' | sort -u | head -n 1 |
  sed 's|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & sid main|' > "$root/sources.list"
[ -s "$root/sources.list" ] || { echo "no Debian mirror is configured here" >&2; exit 1; }

apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$root/lists" -o Dir::State::status="$root/status" \
    -o Dir::Cache::archives="$root/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}
apt update >&2
apt install --yes --download-only --no-install-recommends bpftrace libbpf1 >&2
for package in "$root"/archives/*.deb; do dpkg -x "$package" "$root/tree"; done
rm -rf "$root/archives" "$root/lists"

cat > "$run" <<EOF
#!/bin/sh
tree=$root/tree
libraries=\$tree/usr/lib/x86_64-linux-gnu
exec "\$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$libraries:\$tree/usr/lib" "\$tree/usr/bin/bpftrace" "\$@"
EOF
chmod +x "$run"
echo "$run"
