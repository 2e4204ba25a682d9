#!/bin/sh
# Install this checkout on a Debian 12: as root, deploy/install.sh [NAME].
#
# Makes the account and the folders where they are missing, and the program in a folder of its own,
# /opt/gru-gateway/NAME (the commit's, if none is given), beside those that are there. The first is
# used at once; a later one once `gru-gateway-use NAME` says so. Starts nothing.
set -eu
umask 022
die() { echo "install.sh: $*" >&2; exit 2; }

[ "$(id -u)" = 0 ] || die "run it as root"
source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || die "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv"
name=${1:-$(git -C "$source" describe --always --tags --dirty 2>/dev/null)} \
    || die "this is no git checkout: name the version, deploy/install.sh NAME"
case $name in */* | .* | current | "") die "$name: not a name of a version" ;; esac
into=/opt/gru-gateway/$name
[ ! -e "$into" ] || die "$into is there already"

getent passwd gru-gateway >/dev/null || useradd --system --user-group --no-create-home \
    --home-dir /var/lib/gru-gateway --shell /usr/sbin/nologin gru-gateway
install -d -m 0755 /opt/gru-gateway
install -d -m 0700 -o gru-gateway -g gru-gateway /var/lib/gru-gateway /var/backups/gru-gateway
install -d -m 0750 -g gru-gateway /etc/gru-gateway /etc/gru-gateway/config \
    /etc/gru-gateway/config/communes /etc/gru-gateway/mappings /etc/gru-gateway/secrets

built=$(mktemp -d)
trap 'rm -rf "$built" "$into"' EXIT
trap 'exit 130' INT TERM
echo "Building $name, which takes a minute"
"$python" -m venv "$into"
"$into/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: -r "$source/requirements.lock"
"$python" -m venv "$built/venv"
"$built/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: -r "$source/requirements-build.lock"
(cd "$source" && "$built/venv/bin/python" -m hatchling build -t wheel -d "$built/dist" >/dev/null)
"$into/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index "$built"/dist/*.whl
mkdir -p "$into/share/doc/gru-gateway"
cp -R "$source/README.md" "$source/README.fr.md" "$source/CHANGELOG.md" "$source/docs" "$source/deploy" \
    "$source/config" "$into/share/doc/gru-gateway/"
"$into/bin/gru-gateway" --version >/dev/null
trap 'rm -rf "$built"' EXIT

echo "Installed: $into"
if [ -e /opt/gru-gateway/current ]; then
    echo "Still used: $(readlink /opt/gru-gateway/current). Then: gru-gateway-use $name"
else
    "$source/deploy/gru-gateway-use" "$name"
fi
