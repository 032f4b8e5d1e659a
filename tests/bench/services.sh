#!/bin/bash
# Compares examples/kv_server with redis-server, and examples/http_server with nginx: CPU for each request, in turns on
# one core, with the load on another. It needs python3, and redis-server and redis-tools, or nginx and wrk.
#
#   ./bazelw build -c opt //examples:kv_server //examples:http_server && tests/bench/services.sh [kv | http]...
#
#   ROUNDS=9 REQUESTS=1000000 SECONDS_EACH=2   of each; a tenth of the requests without a pipeline
#
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

start() { # COMMAND... on the servers' core; its process is `pid`
  taskset -c $server_core "$@" >"$dir/out" 2>"$dir/err" &
  pid=$!
  pids+=($pid)
}

# Starts one of the examples on a free port, which is `port`.
start_example() { # NAME FLAGS...
  start "bazel-bin/examples/$1" --address=127.0.0.1:0 "${@:2}"
  until port=$(sed -n 's/^LISTEN .*://p' "$dir/out") && [[ $port ]]; do
    kill -0 $pid || { cat "$dir/err"; exit 1; }
    sleep 0.1
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

await_port() { until (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; do sleep 0.1; done; }

# A load prints how many requests were answered. Its lines: CPU of us and of the other one for each, ns.
compare() { # NAME "OUR_PID OUR_PORT" "THEIR_PID THEIR_PORT" LOAD...
  local name=$1 sides=("$2" "$3") round side pid port before answered results
  for ((round = 0; round < rounds; round++)); do
    results=()
    for side in "${sides[@]}"; do
      read -r pid port <<<"$side"
      before=$(cpu "$pid")
      answered=$("${@:4}" "$port")
      results+=($((($(cpu "$pid") - before) / answered)))
    done
    echo "${results[*]}"
  done | python3 -c '
import statistics, sys
rounds = [tuple(map(int, line.split())) for line in sys.stdin]
us, them = (statistics.median(side) for side in zip(*rounds))
ratios = sorted(b / a for a, b in rounds)
skip = 1 if len(ratios) > 5 else 0
print("%-24s %7d %7d   %.2f [%.2f %.2f]" % (
    sys.argv[1], us, them, statistics.median(ratios), ratios[skip], ratios[-1 - skip]), flush=True)' "$name"
}

head_line() { printf '%-24s %7s %7s   %s\n' "ns of CPU for a request" epore "$1" "requests per CPU second x $1"; }

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

http() {
  need nginx wrk python3 || return 0
  local ours theirs size
  mkdir "$dir/files"
  chmod 755 "$dir" "$dir/files"
  for size in 100 10000 1000000; do head -c $size /dev/zero | tr '\0' x >"$dir/files/$size.txt"; done
  start_example http_server "$dir/files" --dispatch=poll_thread
  ours="$pid $port"
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
  theirs="$(cat /proc/$pid/task/$pid/children | cut -d' ' -f1) $port"
  head_line nginx
  for size in 100 10000 1000000; do compare "$size bytes" "$ours" "$theirs" wrk_load $size.txt; done
}

for what in "${@:-kv}"; do "$what"; done
