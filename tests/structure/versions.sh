#!/bin/bash
# Checks that the packages which cannot read the version from poll/version.h have the same one.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

version=$(sed -nE 's/^#define EPORE_VERSION_[A-Z]+ ([0-9]+)$/\1/p' poll/version.h | paste -sd.)
abi=$(sed -nE 's/^#define EPORE_ABI_VERSION ([0-9]+)$/\1/p' poll/version.h)
status=0
expect() { # FILE TEXT
  grep -qF "$2" "$1" || { echo "$1 lacks '$2', the version of poll/version.h" && status=1; }
}

expect packaging/vcpkg/epore/vcpkg.json "\"version\": \"$version\""
expect debian/changelog "epore ($version)"
expect debian/control "Package: libepore$abi"
exit $status
