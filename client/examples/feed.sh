#!/bin/sh
# Blocks as they are announced, none missed: over an end of the server, and of this program, it goes on where it was.
# feed.sh [URL of a server] [file for the cursor]: curl alone, by server-sent events. To look once: curl -N http://localhost:9906/events
# P2P_FEED_TOKEN has the token, where the server wants one.
url=${1:-http://localhost:9906}
file=${2:-feed.cursor}

while :; do
  # The first time there is no file: it begins at now.
  set --
  if [ -e "$file" ]; then
    kept=$(cat "$file") || exit
    [ -n "$kept" ] || { echo "$file is empty" >&2; exit 1; }
    set -- --header "Last-Event-ID: $kept"
  fi
  # The server says something every 15 s. A token stays out of the list of processes.
  printf '%s' "${P2P_FEED_TOKEN:+header = \"Authorization: Bearer $P2P_FEED_TOKEN\"}" |
    curl --config - --silent --show-error --fail --no-buffer --speed-limit 1 --speed-time 40 "$@" "$url/events?kinds=block" |
    while IFS= read -r line; do
      case $line in
        id:*) cursor=${line#id:} cursor=${cursor# } ;;
        event:*) event=${line#event:} event=${event# } ;;
        data:*) data=${line#data:} data=${data# } ;;
        '')
          case $event in
            block) printf '%s\n' "$data" ;;
            info | error) printf '%s\n' "$data" >&2 ;;
          esac
          # When it has been handled: what was at hand at an end comes again.
          [ -n "$cursor" ] && printf %s "$cursor" > "$file.new" && mv "$file.new" "$file"
          cursor='' event='' data=''
          ;;
      esac
    done
  sleep 1
done
