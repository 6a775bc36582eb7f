#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the command in its final root, as PID 1 or as a service of systemd; its output and
# its status go to the virtio ports "output", "errors" and "status".
busybox=/run/guest/busybox
. /run/guest/settings
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb TMPDIR=/dev/shm/tmp
for port in /sys/class/virtio-ports/vport*; do
	read -r name <"$port/name"
	eval "port_$name=/dev/${port##*/}"
done
exec 9>"$port_status"
echo ready >&9

# A port takes one writer: what the command starts writes to the pipes.
$busybox mkfifo /run/guest/output /run/guest/errors
$busybox cat </run/guest/output >"$port_output" 9>&- &
output=$!
$busybox cat </run/guest/errors >"$port_errors" 9>&- &
errors=$!
$busybox setsid /bin/sh /run/guest/command </dev/null >/run/guest/output 2>/run/guest/errors 9>&-
status=$?
# Something that the command has left behind may hold the pipes open.
($busybox sleep 3; kill $output $errors) 2>/dev/null 9>&- &
wait $output $errors 2>/dev/null
$busybox sync
echo "status $status" >&9
while :; do $busybox sleep 1000; done
