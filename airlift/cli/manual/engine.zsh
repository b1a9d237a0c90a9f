#compdef airlift
# Completion of airlift for zsh, written by `airlift completion zsh`.

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

# Offer what a place takes: "source word word ...".
_airlift_offer() {
  local -a found
  case $1 in
  files*) _files ;;
  folders*) _files -/ ;;
  depot-releases*|enclave-releases*|enclaves*) found=(${(f)"$(_call_program names airlift completion --names ${1%% *} ${(q)held} 2>/dev/null)"}) ;;
  esac
  if [[ $1 == *' '* ]]; then found+=(${=1#* }); fi
  if (( $#found )); then compadd -a found; fi
}

_airlift() {
  local at count before value place
  local -a held below flags
  _airlift_walk "${(@)words[2,CURRENT-1]}"
  if [[ -z $before && $words[CURRENT] == --*=* ]]; then
    before=${words[CURRENT]%%=*}
    compset -P '*='
  fi
  _airlift_at "$at" "$before" "$count"
  if [[ -n $before ]]; then
    _airlift_offer "$value"
  elif [[ $words[CURRENT] == -* ]]; then
    _describe -o option flags
  elif (( $#below )); then
    _describe command below
  else
    _airlift_offer "$place"
  fi
}

if [[ $funcstack[1] == _airlift ]]; then
  _airlift "$@"
else
  compdef _airlift airlift
fi
