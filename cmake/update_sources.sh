#!/bin/bash
# Writes cmake/sources.cmake from the BUILD files of poll/ and runtime/, which are the source of truth, and
# cmake/exports.map from the public headers. Run it when a file comes or goes, or a header declares or includes
# something new. With --check it writes nothing and exits with 1 if it would.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
export LC_ALL=C

# runtime/testing and what it is made of are a library of their own. runtime/cares and runtime/tls need more than Abseil.
rooms() {
  find poll runtime -name BUILD -not -path 'runtime/cares/*' -not -path 'runtime/tls/*' -printf '%h\n' | grep -v '/testing$' | sort
}
testing_rooms() { find poll runtime -name BUILD -printf '%h\n' | grep '/testing$' | sort; }

# The strings in the lists called $1 of the BUILD files of ${2:-rooms}, as "ROOM STRING".
strings() {
  local room
  for room in $(${2:-rooms}); do
    awk -v list="$1" -v room="$room" '
      $0 ~ "^ *" list " = " { inside = 1; if (/select\(|glob\(|[^=] \+ /) { print FILENAME ": only plain lists" > "/dev/stderr"; exit 1 } }
      inside { for (rest = $0; match(rest, /"[^"]+"/); rest = substr(rest, RSTART + RLENGTH)) print room, substr(rest, RSTART + 1, RLENGTH - 2) }
      inside && /\]/ { inside = 0 }' "$room/BUILD"
  done
}

sources() { strings srcs "$@" | sed 's| |/|' | sort -u; }
testing_headers() { strings hdrs testing_rooms | sed 's| |/|' | grep '^runtime/testing/'; }

# The public headers, and what these include.
headers() {
  local known=() queue header
  local -A seen=()
  mapfile -t queue < <(strings hdrs | sed 's| |/|' | grep -E '^(poll|runtime)/[^/]+$')
  while ((${#queue[@]})); do
    known=()
    for header in "${queue[@]}"; do [[ ${seen[$header]:-} ]] || { seen[$header]=1; known+=("$header"); }; done
    queue=()
    ((${#known[@]} == 0)) || mapfile -t queue < <(sed -nE 's|^#include "epore/(.*)"|\1|p' "${known[@]}")
  done
  printf '%s\n' "${!seen[@]}" | sort
}

# @com_google_absl//absl/log:check is absl::check, @com_google_absl//absl/log is absl::log.
abseil() { strings deps | sed -nE 's|^\S+ @com_google_absl//.*[:/]([a-z_]+)$|\1|p' | sort -u; }

lists() {
  echo "# Written by cmake/update_sources.sh from the BUILD files; do not edit."
  printf '\nset(EPORE_SOURCES\n%s)\n' "$(sources | sed 's|^|  |')"
  printf '\n# The public headers, and what these include.\nset(EPORE_HEADERS\n%s)\n' "$(headers | sed 's|^|  |')"
  printf '\nset(EPORE_TESTING_SOURCES\n%s)\n' "$(sources testing_rooms | sed 's|^|  |')"
  printf '\nset(EPORE_TESTING_HEADERS\n%s)\n' "$(testing_headers | sed 's|^|  |')"
  printf '\nset(EPORE_ABSEIL\n%s)\n' "$(abseil | sed 's|^|  absl::|')"
}

# What the installed headers declare outside of functions and classes, as "class NAME" and "function NAME". Templates and
# inline functions are compiled into the programs that use them.
declarations() {
  headers | xargs awk '
    FNR == 1 { split("", spaces); depth = 0 }
    # A namespace of one forward declaration ends without a comment.
    /^namespace [a-z:]+ \{$/ { spaces[++depth] = $2; forward = 1; next }
    /^}  \/\/ namespace/ || (/^}$/ && forward) { --depth }
    !/;$/ { forward = 0 }
    { sub(/^\[\[[a-z]+\]\] /, "") }
    { scope = ""; for (i = 1; i <= depth; ++i) scope = scope spaces[i] "::" }
    scope !~ /^epore::(internal::)?$/ { before = $0; next }
    before ~ /^template <.+>/ || before ~ /^ +requires/ { before = $0; next }
    { specialised = before ~ /^template <>/; before = $0 }
    /^(class|struct) / && !/;$/ {
      sub(/^(class|struct) (\[\[[a-z]+\]\] )?/, ""); sub(/ (final )?(: .*)?(\{.*)?$/, "")
      if (specialised || !/</) print "class", scope $0
      next
    }
    /^[A-Za-z].*[ *&][a-z_]+\(/ && !/^(template|auto|inline|constexpr|concept|using|friend|static_assert)/ {
      match($0, /[a-z_]+\(/)
      print "function", scope substr($0, RSTART, RLENGTH - 1)
    }' | sort -u
}

exports() {
  local kind name
  echo "# Written by cmake/update_sources.sh from the public headers; do not edit."
  printf '{\n  global:\n    extern "C++" {\n'
  # The linker takes neither < nor ( here. Functions; members; virtual tables, type information and what else the compiler makes for a class.
  # runtime/testing makes Kernels of its own.
  { declarations && echo "class epore::Kernel"; } | tr "<>" "?" | while read -r kind name; do
    case $kind in
      function) printf '      %s[^_a-z]*;\n' "$name" ;;
      class) printf '      %s::*;\n      *?for?%s;\n      *?for?%s::*;\n      *thunk?to?%s::*;\n' "$name" "$name" "$name" "$name" ;;
    esac
  done
  printf '    };\n  local:\n    *;\n};\n'
}

update() { # FILE COMMAND
  local wanted
  wanted=$($2)
  if [[ $mode != --check ]]; then
    echo "$wanted" >"$1"
  elif [[ $wanted != "$(cat "$1")" ]]; then
    diff <(echo "$wanted") "$1" | sed -n 's/^< /missing:   /p; s/^> /left over: /p'
    echo "$1 differs from the sources; run: cmake/update_sources.sh"
    differences=1
  fi
}

mode=${1:-} differences=0
update cmake/sources.cmake lists
update cmake/exports.map exports
exit $differences
