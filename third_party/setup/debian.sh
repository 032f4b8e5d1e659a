# Sourced by bazelw, whose names it uses, when something is missing: set_up installs packages with apt and fetches
# sources from Debian's mirror. It may be interrupted at any point; the next run finishes what it finds half done.

log=$cache/setup.log
tmp= pulse=

# --- disk -----------------------------------------------------------------------------------------------------

# In MB, measured on amd64, with some room: what the set-up writes at its peak, and what builds write after it.
packages_mb=1250 clang_mb=650 sources_mb=260 demo_mb=500 tests_mb=1500

free_mb() { df --output=avail -BM "$1" | tr -dc 0-9; } # FOLDER

check_space() {
  local system=0 data=$demo_mb tests=$((tests_mb - demo_mb)) free cache_free
  [[ ${state[bazel-bootstrap]:-} == ?i ]] || ((system += packages_mb))
  [[ " ${essential[*]} " != *" clang-19 "* || ${state[clang-19]:-} == ?i ]] || ((system += clang_mb))
  [[ ! -e $cache/interrupted ]] || system=$((system / 5)) # the rest is there
  ! { sources_missing || boost_missing; } || ((data += sources_mb))
  free=$(free_mb /usr) cache_free=$(free_mb "$cache")
  if [[ $(stat -c %d /usr) == "$(stat -c %d "$cache")" ]]; then
    data=$((system + data)) system=0
  fi
  ((free >= system)) || die "no room: the packages need $system MB in /usr and /var, where $free MB are free"
  ((cache_free >= data)) ||
    die "no room: set-up and demo need $data MB on the disk of $cache, where $cache_free MB are free"
  ((cache_free >= data + tests)) ||
    say "$cache_free MB are free in $cache: enough for the demo; all tests need $((data + tests)) MB"
}

full_disk() {
  local folder
  for folder in /usr /var /tmp "$cache"; do
    (($(free_mb "$folder") >= 10)) || { echo "the disk of $folder is full"; return; }
  done
  ! grep -qE 'No space left on device|enough free space' "$log" || echo "a disk is full"
}

# --- steps that take time -------------------------------------------------------------------------------------

# Ends with one line for what goes wrong most, and otherwise with what the log says.
give_up() { # WHAT
  local full
  full=$(full_disk)
  [[ ! $full ]] || die "$1 failed: $full; make room and run the same command again"
  if grep -qE 'Temporary failure resolving|Could not (resolve|connect)|Unable to connect|Cannot initiate the conn|[Cc]onnection (failed|timed out)|Network is unreachable' "$log"; then
    die "$1 failed: no network, or Debian's mirror is down; run the same command again when it is back"
  fi
  tail -n 20 "$log" >&2
  die "$1 failed; the whole log is $log"
}

# Runs a command into the log, and says every 20 seconds how far it is. A process that outlives it holds no lock of ours.
slowly() { # COMMAND...
  local status=0 start=$SECONDS
  (
    trap - EXIT
    trap 'say "interrupted; apt first finishes what it has begun, which may take a minute"' INT
    quiet=0 had=0 # pulses without a new file, files
    while sleep 20 || true; kill -0 $$ 2>/dev/null; do
      line=$(tail -n 1 "$log" | cut -c 1-80)
      say "... $((SECONDS - start)) s${line:+: $line}"
      has=$(grep -c '^Get:' "$log" || true)
      ((quiet = has == had ? quiet + 1 : 0, had = has)) || true
      [[ $quiet -lt 3 || $line != Ign:* || ! -e $log.pid ]] || end_fetching
    done
  ) 9>&- </dev/null >/dev/null &
  pulse=$!
  "$@" >>"$log" 2>&1 9>&- || status=$?
  stop_pulse
  return $status
}

stop_pulse() {
  [[ $pulse ]] || return 0
  kill $pulse 2>/dev/null || true
  wait $pulse 2>/dev/null || true
  pulse=
}

# Asks for a password where there is a terminal to ask on.
may_be_root() {
  [[ $(id -u) != 0 ]] || return 0
  command -v sudo >/dev/null || return
  sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo true; }
}

as_root() { if [[ $(id -u) == 0 ]]; then env "$@"; else sudo env "$@"; fi; }

fetching=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
apt=(LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "${fetching[@]}")
install=("${apt[@]}" install -y --no-install-recommends)

# apt would wait for each of the other files as well.
end_fetching() {
  echo "connection timed out: the mirror has stopped answering" >>"$log"
  as_root bash -c 'kill $0' "$(<"$log.pid")"
  rm -f "$log.pid"
}

fetch_packages() { # PACKAGES
  slowly as_root bash -c 'echo $$ >"$0"; exec env "$@"' "$log.pid" "${install[@]}" --download-only "$@" || return
  rm -f "$log.pid"
}

# --- packages -------------------------------------------------------------------------------------------------

# Those whose files may be there in part, or that dpkg wants reinstalled.
damaged_packages() {
  dpkg-query -W -f='${db:Status-Abbrev}|${Package}:${Architecture}\n' | sed -nE 's/^(.H.|..R)\|//; T; s/:all$//; p'
}

repair_packages() {
  local damaged
  say "finishing an installation that was interrupted"
  slowly as_root "${apt[@]}" check || true # waits for an apt that is still at it
  slowly as_root LC_ALL=C DEBIAN_FRONTEND=noninteractive dpkg --configure -a || true
  readarray -t damaged < <(damaged_packages)
  if ((${#damaged[@]})); then
    update_index
    slowly as_root "${install[@]}" --reinstall "${damaged[@]}" || true
    # What cannot be reinstalled as long as what it needs is not there goes, and comes anew.
    readarray -t damaged < <(damaged_packages)
    ((!${#damaged[@]})) ||
      slowly as_root LC_ALL=C dpkg --force-depends --force-remove-reinstreq --remove "${damaged[@]}" || true
  fi
  slowly as_root "${apt[@]}" check || {
    update_index
    slowly as_root "${install[@]}" --fix-broken || give_up "finishing the installation"
  }
  look
}

# The mirror that this machine's own apt sources name for Debian; none before apt has its index.
find_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: bookworm" \
    'Component: main' | sed -n 1p
}

# Sources other than Debian's may be out of order.
update_index() {
  [[ ! ${has_updated:-} ]] || return 0
  may_be_root || die "fetching the package index needs root or sudo; as root, run: apt-get update"
  say "fetching the package index (10 MB)"
  slowly as_root "${apt[@]}" update || true
  mirror=$(find_mirror)
  ! grep -qF "Failed to fetch ${mirror:-http}" "$log" || give_up "fetching the package index"
  [[ $mirror ]] || die "this machine's apt sources name no Debian mirror"
  has_updated=1
}

# As "254 MB to fetch, 802 MB on disk".
sizes_of() { # PACKAGES
  { env "${apt[@]}" -o Debug::NoLocking=1 --assume-no install --no-install-recommends "$@" 2>/dev/null || true; } |
    sed -nE 's/^Need to get (.*) of archives\./\1 to fetch/p; s/^After this .*, (.*) of additional .*/, \1 on disk/p' |
    tr -d '\n'
}

install_packages() {
  local packages
  essential_missing || return 0
  packages=("${missing[@]}")
  update_index
  say "installing with apt ($(sizes_of "${packages[@]}")): ${packages[*]}"
  fetch_packages "${packages[@]}" || give_up "fetching packages"
  slowly as_root "${install[@]}" "${packages[@]}" || give_up "installing packages"
}

install_peers() {
  local packages full
  peers_missing || return 0
  packages=("${missing[@]}")
  update_index
  say "installing with apt, for the comparison benchmarks ($(sizes_of "${packages[@]}")): ${packages[*]}"
  slowly as_root "${install[@]}" "${packages[@]}" || {
    full=$(full_disk)
    [[ ! $full ]] || give_up "installing packages"
    without_peers
  }
}

without_peers() {
  find_missing "${peers[@]}"
  say "without ${missing[*]}: the benchmarks that compare with them will say so"
  touch "$cache/peers.failed"
}

is_half_installed() {
  local package
  for package in "${essential[@]}" "${peers[@]}"; do
    [[ ${state[$package]:-un} == ?[nci] ]] || return 0
  done
  return 1
}

set_up_packages() {
  packages_missing || return 0
  if ! may_be_root; then
    ! is_half_installed || die "an installation was interrupted; as root, run: dpkg --configure -a && apt-get install -f"
    ! essential_missing || {
      find_missing "${essential[@]}" "${peers[@]}"
      die "installing packages needs root or sudo; as root, run: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    }
    rm -f "$cache/interrupted"
    ! peers_missing || without_peers
    return
  fi
  ! { [[ -e $cache/interrupted ]] || is_half_installed; } || repair_packages
  touch "$cache/interrupted"
  install_packages
  install_peers
  rm "$cache/interrupted"
}

# --- sources --------------------------------------------------------------------------------------------------

# apt-get that knows one source only and keeps its state in the current folder, so that this machine's stays as it is.
# A mirror that lags behind will do. Indexes stay compressed: 10 MB each, not 50.
private_apt() {
  slowly env LC_ALL=C timeout --foreground 900 apt-get -q -o Dir::Etc::SourceList=/dev/null \
    -o Dir::Etc::SourceParts="$PWD/sources" -o Dir::State::Lists="$PWD/lists" -o Dir::Cache::pkgcache= \
    -o Dir::Cache::srcpkgcache= -o Acquire::GzipIndexes=true -o Acquire::CompressionTypes::Order::=xz \
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User="$(id -un)" "${fetching[@]}" "$@"
}

use_source() { # TYPE SUITES
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p sources lists/partial
  printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n' "$1" "$mirror" "$2" >sources/epore.sources
  [[ ! -e $keyring ]] || echo "Signed-By: $keyring" >>sources/epore.sources
  private_apt update
}

# Those that are missing. Each of the results is moved to its place in one step.
fetch_sources() {
  local names=() packages=()
  [[ -e $absl ]] || { names+=(Abseil) packages+=(abseil/trixie); }
  [[ -e $googletest ]] || { names+=(GoogleTest) packages+=(googletest/bookworm); }
  [[ -e $llhttp ]] || { names+=(llhttp) packages+=(nghttp2/trixie); }
  say "fetching the sources of ${names[*]} from Debian (up to 4 MB, and 20 MB of indexes)"
  use_source deb-src "bookworm trixie" && private_apt source --download-only --tar-only "${packages[@]}" || return
  [[ -e $absl ]] || unpack_abseil || return
  [[ -e $googletest ]] || mv googletest_1.12.1.orig.tar.gz "$googletest" || return
  [[ -e $llhttp ]] || mv nghttp2_1.64.0.orig.tar.gz "$llhttp" || return
}

# Debian's archive of Abseil holds the public one's files under another top folder, hence another sum.
unpack_abseil() {
  sha256sum --check --quiet - >>"$log" 2>&1 \
    <<<"df6d1f5ef540725f3851201176a60486aab332410788465c9877910bb471c34a  abseil_20240722.0.orig.tar.gz" &&
    tar -xf abseil_20240722.0.orig.tar.gz >>"$log" 2>&1 && mv -T abseil-20240722.0 "$absl"
}

lacks_llhttp_only() { [[ -e $absl && -e $googletest ]]; }

# A cache that an older bazelw has filled stays of use without a network.
without_llhttp() {
  local full
  lacks_llhttp_only || return
  full=$(full_disk)
  [[ ! $full ]] || return
  say "no llhttp, as it cannot be fetched now (see $log): examples that speak HTTP, and their tests, will not build"
  touch "$llhttp.failed"
}

fetch_boost() { # SUITE PACKAGE
  say "fetching the headers of Boost ($2) from Debian, for the comparison benchmarks (11 MB, and 10 MB of index)"
  use_source deb "$1" && private_apt download "$2" && slowly dpkg -x "$2"_*.deb unpacked &&
    mv -T unpacked/usr/include "$boost"
}

set_up_sources() {
  sources_missing || boost_missing || return 0
  tmp=$(mktemp -d "$cache/tmp.XXXXXX") || die "$cache cannot be written"
  cd "$tmp"
  mirror=$(find_mirror)
  if [[ ! $mirror ]] && lacks_llhttp_only && ! boost_missing; then
    (update_index) && mirror=$(find_mirror) || true
  elif [[ ! $mirror ]]; then
    update_index
  fi
  ! sources_missing || { [[ $mirror ]] && fetch_sources; } || without_llhttp || give_up "fetching sources"
  ! boost_missing || fetch_boost sid libboost1.92-dev || fetch_boost bookworm libboost1.81-dev || {
    full=$(full_disk)
    [[ ! $full ]] || give_up "fetching Boost's headers"
    say "no Boost: the benchmarks that compare with it will say so"
    touch "$boost.failed"
  }
  cd "$OLDPWD"
  clean_up
}

# --------------------------------------------------------------------------------------------------------------

clean_up() {
  stop_pulse
  [[ ! $tmp ]] || rm -rf "$tmp"
  tmp=
}

set_up() {
  exec 9>"$cache/lock" || die "$cache cannot be written"
  flock -n 9 || { say "waiting for another bazelw that is setting up"; flock 9; }
  look # at what the other one has done
  rm -rf "$cache"/tmp.* "$log.pid"
  : >"$log"
  trap clean_up EXIT
  trap 'say "interrupted; the same command goes on from here"; exit 130' INT TERM
  check_space
  set_up_packages
  set_up_sources
  trap - EXIT INT TERM
  exec 9>&-
}
