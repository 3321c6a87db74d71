# The first process of the virtual machine, on this machine's root file system: makes the kernel's file systems what
# an init makes them, runs /run/vm/command and leaves its exit status in /run/vm/status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 TERM=dumb NO_COLOR=1
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw -echo
mount -t securityfs security /sys/kernel/security
mount -t tracefs trace /sys/kernel/tracing
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /dev/shm /dev/pts /run/udev /run/lock
mount -t tmpfs shm /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
busybox ip link set lo up
hostname vm
[ -s /run/loop.ko ] && busybox insmod /run/loop.ko
[ -e /run/vm/no-bpffs ] || mount -t bpf bpf /sys/fs/bpf
. /run/vm/environment
# A clone under one of the folders that are memory here (init.sh) would be hidden beneath it.
case $PROJECT in
/tmp/* | /run/* | /var/tmp/* | /var/log/*)
	mkdir -p "$PROJECT"
	mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose project "$PROJECT"
	;;
esac
cd "$PROJECT"
echo booted >/run/vm/booted
bash /run/vm/command
echo $? >/run/vm/status
sync
busybox poweroff -f
