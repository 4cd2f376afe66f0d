#!/usr/bin/env bash
# util-linux 2.38.1-5+deb12u3 on Linux 6: what `unshare --fork --kill-child` starts dies with unshare only as long as it stays
# the same user. A program of it that changes its user or group before it begins its work (setpriv, and a daemon that gives
# up root, do) outlives unshare and goes on unseen: the kernel forgets the signal that a child asked for at its parent's end
# whenever the child's effective user or group changes, and neither unshare's manual nor its output says so. Changing to the
# user that it is already keeps it. A program that asks again after the change, as `setpriv --pdeathsig KILL` does, dies as it
# should, so order matters: change the user first, ask for the signal afterwards, and then look whether the parent lives.
#
# Seen on 2026-11-28, after unshare itself was killed:
#   sleep                                             gone
#   setpriv --reuid=65534 sleep                       goes on
#   setpriv --regid=65534 --clear-groups sleep        goes on
#   setpriv --reuid=0 sleep                           gone
#   setpriv --reuid=65534 --pdeathsig KILL sleep      gone
# Exits with 1 when it behaves otherwise. Needs root, apt-get and Debian 12's sources.
set -euo pipefail
version=2.38.1-5+deb12u3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download "util-linux=$version" >/dev/null 2>&1
dpkg-deb -x util-linux_*.deb root
unshare=$folder/root/usr/bin/unshare setpriv=$folder/root/usr/bin/setpriv
"$unshare" --version

# after WHAT COMMAND...: whether the command still runs when the unshare that started it has been killed.
after() {
  local expected=$1 parent child seen=gone
  shift
  "$unshare" --fork --kill-child "$@" &
  parent=$!
  sleep 1
  child=$(pgrep -P "$parent")
  kill -KILL "$parent"
  wait "$parent" 2>/dev/null || true
  sleep 1
  if grep -q '^State:.[SRD]' "/proc/$child/status" 2>/dev/null; then
    seen="goes on"
    kill -KILL "$child"
  fi
  printf '  %-50s %s\n' "$(basename "$1") ${*:2}" "$seen"
  [ "$seen" = "$expected" ] || other=yes
}
other=no
after "gone" sleep 30
after "goes on" "$setpriv" --reuid=65534 sleep 30
after "goes on" "$setpriv" --regid=65534 --clear-groups sleep 30
after "gone" "$setpriv" --reuid=0 sleep 30
after "gone" "$setpriv" --reuid=65534 --pdeathsig KILL sleep 30
[ $other = no ] || { echo "it behaves otherwise now" >&2; exit 1; }
