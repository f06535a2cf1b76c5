#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make deb`: a Debian package of the tree, build/netwatch_VERSION_ARCH.deb. The version is that of
# common/version.h; DEBFULLNAME and DEBEMAIL say who packages,
# else it is who made the last commit.

set -eu
cd "$(dirname "$0")/../.."

sh tests/packages.sh build package
version=$(sed -n 's/^#define VERSION[[:space:]]*"\(.*\)"$/\1/p' common/version.h)
if [ -n "${DEBEMAIL:-}" ]; then
	maintainer="${DEBFULLNAME:-netwatch} <$DEBEMAIL>"
else
	maintainer=$(git log -1 --format='%an <%ae>' 2>/dev/null) ||
		maintainer="netwatch <netwatch@$(hostname -f)>"
fi
source=build/deb/netwatch-$version
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(stat -c %Y common/version.h)}"

rm -rf build/deb
mkdir -p "$source"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$source"
cp -r collector/debian "$source"
rm "$source/debian/build.sh"
cp collector/netwatch.sysusers "$source/debian"
sed -i "s|@MAINTAINER@|$maintainer|; s|@BUILD@|$(sh tests/packages.sh --list build | sed 's/ /, /g')|" \
	"$source/debian/control"
mkdir "$source/debian/source"
echo '3.0 (native)' >"$source/debian/source/format"
cat >"$source/debian/changelog" <<END
netwatch ($version) unstable; urgency=medium

  * netwatch $version.

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END

(
	cd "$source"
	DEB_BUILD_OPTIONS="noautodbgsym parallel=$(nproc)" dpkg-buildpackage -b -us -uc
) >build/deb/log 2>&1 || {
	tail -n 40 build/deb/log >&2
	echo "make deb: the whole log is build/deb/log" >&2
	exit 1
}
mv build/deb/netwatch_"$version"_*.deb build
ls build/netwatch_"$version"_*.deb
