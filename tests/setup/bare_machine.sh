#!/bin/bash
# Tries the first set-up again, in bare Debian 12 folders that debootstrap makes: that it works, that it survives being
# killed, and what it says without a network or room. As root on Debian; everything it starts and mounts is in
# namespaces that end with it. Ends with "N passed, N failed".
#
#   tests/setup/bare_machine.sh [--folder=DIR] [--disk-cache=DIR] [STAGE...]
#
#   no_network     one line: at once without a network, after apt's timeouts where no answer comes
#   full_disk      one line, at once, or when the disk fills up meanwhile; with room, the next run goes on
#   user           somebody who is not root: one line without sudo, and a set-up with it
#   interrupted    one machine whose set-up is killed at each of twelve points, one after the other
#   alone          the same points on a fresh machine each (half an hour)
#   commands       README's two commands on that first machine, or on a fresh one (half an hour without a disk cache)
#   consumers      the ways to use epore, by the commands of docs/using.md: the stages cmake, installed and bazel, each on a
#                  fresh machine (5 minutes each)
#   debian         the Debian packages, by the commands of packaging/README.md, in Debian unstable
#
# Without stages: the first four and `commands`. DIR keeps the bare system and the machines (3 GB; default /var/tmp/epore_bare); a
# disk cache of Bazel that was filled by the same compiler makes the builds short.
set -euo pipefail

source=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
folder=/var/tmp/epore_bare disk_cache= stages=()
for argument; do
  case $argument in
    --folder=*) folder=${argument#*=} ;;
    --disk-cache=*) disk_cache=${argument#*=} ;;
    consumers) stages+=(cmake installed bazel) ;;
    no_network | full_disk | user | interrupted | alone | commands | cmake | installed | bazel | debian) stages+=("$argument") ;;
    *) sed -n '2,/^set /{/^#/p}' "$0"; exit 1 ;;
  esac
done
((${#stages[@]})) || stages=(no_network full_disk user interrupted commands)
mkdir -p "$folder"
# Two at once would run in each other's machines.
exec 9>"$folder/lock"
flock --nonblock 9 || { echo "$folder is in use by another run; name another one with --folder"; exit 1; }
base=$folder/base log=$folder/log passed=0 failed=0
child= # of unshare: the first process of the machine that runs
proxy=
trap 'stop; [[ ! $proxy ]] || kill $proxy' EXIT

# --- machines -------------------------------------------------------------------------------------------------

make_base() {
  [[ ! -e $folder/base.made ]] || return 0
  local mirror
  command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -qq install -y debootstrap >/dev/null; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' \
    'Component: main' | sed -n 1p)
  rm -rf --one-file-system "$base"
  debootstrap --variant=minbase bookworm "$base" "$mirror" >"$log"
  touch "$folder/base.made"
}

fresh_machine() { # NAME
  machine=$folder/$1
  rm -rf --one-file-system "$machine"
  cp -a "$base" "$machine"
  lay_tree
}

lay_tree() {
  rm -rf --one-file-system "$machine/root/epore"
  mkdir -p "$machine/root/epore"
  (cd "$source" && git ls-files -coz --exclude-standard | tar -c --null -T - --ignore-failed-read) |
    tar -xC "$machine/root/epore"
}

# Starts a command in the machine. Options: network=none, or network=silent, where all is lost; cache_mb=N, a disk of its own for ~/.cache; image=FILE, the
# machine's disk instead of its folder.
start() { # COMMAND
  local flags=(--mount --pid --fork --kill-child)
  [[ ! ${network:-} ]] || flags+=(--net)
  started=$SECONDS
  log_size=$(stat -c %s "$machine/var/log/dpkg.log" 2>/dev/null || echo 0) # what comes after it is new
  unshare "${flags[@]}" bash -ec '
    machine=$1 command=$2 image=$3 cache_mb=$4 disk_cache=$5 network=$6
    [[ ! $network ]] || ip link set lo up # by which Bazel talks to its server
    if [[ $network == silent ]]; then
      ip link add name silent type veth peer name nobody
      ip address add 10.255.255.1/24 dev silent
      ip link set nobody up
      ip link set silent arp off up
      ip route add default dev silent
    fi
    [[ ! $image ]] || mount -o loop "$image" "$machine"
    rm -f "$machine/fill"
    mount -t proc proc "$machine/proc"
    mount --rbind /dev "$machine/dev"
    mount --rbind /sys "$machine/sys"
    mkdir -p "$machine/root/.cache"
    [[ ! $cache_mb ]] || mount -t tmpfs -o "size=${cache_mb}m" tmpfs "$machine/root/.cache"
    if [[ $disk_cache ]]; then # which the machine reads; what it writes and deletes there is forgotten
      mkdir -p "$machine/root/.cache/epore/disk" "$machine/mnt/over"
      mount -t tmpfs tmpfs "$machine/mnt/over"
      mkdir "$machine/mnt/over/new" "$machine/mnt/over/work"
      mount -t overlay -o "lowerdir=$disk_cache,upperdir=$machine/mnt/over/new,workdir=$machine/mnt/over/work" overlay \
        "$machine/root/.cache/epore/disk"
    fi
    # A session of its own, as on a terminal; and the first process of a machine is deaf to signals.
    env -i --default-signal=INT HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb setsid --wait \
      chroot "$machine" bash -c "echo \$\$ >/run/group; cd /root/epore && $command"
  ' machine "$machine" "$1" "${image:-}" "${cache_mb:-}" "$disk_cache" "${network:-}" >"$log" 2>&1 \
    </dev/null &
  runner=$!
  until child=$(pgrep -P $runner) || ! kill -0 $runner 2>/dev/null; do sleep 0.01; done
}

inside() { echo "/proc/$child/root$machine"; } # the machine's files, while it runs

# The end of what was started: its exit code is `code`, it took `took` seconds.
finish() {
  code=0
  wait $runner || code=$?
  took=$((SECONDS - started)) child=
}

# Everything in the machine ends at once, as when the power fails.
stop() {
  [[ ! $child ]] || kill -KILL "$child" 2>/dev/null || true
  [[ ! $child ]] || wait $runner 2>/dev/null || true
  child=
}

# As Ctrl-C does, on the terminal's foreground processes.
press_ctrl_c() {
  local group
  group=$(<"$(inside)/run/group")
  nsenter --target "$child" --pid kill -INT -- "-$group"
}

check() { # CLAIM, and a condition as the rest
  if "${@:2}"; then
    passed=$((passed + 1))
    echo "ok: $1 (${took:-0} s)"
  else
    failed=$((failed + 1))
    echo "FAILED: $1 (exit $code after $took s)"
    tail -n 15 "$log" | sed 's/^/    /'
  fi
}

# Failed, with this as the last line, and no more than `lines` lines before it.
says() { # REGEX [LINES]
  [[ $code == 1 ]] && tail -n 1 "$log" | grep -qE "$1" && (($(wc -l <"$log") <= ${2:-0} + 1))
}

is_set_up() { [[ $code == 0 ]]; }
within() { ((took <= $1)); } # SECONDS
at_once() { within 15; }

# Loads and analyses all of epore and what it depends on; builds nothing.
readonly load='./bazelw build --nobuild --noshow_progress //... && touch /root/is_set_up'

# --- stages ---------------------------------------------------------------------------------------------------

no_network() {
  fresh_machine offline
  network=none start "$load"
  finish
  check "without a network: one line" says 'no network' 1
  check "without a network: at once" at_once
  network=silent start "$load"
  finish
  check "no packet arrives: one line" says 'no network' 3
  check "no packet arrives: after apt's timeouts" within 60

  coproc stalling { exec python3 "$source/tests/setup/stalling_proxy.py" 60000000; }
  proxy=$stalling_PID
  read -r port <&"${stalling[0]}"
  echo "Acquire::http::Proxy \"http://127.0.0.1:$port\";" >"$machine/etc/apt/apt.conf.d/99proxy"
  start "$load"
  finish
  check "the mirror stops answering: one line" says 'no network' 12
  check "the mirror stops answering: after apt's timeouts" within 180
  kill $proxy
  proxy=
}

# A disk that holds the bare system and has so much room.
make_image() { # MB
  image=$folder/disk
  rm -f "$image"
  truncate -s "$(($(du -sm "$machine" | cut -f1) * 115 / 100 + $1))M" "$image"
  mkfs.ext4 -q -m 0 -d "$machine" "$image"
}

fill() { # FOLDER
  # An image, never the disk of this machine.
  [[ $(stat -c %d "$1") != "$(stat -c %d "$folder")" && $(stat -c %d "$1") != "$(stat -c %d /)" ]] || return 0
  fallocate -l "$(($(df --output=avail -B1 "$1" | tail -n 1) - 4096))" "$1/fill" 2>/dev/null || true
  cat /dev/zero >>"$1/fill" 2>/dev/null || true
}

full_disk() {
  local image=
  fresh_machine full
  for cache_mb in 20 60; do
    cache_mb=$cache_mb start "$load"
    finish
    check "$cache_mb MB for the cache: one line" says "no room: .* MB are free"
    check "$cache_mb MB for the cache: at once" at_once
  done
  unset cache_mb
  make_image 60
  start "$load"
  finish
  check "60 MB for all: one line" says "no room: .* MB are free"
  check "60 MB for all: at once" at_once

  make_image 2400
  start "$load"
  await 'unpacked gcc-12:' || true
  fill "$(inside)"
  started=$SECONDS
  finish
  check "the disk fills up while packages are installed: a line" says "full; make room" 9
  check "the disk fills up while packages are installed: at once" at_once
  start "$load"
  finish
  check "there is room again: the next run goes on" is_set_up

  start "rm -rf /root/.cache/epore; $load"
  await 'sources' || true
  fill "$(inside)"
  started=$SECONDS
  finish
  check "the disk fills up while sources are fetched: a line" says "full; make room" 9
  check "the disk fills up while sources are fetched: at once" at_once
  start "$load"
  finish
  check "there is room again: the next run goes on" is_set_up

  local build='./bazelw build --noshow_progress -c opt @com_google_absl//absl/strings'
  start "$build"
  await building || true
  fill "$(inside)"
  finish
  check "the disk fills up during a build: a line" says "full; make room" 40 # Bazel's errors come before
  start "$build"
  finish
  check "there is room again: the next build goes on" is_set_up
  rm -f "$image"
}

# Where there is no sudo, what root is asked to do is enough.
user() {
  local as_user="su user -c './bazelw build --nobuild --noshow_progress //...'"
  fresh_machine user
  chroot "$machine" useradd --create-home user
  mv "$machine/root/epore" "$machine/home/user/epore"
  ln -s /home/user/epore "$machine/root/epore"
  chroot "$machine" chown -R user: /home/user
  chmod 711 "$machine/root"
  start "$as_user"
  finish
  check "not root, no sudo: one line" says 'as root, run: apt-get'
  check "not root, no sudo: at once" at_once
  start "$(sed -n 's/.*as root, run: //p' "$log" | sed 's/apt-get install/& -y/') && $as_user"
  finish
  check "what that line names was installed: set up" is_set_up

  start "apt-get install -y --no-install-recommends sudo && apt-get remove -y bazel-bootstrap && $as_user"
  finish
  check "not root, and sudo refuses: a last line" says 'as root, run: apt-get' 200
  mkdir -p "$machine/etc/sudoers.d"
  echo 'user ALL=(ALL) NOPASSWD: ALL' >"$machine/etc/sudoers.d/user"
  start "$as_user"
  finish
  check "not root, and sudo allows: set up" is_set_up
}

# The points of a set-up, in order, and how it ends there: at a stroke, or by Ctrl-C (which apt obeys when dpkg is done).
points=('kill index' 'ctrl-c archives' 'kill half-installed bazel-bootstrap-data' 'kill half-installed gcc-12'
  'kill unpacked openjdk-17-jre-headless' 'kill half-installed bazel-bootstrap:'
  'kill half-configured bazel-bootstrap:' 'ctrl-c half-installed libuv1-dev' 'kill sources' 'ctrl-c abseil'
  'kill boost' 'ctrl-c server')

is_at() { # POINT
  local cache
  cache=$(inside)/root/.cache/epore
  case $1 in
    index) compgen -G "$(inside)/var/lib/apt/lists/partial/*" ;;
    archives) compgen -G "$(inside)/var/cache/apt/archives/partial/*.deb" ;;
    sources) compgen -G "$cache/tmp.*/lists/partial/*" ;;
    abseil) compgen -G "$cache/tmp.*/abseil-*/absl" ;;
    boost) compgen -G "$cache/tmp.*/unpacked/usr/include" ;;
    building) compgen -G "$cache/bazel/*/execroot/epore/bazel-out/*/bin" ;;
    server) compgen -G "$cache/bazel/*/server" ;;
    *) tail -c +"$((log_size + 1))" "$(inside)/var/log/dpkg.log" | grep -F "status $1" ;;
  esac >/dev/null 2>&1
}

# Waits for a point of what was started; false if it ends before.
await() { # POINT
  until is_at "$1"; do
    [[ -e /proc/$child ]] || return 1
    sleep 0.01
  done
}

# One run that ends at a point.
interrupt() { # "HOW POINT"
  local point=${1#* }
  start "$load"
  if ! await "$point"; then
    finish
    check "$1: is reached" false
  elif [[ $1 == kill* ]]; then
    stop
    took=$((SECONDS - started))
    check "$1" true
  else
    press_ctrl_c
    started=$SECONDS
    finish
    check "$1" test "$code" != 0
  fi
}

interrupted() {
  local point
  fresh_machine interrupted
  for point in "${points[@]}"; do interrupt "$point"; done
  start "$load"
  finish
  check "after ${#points[@]} interruptions: set up" is_set_up

  # As of a bazelw that did not know llhttp.
  local archive=$machine/root/.cache/epore/dist/v1.64.0.tar.gz
  rm "$archive"
  network=none start './bazelw build --nobuild --noshow_progress //runtime'
  finish
  check "a source is missing, without a network: builds what does not need it" is_set_up
  rm -f "$archive.failed"
  start "$load"
  finish
  check "a source is missing: it is fetched" test -e "$archive"
}

alone() {
  local point
  for point in "${points[@]}"; do
    fresh_machine alone
    interrupt "$point"
    start "$load"
    finish
    check "$point: the next run sets up" is_set_up
  done
}

commands() {
  machine=$folder/interrupted
  if [[ -e $machine/root/is_set_up ]]; then lay_tree; else fresh_machine interrupted; fi
  start './bazelw run -c opt //examples:demo'
  finish
  check "the demo" is_set_up
  grep -E 'Elapsed time|processes' "$log"
  start './bazelw test --noshow_progress --nocache_test_results //...'
  finish
  check "the tests" is_set_up
  grep -E 'Elapsed time|processes|FAILED|tests? pass' "$log"
  # What the builds need on the disk; debian.sh names it.
  du -sm "$machine/root/.cache/epore/"*
}

# The shell commands in a section of a page.
commands_of() { # PAGE TITLE
  awk -v title="## $2" '$0 == title { is_in = 1; next } /^## / { is_in = 0 }
    is_in && /^```/ { is_code = !is_code; next } is_in && is_code' "$source/$1"
}

# Runs them in the folder of a project, with epore in it. The network has Debian's mirror alone, so what the page says to
# that is added: a folder with Abseil's source.
use() { # PAGE TITLE
  local absl=${EPORE_CACHE:-$HOME/.cache/epore}/src/abseil-20240722.0
  [[ -e $absl ]] || { echo "$absl is missing: run ./bazelw info release" && exit 1; }
  fresh_machine consumer
  cp -r "$absl" "$machine/root/abseil"
  mkdir "$machine/root/project"
  mv "$machine/root/epore" "$machine/root/project/epore"
  mkdir "$machine/root/epore" # where commands start
  commands_of "$1" "$2" | sed 's#-DEPORE_FETCH_ABSEIL=ON#& -DFETCHCONTENT_SOURCE_DIR_ABSL=/root/abseil#' >"$machine/root/commands"
  start 'cd /root/project && bash -euxo pipefail /root/commands'
  finish
  check "$1: $2" answers_with_version
}

# The service prints the version, at last.
answers_with_version() {
  [[ $code == 0 ]] && tail -n 1 "$log" | grep -qxF "epore $(sed -nE 's/^#define EPORE_VERSION_[A-Z]+ ([0-9]+)$/\1/p' "$source/poll/version.h" | paste -sd.)"
}

cmake() { use docs/using.md "CMake, as a part of the project"; }
installed() { use docs/using.md "CMake and pkg-config, installed"; }
bazel() { use docs/using.md "Bazel"; }
debian() { use packaging/README.md "Debian"; }

make_base
for stage in "${stages[@]}"; do "$stage"; done
echo "$passed passed, $failed failed"
((failed == 0))
