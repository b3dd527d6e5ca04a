# shellcheck shell=bash
# One process of a fleet: what it is, starting it, signalling it, seeing whether it answers. Sourced by deploy/fleet.
#
# $dir/processes/NAME holds
#   command     the arguments, each ended by a NUL
#   role        server, worker, redis, sentinel, nginx or haproxy
#   port        where it listens on 127.0.0.1
#   pid         the process's id and its start time in ticks since boot, which together never mean another process
# and $dir/logs/NAME.log what it has said.

# shellcheck disable=SC2154  # $dir is deploy/fleet's
of() { cat "$dir/processes/$1/$2"; }
names() { if [ -e "$dir/names" ]; then cat "$dir/names"; fi; }
names_of() {
  local name
  for name in $(names); do
    if [[ " $* " == *" $(of "$name" role) "* ]]; then echo "$name"; fi
  done
}

# define NAME ROLE PORT COMMAND…: a process that `launch` can start.
define() {
  local name=$1 home=$dir/processes/$1
  mkdir -p "$home"
  printf '%s\n' "$2" >"$home/role"
  printf '%s\n' "$3" >"$home/port"
  shift 3
  printf '%s\0' "$@" >"$home/command"
  printf '%s\n' "$name" >>"$dir/names"
}

# The state and the start time of a process: `S 12345`. The name in front of them may hold spaces and brackets.
known() { [ -d "$dir/processes/$1" ] || fail "there is no $1 in this fleet; it has: $(names | tr "\n" " ")"; }

stat_of() {
  local line fields
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  printf '%s %s\n' "${fields[0]}" "${fields[19]}"
}

# look NAME: sets $state to running, paused or dead, and $pid, which is empty of a dead one.
look() {
  local found started code since
  state=dead pid=
  { read -r found started <"$dir/processes/$1/pid"; } 2>/dev/null || return 0
  read -r code since < <(stat_of "$found") || return 0
  case $code in Z | X) return 0 ;; esac
  [ "$since" = "$started" ] || return 0
  state=running pid=$found
  if [ "$code" = T ]; then state=paused; fi
}
is_alive() { look "$1" && [ "$state" != dead ]; }
is_dead() { ! is_alive "$1"; }
must_live() { is_alive "$1" || fail "$1 is dead"; }

# until_true SECONDS COMMAND…: repeats it until it succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= end)); then return 1; fi
    sleep 0.05
  done
}

# How many descriptors a process here may have; no more than a fleet ever needs.
descriptor_limit() {
  local most
  most=$(ulimit -H -n)
  if [ "$most" = unlimited ] || ((most > 65536)); then most=65536; fi
  echo "$most"
}

# launch NAME: starts it in a session of its own, where no shell's end reaches it.
launch() {
  local command own since home=$dir/processes/$1 log=$dir/logs/$1.log
  mapfile -d '' -t command <"$home/command"
  rm -f "$home/pid"
  (
    own=$BASHPID
    # What the caller has open stays the caller's: somebody may wait for the end of a pipe.
    for descriptor in /proc/"$own"/fd/*; do
      descriptor=${descriptor##*/}
      if ((descriptor > 2)); then eval "exec $descriptor>&-"; fi
    done
    ulimit -S -n "$(descriptor_limit)"
    read -r _ since < <(stat_of "$own")
    printf '%s %s\n' "$own" "$since" >"$home/pid.new" && mv "$home/pid.new" "$home/pid"
    exec setsid "${command[@]}"
  ) </dev/null >>"$log" 2>&1 &
  # The process writes its own id, so that one that was started is known whatever becomes of this shell.
  until_true 10 [ -e "$home/pid" ] || fail "$1 was not started"
}

# answers NAME: whether it does what others need it for.
answers() {
  local role port
  role=$(of "$1" role) port=$(of "$1" port)
  case $role in
    redis) [ "$(redis_cli "$port" ping 2>/dev/null)" = PONG ] ;;
    sentinel) [ "$(sentinel_cli "$port" ping 2>/dev/null)" = PONG ] ;;
    server | worker) is_ready "$port" ;;
    # Whatever it answers: the replicas may be what is missing.
    *) [ -n "$(http_status "$port" /healthz)" ] ;;
  esac
}

# http_status PORT PATH: the status of the answer; nothing if there is none within two seconds.
http_status() (
  exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
  printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
  read -r -t 2 _ status _ <&3 && printf '%s\n' "$status"
) 2>/dev/null
is_ready() { [ "$(http_status "$1" /readyz)" = 200 ]; }

answers_or_ended() { answers "$1" || is_dead "$1"; }

# await NAME: until it answers; a process that ends instead is a failure that shows its last words.
await() {
  until_true 60 answers_or_ended "$1" || give_up "$1" "does not answer"
  is_alive "$1" || give_up "$1" "has ended"
}
give_up() {
  tail -n 20 "$dir/logs/$1.log" >&2
  fail "$1 $2; its log is $dir/logs/$1.log"
}

# send SIGNAL NAME: to the process; KILL, STOP and CONT also to what it has started itself.
send() {
  is_alive "$2" || return 0
  case $1 in
    KILL | STOP | CONT) kill -s "$1" -- "-$pid" 2>/dev/null || kill -s "$1" "$pid" ;;
    *) kill -s "$1" "$pid" ;;
  esac
}

# ask_to_end NAME: the signal that ends it in good order. One that is paused hears it when it goes on.
ask_to_end() {
  case $(of "$1" role) in
    nginx) send QUIT "$1" ;;
    haproxy) send USR1 "$1" ;;
    *) send TERM "$1" ;;
  esac
  send CONT "$1"
}

# free_ports N: so many ports of the loopback that nobody listens on, a line each. They are below those that the system
# gives to connections, so they stay free until they are listened on.
free_ports() {
  local left=$1 port taken
  taken=" $(awk '$4 == "0A" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null | tr '\n' ' ')"
  while ((left > 0)); do
    port=$((10000 + (RANDOM * 32768 + RANDOM) % 22000))
    case $taken in *" $(printf '%04X' "$port") "*) continue ;; esac
    taken+=" $(printf '%04X' "$port") "
    echo "$port"
    left=$((left - 1))
  done
}
