# shellcheck shell=bash
# The Redis of a fleet in its three topologies, and moving slots. Sourced by deploy/fleet.
# Every redis-server reads a file of its own, which includes deploy/redis's: Sentinel writes its decisions there.

# shellcheck disable=SC2154,SC2034  # $dir, $root, $min_replicas and $redis_url are deploy/fleet's
# shellcheck disable=SC2317  # until_true calls what is defined inside functions
# redis_cli PORT WORD…; where there are users, as the one who may do everything, whose password is in the environment.
redis_cli() { as_fleet timeout 5 redis-cli "${as_user[@]}" -h 127.0.0.1 -p "$@"; }
sentinel_cli() { timeout 5 redis-cli -h 127.0.0.1 -p "$@"; }
as_user=()
as_fleet() {
  if ((${#as_user[@]})); then REDISCLI_AUTH=$(cat "$dir/users/fleet.password") "$@"; else "$@"; fi
}
know_user() { if [ -e "$dir/users/fleet.password" ]; then as_user=(--user fleet); fi; }

# make_users: those of deploy/redis/users.acl, and one for this script and for tests.
make_users() {
  local password
  "$root/deploy/redis/make-users" "$dir/users"
  password=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
  printf '%s\n' "$password" >"$dir/users/fleet.password"
  printf 'user fleet on #%s ~* &* +@all\n' "$(printf %s "$password" | sha256sum | cut -d' ' -f1)" >>"$dir/users/users.acl"
  know_user
}

# give_urls: how servers and workers are told of the Redis at $redis_url.
give_urls() {
  local user
  if [ -z "$acl" ]; then
    server_redis=(--redis "$redis_url") worker_redis=(--redis "$redis_url")
    return
  fi
  for user in server worker fleet; do
    printf '%s\n' "${redis_url/:\/\//://$user:$(cat "$dir/users/$user.password")@}" >"$dir/users/$user.url"
  done
  server_redis=(--redis-file "$dir/users/server.url") worker_redis=(--redis-file "$dir/users/worker.url")
  redis_url=$(cat "$dir/users/fleet.url")
}

# define_redis NAME PORT LINE…: a redis-server with these lines after those of deploy/redis.
define_redis() {
  local name=$1 port=$2 data=$dir/data/$1
  shift 2
  mkdir -p "$data"
  {
    printf 'include "%s/deploy/redis/redis.conf"\n' "$root"
    printf '%s\n' "port $port" 'bind 127.0.0.1' "dir \"$data\"" 'logfile ""' "min-replicas-to-write $min_replicas" "$@"
    if [ -n "$acl" ]; then
      printf '%s\n' "aclfile \"$dir/users/users.acl\"" "masterauth $(cat "$dir/users/replica.password")"
    else
      printf '%s\n' 'aclfile ""' 'masteruser ""'
    fi
  } >"$data/redis.conf"
  define "$name" redis "$port" redis-server "$data/redis.conf"
}

one_redis() {
  local port
  port=$(free_ports 1)
  define_redis redis-1 "$port"
  redis_url=redis://127.0.0.1:$port
}
start_one_redis() { launch redis-1 && await redis-1; }

# A master, its replica, three Sentinels of which two decide.
sentinel_redis() {
  local ports sentinel password=/^sentinel\ auth-/d
  if [ -n "$acl" ]; then password="s|^\(sentinel auth-pass .* \).*|\1$(cat "$dir/users/sentinel.password")|"; fi
  mapfile -t ports < <(free_ports 5)
  define_redis redis-1 "${ports[0]}"
  define_redis redis-2 "${ports[1]}" "replicaof 127.0.0.1 ${ports[0]}"
  for sentinel in 1 2 3; do
    mkdir -p "$dir/data/sentinel-$sentinel"
    sed -e "s|^sentinel monitor .*|sentinel monitor quartermaster 127.0.0.1 ${ports[0]} 2|" \
      -e "s|^port .*|port ${ports[sentinel + 1]}|" -e 's|^bind .*|bind 127.0.0.1|' -e 's|^logfile .*|logfile ""|' \
      -e "s|^dir .*|dir \"$dir/data/sentinel-$sentinel\"|" -e "$password" \
      "$root/deploy/redis/sentinel.conf" >"$dir/data/sentinel-$sentinel/sentinel.conf"
    define "sentinel-$sentinel" sentinel "${ports[sentinel + 1]}" \
      redis-server "$dir/data/sentinel-$sentinel/sentinel.conf" --sentinel
  done
  redis_url=redis+sentinel://127.0.0.1:${ports[2]},127.0.0.1:${ports[3]},127.0.0.1:${ports[4]}/quartermaster
}
start_sentinel_redis() {
  local name
  launch redis-1 && launch redis-2
  await redis-1 && await redis-2
  # Sentinels learn of a replica from its master, which has to know of it.
  has_replica() { [[ $(redis_cli "$(of redis-1 port)" info replication) == *state=online* ]]; }
  until_true 30 has_replica || give_up redis-2 "does not replicate"
  for name in $(names_of sentinel); do launch "$name"; done
  for name in $(names_of sentinel); do await "$name"; done
  # Before they know of the replica and of each other they could not fail over.
  ready_to_fail_over() {
    local told
    told=$(sentinel_cli "$(of "$1" port)" sentinel master quartermaster | paste - - | tr '\t' ' ')
    [[ $told == *'num-slaves 1'* && $told == *'num-other-sentinels 2'* ]]
  }
  for name in $(names_of sentinel); do
    until_true 30 ready_to_fail_over "$name" || give_up "$name" "does not see the others"
  done
}

# Three masters with a replica each.
cluster_redis() {
  local ports node nodes=()
  mapfile -t ports < <(free_ports 12)
  for node in 1 2 3 4 5 6; do
    define_redis "redis-$node" "${ports[node - 1]}" "include \"$root/deploy/redis/cluster.conf\"" \
      "cluster-port ${ports[node + 5]}"
    nodes+=("127.0.0.1:${ports[node - 1]}")
  done
  redis_url=redis+cluster://$(IFS=, && echo "${nodes[*]}")
}
start_cluster_redis() {
  local name nodes=()
  for name in $(names_of redis); do launch "$name"; done
  for name in $(names_of redis); do await "$name" && nodes+=("127.0.0.1:$(of "$name" port)"); done
  as_fleet redis-cli "${as_user[@]}" --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >>"$dir/logs/cluster-create.log" 2>&1 ||
    fail "the cluster could not be made: $(tail -n 5 "$dir/logs/cluster-create.log")"
  is_whole() {
    local answer
    answer=$(redis_cli "$(of "$1" port)" cluster info)
    [[ $answer == *cluster_state:ok* && $answer == *cluster_known_nodes:6* ]] || return 1
    answer=$(redis_cli "$(of "$1" port)" info replication)
    [[ $answer == *master_link_status:up* || $answer == *state=online* ]]
  }
  for name in $(names_of redis); do until_true 60 is_whole "$name" || give_up "$name" "does not see the cluster"; done
}

# reshard FROM TO NAME: the slots to that master, one after the other, while everybody uses them.
reshard() {
  local from=$1 to=$2 target_port target_id slot owner line moved=0 keys=0 owners=()
  target_port=$(of "$3" port)
  target_id=$(redis_cli "$target_port" cluster myid)
  [[ $(redis_cli "$target_port" role | head -n 1) == master ]] || fail "$3 is no master at the moment"
  while read -r line; do owners[${line%% *}]=${line#* }; done < <(slot_owners "$target_port")
  for ((slot = from; slot <= to; slot++)); do
    owner=${owners[slot]:-}
    [ -n "$owner" ] || fail "nobody has slot $slot"
    if [ "$owner" != "$target_port" ]; then move_slot "$slot" "$owner" "$target_port" "$target_id" && moved=$((moved + 1)); fi
  done
  say "$moved slots and $keys keys are now at $3"
}

# The port of each slot's master, a line each: `SLOT PORT`.
slot_owners() {
  redis_cli "$1" cluster nodes | awk '$3 ~ /master/ && $3 !~ /fail/ {
    split($2, address, /[:@]/)
    for (i = 9; i <= NF; i++) {
      if ($i ~ /^\[/) continue
      n = split($i, ends, "-")
      for (slot = ends[1]; slot <= ends[n]; slot++) print slot, address[2]
    }
  }'
}

# What redis-cli's own reshard does for each slot; that one cannot be told which.
move_slot() {
  local slot=$1 source=$2 target=$3 target_id=$4 source_id batch
  source_id=$(redis_cli "$source" cluster myid)
  expect_ok "$(redis_cli "$target" cluster setslot "$slot" importing "$source_id")"
  expect_ok "$(redis_cli "$source" cluster setslot "$slot" migrating "$target_id")"
  while true; do
    mapfile -t batch < <(redis_cli "$source" cluster getkeysinslot "$slot" 500)
    if ((${#batch[@]} == 0)) || [ -z "${batch[0]}" ]; then break; fi
    expect_ok "$(migrate_command "$target" "${batch[@]}" | redis_cli "$source")"
    keys=$((keys + ${#batch[@]}))
  done
  # The target first: a slot must not be without a master when this ends in between.
  expect_ok "$(redis_cli "$target" cluster setslot "$slot" node "$target_id")"
  expect_ok "$(redis_cli "$source" cluster setslot "$slot" node "$target_id")"
}
# By standard input, which nobody else sees: it has the password.
migrate_command() {
  local key
  printf 'migrate 127.0.0.1 %s "" 0 5000' "$1"
  if ((${#as_user[@]})); then printf ' auth2 fleet "%s"' "$(cat "$dir/users/fleet.password")"; fi
  printf ' keys'
  for key in "${@:2}"; do
    key=${key//\\/\\\\}
    printf ' "%s"' "${key//\"/\\\"}"
  done
  printf '\n'
}
expect_ok() {
  case $1 in OK | NOKEY) ;; *) fail "moving a slot: $1" ;; esac
}
