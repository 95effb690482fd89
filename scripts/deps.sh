#!/usr/bin/env bash
# Installs what the tests drive, when it is missing and may: as root, with apt.
# Otherwise says how, and fails: a suite that skips what it cannot run would
# look as green as one that ran.
set -euo pipefail

# command:Debian package
wanted=(
	redis-server:redis-server
	ffmpeg:ffmpeg
	lame:lame
	flac:flac
	opusenc:opus-tools
	oggenc:vorbis-tools
	node:nodejs
	npm:npm
	spin:spin
	gcc:gcc
)

packages=()
for pair in "${wanted[@]}"; do
	command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
if [[ ${#packages[@]} -eq 0 ]]; then
	exit 0
fi

if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	{
		echo "The tests need what is not installed here: ${packages[*]}"
		echo "  Debian, Ubuntu:  sudo apt-get install ${packages[*]}"
		echo "  macOS:           brew install redis ffmpeg lame flac opus-tools vorbis-tools node spin"
		echo "'go test ./...' runs what can run without, and says what it skips."
	} >&2
	exit 1
fi

echo "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
# The tests start their own redis-server; the packaged service must not take
# the default port from whoever uses this machine.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
