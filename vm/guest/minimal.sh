#!/bin/sh
# All four ways to look at drops, on a host that has busybox and this program and nothing else: no Node, no C library,
# no tracefs. What they count is held against what the demo says it has provoked.
umount /sys/kernel/debug /sys/kernel/tracing && [ ! -e /sys/kernel/tracing/events ] || exit 1

for home in /skbdrop-linux-*; do PATH=$home:$PATH; done
export PATH
work=/tmp/minimal
mkdir -p "$work"
cd "$work" || exit 1

count=0
failures=0
# ok NAME STATUS: a point of the Test Anything Protocol
ok() {
  count=$((count + 1))
  if [ "$2" = 0 ]; then
    echo "ok $count - $1"
    case $1 in top | trace | hist | stacks) echo "# feature $1 = yes" ;; esac
  else
    failures=$((failures + 1))
    echo "not ok $count - $1"
    sed 's/^/  /' "$work/why"
  fi
}

# watch COMMAND [OPTIONS]: skbdrop writes to ./seen while the demo writes to ./provoked
watch() {
  skbdrop "$@" --json -o seen -- skbdrop demo --json -n 3 > provoked 2> why || return 1
  grep -q '"unaccounted":0' seen && grep -q '"lost":0,' seen
}

# What was provoked, a line `REASON COUNT LENGTH` each.
provoked() {
  sed -n 's/.*"type":"provoked".*"reason":"\([^"]*\)","count":\([0-9]*\),"length":\([0-9]*\).*/\1 \2 \3/p' provoked
}

# Whether two lists are the same, and not empty.
same() {
  sort "$1" > one
  sort "$2" > other
  diff one other > why && [ -s one ]
}

for library in /lib*/ld-* /lib*/libc.* /usr/lib*/libc.*; do
  [ ! -e "$library" ] || echo "this host has $library" > libraries
done
[ ! -e libraries ] && ! node --version > /dev/null 2>&1
ok 'no Node, no C library' $?

watch top &&
  grep '"type":"counts"' seen | sed -n '$p' | sed 's/{"reason"/\n&/g' |
    sed -n 's/.*{"reason":"\([^"]*\)","count":\([0-9]*\).*/\1 \2/p' > counted &&
  provoked | awk '{ n[$1] += $2 } END { for (name in n) print name, n[name] }' > expected &&
  same expected counted
ok top $?

watch trace &&
  sed -n 's/.*"type":"drop".*"reason":"\([^"]*\)".*"len":\([0-9]*\).*/\1 \2/p' seen |
    awk '{ n[$1 " " $2]++ } END { for (what in n) print what, n[what] }' > counted &&
  provoked | awk '{ n[$1 " " $3] += $2 } END { for (what in n) print what, n[what] }' > expected &&
  same expected counted
ok trace $?

watch hist &&
  sed 's/{"low"/\n&/g' seen | sed -n 's/.*{"low":\([0-9]*\),.*"count":\([0-9]*\).*/\1 \2/p' | grep -v ' 0$' > counted &&
  provoked | awk '
    { for (from = 1; from * 2 <= $3; from *= 2); n[from] += $2 }
    END { for (from in n) print from, n[from] }' > expected &&
  same expected counted
ok hist $?

watch stacks -r '*' &&
  sed -n 's/.*"type":"stacks".*"total":\([0-9]*\).*/\1/p' seen > counted &&
  provoked | awk '{ n += $2 } END { print n }' > expected &&
  same expected counted
ok stacks $?

skbdrop doctor > why
ok doctor $?

echo "1..$count"
exit "$failures"
