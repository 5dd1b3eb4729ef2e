# Sourced by up.sh and down.sh.
#
# identity PID: the start time of a process, which together with its pid names it for ever; "gone" when it has ended.
identity() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || { echo gone; return; }
  # shellcheck disable=SC2086
  set -- ${line##*) }
  case $1 in Z | X) echo gone ;; *) echo "${20}" ;; esac
}
