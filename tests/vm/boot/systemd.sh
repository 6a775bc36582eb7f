#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by init.sh: units below /run that let systemd boot the host's own root, without
# what a guest for tests has no use for (it takes most of the time in emulation).
units=/new/run/systemd/system
mkdir -p $units /new/run/tmpfiles.d
cat >$units/guest.target <<UNIT
[Unit]
Description=Guest for tests
Requires=basic.target
Wants=guest-command.service
After=basic.target
AllowIsolate=yes
UNIT
cat >$units/guest-command.service <<UNIT
[Unit]
Description=Command of the guest
After=basic.target
[Service]
Type=exec
ExecStart=/run/guest/busybox sh /run/guest/run
KillMode=process
StandardInput=null
StandardOutput=null
StandardError=null
UNIT
# /tmp is the host's: neither emptied nor hidden
for file in tmp.conf x11.conf; do : >/new/run/tmpfiles.d/$file; done
for unit in \
	apt-daily.timer apt-daily-upgrade.timer cryptsetup.target dev-hugepages.mount \
	dev-mqueue.mount dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
	integritysetup.target kmod-static-nodes.service man-db.timer modprobe@.service \
	proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount \
	sys-kernel-config.mount systemd-ask-password-console.path \
	systemd-ask-password-wall.path systemd-binfmt.service systemd-firstboot.service \
	systemd-journal-flush.service systemd-machine-id-commit.service \
	systemd-modules-load.service systemd-pstore.service systemd-random-seed.service \
	systemd-remount-fs.service systemd-sysusers.service systemd-timesyncd.service \
	systemd-tmpfiles-clean.timer systemd-tmpfiles-setup-dev-early.service \
	systemd-tmpfiles-setup-dev.service systemd-udev-trigger.service \
	systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service \
	systemd-update-utmp.service tmp.mount veritysetup.target; do
	ln -s /dev/null $units/$unit
done

chroot /new /bin/sh -euc '
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
	cd "$1"
	.venv/bin/tetragon-py install-service
	systemctl enable tetragon-py
' sh "$checkout" >/new/run/guest/install.txt 2>&1 || cat /new/run/guest/install.txt >/dev/kmsg
mkdir -p $units/guest.target.wants
for unit in /new/etc/systemd/system/multi-user.target.wants/tetragon-py.service; do
	ln -s "$(readlink "$unit")" $units/guest.target.wants/
done
