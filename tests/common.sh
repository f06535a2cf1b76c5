# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the scripts behind `make run` and `make test` share: whom they work for, and the
# build as that user. Sourced in the root of the checkout.

B=${B:-build}
SERVICE_USER=netwatch

say() {
	echo "$@" >&2
}

die() {
	say "$@"
	exit 1
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# Who typed the command: sudo's user, else whoever we are.
if is_root && [ "${SUDO_USER:-root}" != root ] && id "$SUDO_USER" >/dev/null 2>&1; then
	typist=$SUDO_USER
else
	typist=$(id -un)
fi

# Replaces the shell by a command as that user, with the same terminal and process id.
exec_as_typist() {
	[ "$typist" != "$(id -un)" ] || exec "$@"
	HOME=$(getent passwd "$typist" | cut -d: -f6)
	USER=$typist
	LOGNAME=$typist
	export HOME USER LOGNAME
	exec setpriv --reuid "$(id -u "$typist")" --regid "$(id -g "$typist")" --init-groups "$@"
}

as_typist() {
	(exec_as_typist "$@")
}

# False where that user cannot write, or root has built before.
typist_can_build() {
	as_typist test -w . || return 1
	[ ! -e build ] || [ -z "$(find build ! -user "$typist" -print -quit)" ]
}

# make GOAL..., with what is printed on stderr.
build() {
	run_make=as_typist
	if [ "$typist" != "$(id -un)" ] && ! typist_can_build; then
		say "building as $(id -un): $typist cannot write $PWD, or not all of its build/"
		run_make=
	fi
	$run_make make -j"$(nproc)" ${SAN:+SAN="$SAN"} "$@" >&2
}

# The collector becomes this user when it is set up.
make_service_user() {
	id "$SERVICE_USER" >/dev/null 2>&1 && return
	say "creating the system user $SERVICE_USER"
	useradd --system --user-group --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin "$SERVICE_USER"
}
