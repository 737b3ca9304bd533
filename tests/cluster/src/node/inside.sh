# The first process of the namespaces: makes them a place for a kubelet, and runs the program there. When it ends, every
# other process in them is killed, and their mounts and interfaces go.
set -e
folder=$1 name=$2
shift 2

# All that is written lies in memory. The paths of the machine are those that kubelet and containerd cannot be told to leave.
mount -t tmpfs -o mode=0700 tmpfs "$folder"
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/log
mkdir "$folder/lib" "$folder/work"
mount -t overlay -o "lowerdir=/var/lib,upperdir=$folder/lib,workdir=$folder/work" overlay /var/lib

# A kubelet sets these for the whole machine: here it sets copies.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=$folder/sysctl/$setting
  mkdir -p "${copy%/*}"
  cat "/proc/sys/$setting" >"$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done

# The node's address, which may not be loopback, is the gateway of its pods.
ip link set lo up
# Without a MAC address of its own it has the lowest one of its pods, and a pod that comes or goes cuts off the others.
ip link add node0 address 0a:58:0a:58:00:01 type bridge
ip address add 10.88.0.1/16 dev node0
ip link set node0 up
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward

# None of them leads to an address in here.
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy

TMPDIR=$folder LONGSHORE_NODE=$name "$@" &
# This shell is the parent of every orphan, and `wait` sees to them too.
wait $!
