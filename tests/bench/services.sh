#!/bin/bash
# Compares examples with what is used in their place: CPU for each request, in turns on one core, with the load on
# another. It needs python3, and what the stage names.
#
#   ./bazelw build -c opt //examples/... //tests/bench:udp_asio //tests/bench:udp_load
#   tests/bench/services.sh [STAGE]...
#
#   kv      kv_server, and redis-server under redis-benchmark (redis-server, redis-tools); the default
#   http    http_server, and nginx with one worker under wrk (nginx, wrk)
#   proxy   tcp_proxy, and haproxy that splices, between wrk and an nginx with files of 1 MB (haproxy, nginx, wrk)
#   udp     udp_echo, and the same on Boost.Asio (Boost)
#
#   ROUNDS=9 REQUESTS=1000000 SECONDS_EACH=2   of each; a tenth of the requests without a pipeline
#
# Two columns of ratios. The first is of the CPU time of the server's threads. The second is of the CPU time of all cores,
# with the load and the kernel's network: where much data passes, one server's sends are received in its own time and
# another's in that of the load, so only the second one says who is cheaper. It wants a machine that does nothing else.
# Ratios are taken round by round: their median, the second least and the second largest (of 9 rounds that is an
# interval of 96%; fewer than 6 rounds do not reach 95%).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

rounds=${ROUNDS:-9} requests=${REQUESTS:-1000000} seconds=${SECONDS_EACH:-2}
server_core=0 load_core=$(($(nproc) > 1 ? 1 : 0))
dir=$(mktemp -d) pids=()
trap '[[ ! ${pids[*]} ]] || kill "${pids[@]}" 2>/dev/null; rm -rf "$dir"' EXIT

need() { for program; do command -v "$program" >/dev/null || { echo "$program is not installed"; return 1; }; done; }

# The user and system time of all threads of a process, ns.
cpu() { awk '{ sum += $1 } END { printf "%.0f", sum }' /proc/"$1"/task/*/schedstat; }

# The busy time of all cores, ns.
machine_cpu() {
  awk -v hz="$(getconf CLK_TCK)" '/^cpu /{ printf "%.0f", ($2 + $3 + $4 + $7 + $8) * 1e9 / hz }' /proc/stat
}

start() { # COMMAND... on the servers' core; its process is `pid`
  taskset -c $server_core "$@" >"$dir/out" 2>"$dir/err" &
  pid=$!
  pids+=($pid)
}

# Starts one of the examples on a free port, which is `port`.
start_example() { # NAME FLAGS...
  start "bazel-bin/examples/$1" --address=127.0.0.1:0 "${@:2}"
  await_listening
}

# Waits for the line of the program that was started, and takes its `port` from it.
await_listening() {
  until port=$(sed -n 's/^LISTEN .*://p' "$dir/out") && [[ $port ]]; do
    kill -0 $pid || { cat "$dir/out" "$dir/err"; exit 1; }
    sleep 0.1
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

await_port() { until (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; do sleep 0.1; done; }

# A load prints how many requests were answered. Its lines: CPU of us and of the other one for each, ns.
compare() { # NAME "OUR_PID OUR_PORT" "THEIR_PID THEIR_PORT" LOAD...
  local name=$1 sides=("$2" "$3") round side pid port before machine answered results
  for ((round = 0; round < rounds; round++)); do
    results=()
    for side in "${sides[@]}"; do
      read -r pid port <<<"$side"
      before=$(cpu "$pid") machine=$(machine_cpu)
      answered=$("${@:4}" "$port")
      results+=($((($(cpu "$pid") - before) / answered)) $((($(machine_cpu) - machine) / answered)))
    done
    echo "${results[*]}"
  done | python3 -c '
import statistics, sys
rounds = [tuple(map(int, line.split())) for line in sys.stdin]
us, our_machine, them, their_machine = (statistics.median(column) for column in zip(*rounds))
def ratio(ours, theirs):
    ratios = sorted(round[theirs] / round[ours] for round in rounds)
    skip = 1 if len(ratios) > 5 else 0
    return "%.2f [%.2f %.2f]" % (statistics.median(ratios), ratios[skip], ratios[-1 - skip])
print("%-24s %7d %7d   %s  %7d %7d   %s" % (
    sys.argv[1], us, them, ratio(0, 2), our_machine, their_machine, ratio(1, 3)), flush=True)' "$name"
}

head_line() {
  echo "ns of CPU for a request; requests per CPU second x $1"
  printf '%-24s %7s %7s   %-16s  %7s %7s   %s\n' '' epore "$1" 'of the server' epore "$1" 'of the machine'
}

redis_load() { # TEST PIPELINE PORT
  local count=$requests output
  (($2 > 1)) || count=$((requests / 10))
  output=$(taskset -c $load_core redis-benchmark -p "$3" -t "$1" -P "$2" -c 200 -n $count -q --csv 2>&1)
  ! grep -qi error <<<"$output" || { echo "$output" >&2; return 1; }
  echo $count
}

kv() {
  need redis-server redis-benchmark python3 || return 0
  local ours theirs test pipeline
  start_example kv_server
  ours="$pid $port"
  port=$(free_port)
  start redis-server --port "$port" --save '' --appendonly no
  theirs="$pid $port"
  await_port "$port"
  head_line redis
  for pipeline in 16 1; do
    for test in ping_mbulk set get incr; do
      compare "$test, pipeline of $pipeline" "$ours" "$theirs" redis_load $test $pipeline
    done
  done
}

wrk_load() { # PATH PORT
  taskset -c $load_core wrk -t 1 -c 100 -d "$seconds" "http://127.0.0.1:$2/$1" >"$dir/wrk"
  ! grep -E 'Non-2xx|Socket errors' "$dir/wrk" >&2 || return 1
  sed -nE 's/^ *([0-9]+) requests in .*/\1/p' "$dir/wrk"
}

make_files() { # SIZE...
  mkdir -p "$dir/files"
  chmod 755 "$dir" "$dir/files"
  local size
  for size; do head -c "$size" /dev/zero | tr '\0' x >"$dir/files/$size.txt"; done
}

# Starts nginx with one worker, which becomes `pid`, on a free port, which is `port`.
start_nginx() {
  port=$(free_port)
  cat >"$dir/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=100;
  types { text/plain txt; }
  server { listen 127.0.0.1:$port; root $dir/files; }
}
CONF
  start nginx -p "$dir" -c "$dir/nginx.conf"
  await_port "$port"
  pid=$(cut -d' ' -f1 "/proc/$pid/task/$pid/children")
}

http() {
  need nginx wrk python3 || return 0
  local ours theirs size
  make_files 100 10000 1000000
  start_example http_server "$dir/files" --dispatch=poll_thread
  ours="$pid $port"
  start_nginx
  theirs="$pid $port"
  head_line nginx
  for size in 100 10000 1000000; do compare "$size bytes" "$ours" "$theirs" wrk_load $size.txt; done
}

proxy() {
  need haproxy nginx wrk python3 || return 0
  local ours theirs origin size
  make_files 100 1000000
  server_core=$load_core start_nginx # the origin is part of the load
  origin=127.0.0.1:$port
  start_example tcp_proxy $origin
  ours="$pid $port"
  port=$(free_port)
  cat >"$dir/haproxy.conf" <<CONF
global
  nbthread 1
  maxconn 1000
defaults
  mode tcp
  option splice-auto
  timeout connect 2s
  timeout client 60s
  timeout server 60s
listen proxy
  bind 127.0.0.1:$port
  server origin $origin
CONF
  start haproxy -db -f "$dir/haproxy.conf"
  theirs="$pid $port"
  await_port "$port"
  head_line haproxy
  for size in 100 1000000; do compare "$size bytes" "$ours" "$theirs" wrk_load $size.txt; done
}

udp_load() { # SOCKETS IN_FLIGHT [--offload] PORT
  taskset -c $load_core bazel-bin/tests/bench/udp_load --address="127.0.0.1:${!#}" --seconds="$seconds" --sockets="$1" \
    --in_flight="$2" "${@:3:$#-3}"
}

udp() {
  need python3 || return 0
  local ours ours_offloaded theirs shape
  start bazel-bin/examples/udp_echo 127.0.0.1:0
  await_listening
  ours="$pid $port"
  start bazel-bin/examples/udp_echo 127.0.0.1:0 offload
  await_listening
  ours_offloaded="$pid $port"
  start bazel-bin/tests/bench/udp_asio
  await_listening
  theirs="$pid $port"
  head_line Asio
  for shape in '1 1' '50 1' '8 16'; do
    compare "${shape/ / sockets, } in flight" "$ours" "$theirs" udp_load $shape
  done
  compare '8, 16, sent at once' "$ours_offloaded" "$theirs" udp_load 8 16 --offload
}

for what in "${@:-kv}"; do "$what"; done
