#!/bin/bash
# Checks what the BUILD files cannot: that each room (a folder of poll/ or runtime/) includes only headers of rooms that
# its own BUILD file names, and that public headers stay cheap. Prints each breach; exits with 1 if there is one.
# `tests/structure/rooms.sh --arrows` prints who includes whom instead.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

breaches=0
breach() { echo "$*"; breaches=$((breaches + 1)); }

rooms() { git ls-files 'poll/*BUILD' 'runtime/*BUILD' | xargs -n 1 dirname; }

# The rooms whose headers the files of room $1 include, one a line.
includes_of() {
  git ls-files "$1/*.h" "$1/*.cc" | grep -E "^$1/[^/]+$" | xargs sed -nE 's|^#include "epore/(.*)/[^/]+"|\1|p' |
    sort -u | grep -vx "$1" || true
}

# Whether room $2 may be used by room $1: its BUILD file names a target of it.
names() { grep -qE "\"//$2(:[a-z_]+)?\"" "$1/BUILD"; }

if [[ ${1:-} == --arrows ]]; then
  for room in $(rooms); do echo "$room -> $(includes_of "$room" | tr '\n' ' ')"; done
  exit
fi

for room in $(rooms); do
  for used in $(includes_of "$room"); do
    names "$room" "$used" || breach "$room includes headers of $used, which $room/BUILD does not name"
  done
done

# No include of the project by another path: epore/ is what works in a program that has its own poll/ or runtime/.
git grep -nE '#include "(poll|runtime)/' -- '*.h' '*.cc' && breach "includes without epore/ (above)"

# Public headers: none of the operating system, none of the rooms of internal/ but base and task.
for header in poll/*.h runtime/*.h runtime/testing/*.h; do
  bad=$(grep -nE '#include (<(sys/|netinet/|arpa/|linux/|poll\.h|unistd\.h|fcntl\.h|signal\.h)|"epore/runtime/internal/[^bt])' "$header") &&
    breach "$header: $bad"
done

((breaches == 0)) && echo "rooms: every arrow is in a BUILD file"
exit $((breaches > 0))
