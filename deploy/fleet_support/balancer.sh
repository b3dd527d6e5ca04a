# shellcheck shell=bash
# The load balancer of a fleet: deploy/'s own configuration with this fleet's ports. Sourced by deploy/fleet.

# repeat_line PATTERN FILE PORT…: the file with its lines that match `127.0.0.1:PORT` after PATTERN replaced by one for
# each port, made from the first of them; `server-1` in it counts up.
repeat_line() {
  awk -v pattern="$1" -v ports="${*:3}" '
    $0 !~ "^ *" pattern "127\\.0\\.0\\.1:" { print; next }
    seen++ { next }
    {
      n = split(ports, port, " ")
      for (i = 1; i <= n; i++) {
        line = $0
        sub(/server-1/, "server-" i, line)
        sub(/127\.0\.0\.1:[0-9]+/, "127.0.0.1:" port[i], line)
        print line
      }
    }' "$2"
}

# shellcheck disable=SC2154  # $dir and $root are deploy/fleet's
define_nginx() {
  local port=$1 folder=$dir/data/balancer temporary=''
  shift
  mkdir -p "$folder"
  repeat_line 'server ' "$root/deploy/nginx/fleet.conf" "$@" |
    sed "s|listen 127.0.0.1:8000;|listen 127.0.0.1:$port backlog=4096;|" >"$folder/fleet.conf"
  for what in client_body proxy fastcgi uwsgi scgi; do temporary+="${what}_temp_path \"$folder/$what\"; "; done
  # One process, so that its end by its process id leaves nothing.
  cat >"$folder/nginx.conf" <<CONF
daemon off;
master_process off;
pid "$folder/nginx.pid";
events { worker_connections $(descriptor_limit); }
http {
    access_log off;
    $temporary
    include "$folder/fleet.conf";
}
CONF
  define balancer nginx "$port" nginx -c "$folder/nginx.conf" -e stderr
}

define_haproxy() {
  local port=$1 folder=$dir/data/balancer
  shift
  mkdir -p "$folder"
  # User and group are for one that is started as root and leaves that behind; each connection takes two descriptors.
  local most=$((($(descriptor_limit) - 200) / 2))
  repeat_line 'server server-[0-9]+ ' "$root/deploy/haproxy/haproxy.cfg" "$@" |
    sed -E -e "s|bind 127.0.0.1:8000|bind 127.0.0.1:$port|" -e '/^ *(user|group) haproxy$/d' \
      -e "s|^( *maxconn) 20000|\1 $((most < 20000 ? most : 20000))|" >"$folder/haproxy.cfg"
  define balancer haproxy "$port" haproxy -db -f "$folder/haproxy.cfg"
}
