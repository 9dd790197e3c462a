# SPDX-License-Identifier: Apache-2.0
# Completion of hoop-agent's command line for bash.

# Ids of requests that wait, of grants, or of the last recorded exchanges.
_hoop_agent_ids() {
  case $1 in
  grants)
    hoop-agent grants --json 2>/dev/null |
      sed -n 's/^ *"id": "\(g-[0-9a-f]*\)".*/\1/p'
    ;;
  pending)
    hoop-agent pending --json 2>/dev/null |
      sed -n 's/^ *"id": "\([0-9a-v]*\)".*/\1/p'
    ;;
  journal)
    hoop-agent journal list --json --limit 50 2>/dev/null |
      sed -n 's/^ *"exchange": "\([0-9a-v]*\)".*/\1/p' | sort -u
    ;;
  esac
}

# Rules for the last of the words between commas.
_hoop_agent_rules() {
  local before=''
  case $1 in *,*) before=${1%,*}, ;; esac
  hoop-agent scan --list-rules --json 2>/dev/null |
    sed -n 's/^ *"id": *"\([^"]*\)".*/\1/p' |
    while read -r rule; do
      case $before$rule in "$1"*) echo "$before$rule" ;; esac
    done
}

# Names of the issuers that are configured.
_hoop_agent_issuers() {
  hoop-agent whoami --json 2>/dev/null |
    sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p'
}

_hoop_agent_options() {
  case $1 in
  serve) echo --config ;;
  status | pending | whoami) echo --json ;;
  login)
    echo --issuer --device --browser --no-qr --client-credentials \
      --token-file --insecure-storage --json
    ;;
  logout) echo --issuer ;;
  doctor | ca | connection | why) echo --json --config ;;
  logs) echo --follow --config ;;
  pause) echo --for ;;
  env) echo --shell --via --config ;;
  setup) echo --undo --yes --via --profile --config ;;
  review) echo --masked --json ;;
  approve) echo --masked --for --reason ;;
  grants) echo --json ;;
  deny) echo --for --reason ;;
  allow) echo --for --list --remove --json ;;
  enrol) echo --hub --fingerprint ;;
  reviews) echo --all --masked --reason --json ;;
  ship) echo --status --now --stdout --after --json --config ;;
  scan)
    echo --json --sarif --baseline --rules --class --list-rules --no-ignore \
      --no-allow --binary --max-size --batch --chunks --config
    ;;
  policy)
    case $2 in
    explain)
      echo --json --policy --group --api --connection --direction --config
      ;;
    test) echo --json --policy --config ;;
    *) echo --json --config ;;
    esac
    ;;
  journal)
    case $2 in
    list | search | export)
      echo --json --jsonl --csv --limit --since --until --kind --user --group \
        --client --process --connection --api --model --conversation --rule \
        --verdict --config
      case $2 in
      list) echo --oldest --reverse ;;
      search) echo --oldest ;;
      export) echo --bodies ;;
      esac
      ;;
    show) echo --json --rows --config ;;
    replay)
      echo --json --policy --limit --since --until --user --client \
        --connection --api --model --speed --step --config
      ;;
    stats)
      echo --json --since --until --user --client --connection --api --model \
        --config
      ;;
    report)
      echo --html --head --receipts --receiver-key --since --until --config
      ;;
    verify) echo --json --head --receipts --receiver-key --config ;;
    prune) echo --json --dry-run --config ;;
    unseal) echo --key --config ;;
    *) echo --json --config ;;
    esac
    ;;
  esac
  [ "$1" != pending ] || echo --watch
  echo --help
}

_hoop_agent_arguments() {
  local clients='vscode jetbrains neovim language-server copilot-cli claude codex openai'
  case $1 in
  env | setup) echo "$clients" ;;
  review | approve | deny | extend) _hoop_agent_ids pending ;;
  why) _hoop_agent_ids journal ;;
  grants)
    case $2 in
    explain | revoke) _hoop_agent_ids grants ;;
    '') echo list explain revoke ;;
    esac
    ;;
  reviews) [ -n "$2" ] || echo list show approve deny ;;
  connection) [ -n "$2" ] || echo list ;;
  ca) [ -n "$2" ] || echo show export rotate ;;
  policy) [ -n "$2" ] || echo check diff explain show test ;;
  journal)
    if [ "$2" = show ] || [ "$2" = unseal ]; then
      _hoop_agent_ids journal
    elif [ -z "$2" ]; then
      echo list search show replay stats export report verify head prune unseal
    fi
    ;;
  esac
}

_hoop_agent() {
  local verbs='serve status doctor logs pause resume env setup ca pending
    review approve deny extend grants allow why scan policy journal ship enrol reviews
    connection login logout whoami'
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local verb=${COMP_WORDS[1]} sub=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$word")
    return
  fi
  case $before in
  --config | --profile | --head | --receipts | --baseline | --policy | --token-file)
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
    ;;
  --shell) set -- sh fish json ;;
  --via) set -- proxy base-url ;;
  --direction) set -- request response ;;
  --api)
    set -- other completions chat responses messages embeddings models mcp \
      telemetry
    ;;
  --kind)
    set -- start stop request response approval tool tunnel refused policy \
      pause error signin prune
    ;;
  --rules)
    mapfile -t COMPREPLY < <(_hoop_agent_rules "$word")
    return
    ;;
  --issuer)
    mapfile -t COMPREPLY < <(compgen -W "$(_hoop_agent_issuers)" -- "$word")
    return
    ;;
  --class) set -- secret card iban pii ;;
  --max-size) set -- 1M 32M 128M 512M ;;
  --for | --reason | --chunks | --group | --connection | --limit | --since | \
    --user | --client | --model | --rule | --verdict)
    return
    ;;
  *) set -- ;;
  esac
  if [ $# -gt 0 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word")
    return
  fi
  if [ "$COMP_CWORD" -gt 2 ]; then sub=${COMP_WORDS[2]}; fi
  if [ "${word:0:1}" = - ]; then
    mapfile -t COMPREPLY < <(
      compgen -W "$(_hoop_agent_options "$verb" "$sub")" -- "$word"
    )
    return
  fi
  case $verb.$sub in
  scan.* | policy.check | policy.diff | policy.explain | policy.test | ca.export)
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    ;;
  *)
    mapfile -t COMPREPLY < <(
      compgen -W "$(_hoop_agent_arguments "$verb" "$sub")" -- "$word"
    )
    ;;
  esac
}

complete -o filenames -F _hoop_agent hoop-agent
