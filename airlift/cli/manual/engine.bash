# Completion of airlift for bash, written by `airlift completion bash`.

# what is known of the commands

# Walk over words: at is the command they name, count its arguments, before the option that waits for a value.
_airlift_walk() {
  local word
  at=airlift count=0 before= held=()
  for word in "$@"; do
    if [[ -n $before ]]; then
      case $before in --depot|--enclave) held+=("$before" "${word/#\~\//$HOME/}") ;; esac
      before=
      continue
    fi
    case $word in
    --*=*) ;;
    -*)
      _airlift_at "$at" "$word" "$count"
      if [[ -n $value ]]; then before=$word; fi
      ;;
    *) if _airlift_is "$at $word"; then at="$at $word"; else count=$((count + 1)); fi ;;
    esac
  done
}

_airlift() {
  local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} given=() cur= at count before held below flags value place
  local kind list= stem= whole
  read -ra given <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=${given[${#given[@]} - 1]}
    given=("${given[@]:0:${#given[@]} - 1}")
  fi
  whole=$cur
  _airlift_walk "${given[@]:1}"
  if [[ -z $before && $cur == --*=* ]]; then
    before=${cur%%=*} stem=${cur%%=*}= cur=${cur#*=}
  fi
  _airlift_at "$at" "$before" "$count"
  if [[ -n $before ]]; then
    kind=$value
  elif [[ $cur == -* ]]; then
    kind="words ${flags[*]}"
  elif ((${#below[@]})); then
    kind="words ${below[*]}"
  else
    kind=$place
  fi
  case $kind in
  files*) compopt -o default ;;
  folders*) compopt -o dirnames ;;
  depot-releases*|enclave-releases*|enclaves*) list=$("$1" completion --names "${kind%% *}" "${held[@]}" 2>/dev/null) ;;
  esac
  if [[ $kind == *' '* ]]; then list="$list ${kind#* }"; fi
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
  COMPREPLY=("${COMPREPLY[@]/#/$stem}")
  # bash replaces no more than $2: what stands before that is there already
  if [[ -n $2 ]]; then COMPREPLY=("${COMPREPLY[@]#"${whole%"$2"}"}"); else COMPREPLY=("${COMPREPLY[@]#"$whole"}"); fi
}

complete -F _airlift airlift
