#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The initramfs' /init: the host's root file system below an overlay, then switch to it.
# /guest/settings has: system_manager, checkout.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
. /guest/settings

fail() {
	echo "init: $*" >/dev/kmsg
	sleep 1
	reboot -f
}

while read -r module; do
	insmod "/modules/$module" || fail "module $module"
done </modules/order

# The exports are read-only on the host: the guest cannot write whatever it does.
mount -t virtiofs root /lower || fail "no root share"
mount -t tmpfs -o size=80%,mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /new ||
	fail "no overlay"

cd /new || fail "no /new"
mkdir -p proc sys dev run tmp root boot
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mkdir -m 1777 dev/shm/tmp
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 run run
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
mount -t tracefs tracefs sys/kernel/tracing
mount -t debugfs debugfs sys/kernel/debug
mount -t securityfs securityfs sys/kernel/security

# tag<TAB>folder, each its own share
while IFS="	" read -r tag folder; do
	mkdir -p "/new$folder"
	mount -t virtiofs "$tag" "/new$folder" || fail "no share $folder"
done </guest/shares
cat /config >"boot/config-$(uname -r)"
mkdir -p run/guest
for file in busybox; do cat "/bin/$file" >"run/guest/$file"; done
for file in settings command run; do cat "/guest/$file" >"run/guest/$file"; done
chmod 755 run/guest/busybox run/guest/command
ip link set lo up
hostname guest

if [ -n "$system_manager" ]; then
	. /guest/systemd
	umount /proc /sys /dev
	exec switch_root /new /lib/systemd/systemd --unit=guest.target --show-status=0 --log-target=kmsg
fi
umount /proc /sys /dev
exec switch_root /new /run/guest/busybox sh /run/guest/run
