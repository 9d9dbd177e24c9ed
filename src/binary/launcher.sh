#!/bin/sh
# Runs skbdrop with the libraries beside it, and with none of this host's.
self=$0
[ -L "$self" ] && self=$(readlink -f "$self")
case $self in
  */*) lib=${self%/*}/lib ;;
  *) lib=lib ;;
esac
exec "$lib/LOADER" --inhibit-cache --library-path "$lib" "$lib/skbdrop" "$@"
