#!/bin/sh
# Installs the programs that tests drive Strongroom with, where this machine lacks them and we may install: openssl, curl,
# the AWS CLI and iproute2, without which their tests are skipped. Never fails: what is still missing, the tests say.
missing=
for tool in openssl curl aws ip; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not on this machine, and cannot be installed here:$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null 2>&1
for tool in $missing; do
  case $tool in aws) package=awscli ;; ip) package=iproute2 ;; *) package=$tool ;; esac
  apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || echo "could not be installed: $package" >&2
done
exit 0
