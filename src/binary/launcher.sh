#!/bin/sh
# Runs skbdrop with the libraries beside it, and with none of this host's.
self=$(readlink -f "$0") || self=$0
lib=$(dirname "$self")/lib
exec "$lib/LOADER" --inhibit-cache --library-path "$lib" "$lib/skbdrop" "$@"
