# Runs a program in namespaces of its own, and takes away the little that they leave behind.
#
# Standard input is a pipe that only the owner holds: it ends when the owner exits or is killed, and the program with it.
inside=$1
shift
exec 3<&0 </dev/null
name=longshore-node-$$
folder=${TMPDIR:-/tmp}/$name

# The cgroups of a name: one in each hierarchy of version 1, or the one of version 2.
cgroups() {
  find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$1"
}

remove() {
  cgroups "$1" | while read -r cgroup; do
    find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
  rmdir "${TMPDIR:-/tmp}/$1" 2>/dev/null
}

# What a guard has left that was killed itself.
for left in $(cgroups 'longshore-node-*' | sed 's/.*-//' | sort -u); do
  [ -e "/proc/$left" ] || remove "longshore-node-$left"
done

mkdir "$folder" || exit 1
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$name" || exit 1
else
  for hierarchy in /sys/fs/cgroup/*/; do
    [ ! -e "$hierarchy/cgroup.procs" ] || mkdir -p "$hierarchy$name" || exit 1
  done
  # Without these two no process may enter.
  for setting in cpuset.cpus cpuset.mems; do
    cat "/sys/fs/cgroup/cpuset/$setting" >"/sys/fs/cgroup/cpuset/$name/$setting"
  done
fi

unshare --net --mount --pid --mount-proc --fork --kill-child sh -c "$inside" inside "$folder" "$name" "$@" 3<&- &
program=$!
( while read -r _ <&3; do :; done; kill -9 "$program" ) &
watcher=$!
exec 3<&-
wait "$program"
code=$?
kill -9 "$watcher" 2>/dev/null

# The last processes may still be on their way out.
tries=0
remove "$name"
while [ -n "$(cgroups "$name")" ] && [ "$tries" -lt 100 ]; do
  sleep 0.05
  tries=$((tries + 1))
  remove "$name"
done
if [ -n "$(cgroups "$name")" ]; then
  echo "cgroups of the node are left:" $(cgroups "$name") >&2
  [ "$code" -ne 0 ] || code=1
fi
exit "$code"
