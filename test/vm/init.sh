#!/bin/busybox sh
# The init of the initramfs: this machine's root file system by 9p, read-only, with room in memory where things are written.
b=/bin/busybox
stop() { $b echo "vm: $*" >/dev/console; $b poweroff -f; }
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $b insmod "$module" 2>/dev/null; done
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o "ro,$options,cache=loose" rootfs /root || stop "no root file system"
for folder in tmp run var/log var/tmp; do $b mount -t tmpfs -o mode=1777 tmpfs "/root/$folder"; done
$b mkdir -p /root/run/vm
$b mount -t 9p -o "$options" exchange /root/run/vm || stop "no exchange folder"
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t devtmpfs dev /root/dev
[ -e /loop.ko ] && $b cp /loop.ko /root/run/loop.ko
exec $b switch_root /root /bin/bash /run/vm/guest.sh
