#!/bin/sh
# Puts the newest bpftrace that Debian has under .cache/bpftrace, with every library it needs, and prints the command
# that runs it. Nothing is installed: vm/debian.sh only unpacks the packages.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$root/.cache/bpftrace/tree
run=$root/.cache/bpftrace/run
if [ -x "$run" ]; then
  echo "$run"
  exit 0
fi

"$root/vm/debian.sh" -d '*' sid amd64 "$tree" bpftrace libbpf1
cat > "$run.new" <<END
#!/bin/sh
# The tree stands beside this script, wherever both are moved to.
tree=\$(dirname "\$0")/tree
libraries=\$tree/usr/lib/x86_64-linux-gnu
exec "\$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$libraries:\$tree/usr/lib" "\$tree/usr/bin/bpftrace" "\$@"
END
chmod +x "$run.new"
mv "$run.new" "$run"
echo "$run"
