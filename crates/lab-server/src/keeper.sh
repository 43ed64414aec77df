# Runs a server for as long as its owner lives: $1 is the program, $2 its directory.
#
# Standard input is a pipe that only the owner holds open. However the owner ends, SIGKILL included, the pipe closes,
# and that is the signal to kill the server and remove its directory. A line on the pipe keeps the directory.
trap '' HUP INT QUIT TERM
PATH="$PATH:/usr/bin:/bin"
"$1" "$2/server.conf" </dev/null 2>&1 &
server=$!
# From here on the server alone holds the pipe of its output, so the owner sees at once when it dies.
exec >/dev/null 2>&1
keep=
read -r keep
kill -KILL "$server"
# Where the program is a wrapper script, the server is another process, which wrote its own pid.
read -r inner <"$2/server.pid"
if [ -n "$inner" ] && [ "$inner" != "$server" ] && [ "/proc/$inner/cwd" -ef "$2" ]; then
    kill -KILL "$inner"
fi
wait "$server"
[ -n "$keep" ] || rm -rf "$2"
