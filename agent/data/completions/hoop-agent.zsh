#compdef hoop-agent
# SPDX-License-Identifier: Apache-2.0
# Completion of hoop-agent's command line for zsh.

_hoop_agent_waiting() {
  local -a ids
  ids=(${(f)"$(hoop-agent pending --json 2>/dev/null |
    sed -n 's/^ *"id": "\([0-9a-v]*\)".*/\1/p')"})
  _describe 'waiting request' ids
}

_hoop_agent_granted() {
  local -a ids
  ids=(${(f)"$(hoop-agent grants --json 2>/dev/null |
    sed -n 's/^ *"id": "\(g-[0-9a-f]*\)".*/\1/p')"})
  _describe 'grant' ids
}

_hoop_agent_recorded() {
  local -a ids
  ids=(${(fu)"$(hoop-agent journal list --json --limit 50 2>/dev/null |
    sed -n 's/^ *"exchange": "\([0-9a-v]*\)".*/\1/p')"})
  _describe 'exchange' ids
}

_hoop_agent_rules() {
  local -a ids
  ids=(${(f)"$(hoop-agent scan --list-rules --json 2>/dev/null |
    sed -n 's/^ *"id": *"\([^"]*\)".*/\1/p')"})
  _values -s , 'rule' $ids
}

_hoop_agent_issuers() {
  local -a names
  names=(${(f)"$(hoop-agent whoami --json 2>/dev/null |
    sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p')"})
  _describe 'issuer' names
}

_hoop_agent() {
  local context state line
  local -a verbs clients json config reason issuer via
  verbs=(
    'serve:run the agent in the foreground'
    'status:show what the agent is doing'
    'doctor:check what must be right'
    "logs:show the agent's own log"
    'pause:refuse everything governed for a while'
    'resume:end a pause'
    'env:print the variables that lead a client to the agent'
    "setup:write a client's settings, or take them back"
    "ca:show, export or replace the agent's CA"
    'pending:list requests that wait for a person'
    'review:show a waiting request'
    'approve:let a waiting request go'
    'deny:refuse a waiting request'
    'extend:give a waiting request more time'
    'grants:list, explain or revoke remembered answers'
    'allow:mark a finding as none, where policy permits'
    "why:tell one exchange's story"
    'scan:find secrets in files'
    'policy:check, test, explain or show the policy'
    'journal:list, search, show, export or verify what was recorded'
    'ship:show how far the record was shipped, or ship it'
    'enrol:pin the key of the hub'
    'reviews:other people at the hub'
    'connection:list the connections'
    'login:sign in at the identity provider'
    'logout:sign out, here and at the provider'
    'whoami:show whose exchanges these are'
  )
  clients=(vscode jetbrains neovim language-server copilot-cli claude codex
    openai)
  json=('--json[print JSON]')
  config=('--config[configuration to read]:file:_files')
  reason=('--reason[why; goes on record]:text:')
  issuer=('--issuer[at this one]:issuer:_hoop_agent_issuers')
  via=('--via[how it reaches the agent]:way:(proxy base-url)')

  _arguments -C '--help[help]' '--version[version]' '1:verb:->verb' \
    '*::argument:->rest'
  if [[ $state = verb ]]; then
    _describe 'verb' verbs
    return
  fi
  case $line[1] in
  serve) _arguments $config ;;
  status | whoami) _arguments $json ;;
  login)
    _arguments $issuer '--device[by a code]' '--browser[by a browser here]' \
      '--no-qr[no QR code]' '--client-credentials[as a machine]' \
      '--token-file[as a machine, by this token]:file:_files' \
      '--insecure-storage[without a keyring, in a file]' $json
    ;;
  logout) _arguments $issuer ;;
  doctor) _arguments $json $config ;;
  logs) _arguments '(-f --follow)'{-f,--follow}'[go on]' $config ;;
  pause) _arguments '--for[how long]:time:(90s 10m 1h)' ;;
  resume) ;;
  env)
    _arguments '--shell[syntax]:shell:(sh fish json)' $via $config \
      "1:client:($clients)"
    ;;
  setup)
    _arguments '--undo[put everything back]' '(-y --yes)'{-y,--yes}'[do not ask]' \
      $via '--profile[shell profile]:file:_files' $config \
      "1:client:($clients)"
    ;;
  ca) _arguments $json $config '1:what:(show export rotate)' '2:file:_files' ;;
  pending) _arguments $json '--watch[go on]' ;;
  review) _arguments '--masked[as it would be masked]' $json '1:id:_hoop_agent_waiting' ;;
  approve) _arguments '--masked[masked]' '--for[those like it, too]:time:(10m 1h session)' $reason '1:id:_hoop_agent_waiting' ;;
  deny) _arguments '--for[those like it, too]:time:(10m 1h session)' $reason '1:id:_hoop_agent_waiting' ;;
  extend) _arguments '1:id:_hoop_agent_waiting' ;;
  grants) _arguments $json '1:what:(list explain revoke)' '2:id:_hoop_agent_granted' ;;
  allow)
    _arguments '--for[how long]:time:(2h 1d 7d 30d)' '--list[show them]' \
      '--remove[allow it no longer]:fingerprint:' $json '1:fingerprint:'
    ;;
  why) _arguments $json $config '1:id:_hoop_agent_recorded' ;;
  scan)
    _arguments $json '--batch[JSON lines]' '--chunks[as a stream]:bytes:' \
      '--sarif[print SARIF]' '--baseline[known findings]:report:_files' \
      '--rules[only these]:rules:_hoop_agent_rules' \
      '--class[only these classes]:classes:_values -s , class secret card iban pii' \
      '--list-rules[print the rules]' '--no-ignore[what git ignores, too]' \
      '--no-allow[lines of hoop\:allow, too]' '--binary[binary files, too]' \
      '--max-size[most of one file]:size:(1M 32M 128M 512M)' \
      $config '*:file:_files'
    ;;
  policy)
    _arguments $json $config '--policy[with this one]:policy:_files' \
      '--group[as a member of]:group:' \
      '--api[shape]:api:(other completions chat responses messages embeddings models mcp telemetry)' \
      '--connection[connection]:name:' \
      '--direction[which way]:direction:(request response)' \
      '1:what:(check diff explain show test)' '*:file:_files'
    ;;
  journal)
    _arguments $json $config '--limit[rows]:number:' '--since[from]:time:' \
      '--kind[kind]:kind:(start stop request response approval tool tunnel refused policy pause error signin prune ship)' \
      '--user[user]:user:' '--client[client]:client:' \
      '--connection[connection]:name:' '--model[model]:model:' \
      '--rule[rule]:rule:' '--verdict[verdict]:verdict:' \
      '--until[up to]:time:' '--group[group]:group:' \
      '--process[program]:program:' '--conversation[conversation]:id:' \
      '--api[API]:api:(chat responses messages completions)' \
      '--jsonl[print JSON lines]' '--csv[print comma separated values]' \
      '--oldest[the first ones]' '--reverse[the newest on top]' \
      '--bodies[with bodies]' '--rows[every field]' \
      '--speed[times as fast]:factor:' '--step[row by row]' \
      '--html[the page to write]:file:_files' \
      '--head[held elsewhere]:head:_files' \
      '--receipts[fetched receipts]:receipts:_files' \
      '--receiver-key[that signs receipts]:key:' \
      '--dry-run[only tell]' '--key[private key]:key:_files' \
      '--policy[candidate]:policy:_files' \
      '1:what:(list search show replay stats export report verify head prune unseal)' '2:id:_hoop_agent_recorded'
    ;;
  enrol) _arguments '--hub[its URL]:url:' '--fingerprint[of its key]:hex:' ;;
  reviews)
    _arguments '--all[what is over, too]' '--masked[the masked text]' \
      '--reason[why]:text:' $json '1:what:(list show approve deny)'
    ;;
  ship)
    _arguments $json $config '--status[what is behind]' \
      '--now[send it, and wait]' '--stdout[print it as JSON lines]' \
      '--after[what follows this row]:row:'
    ;;
  connection) _arguments $json $config '1:what:(list)' ;;
  esac
}

_hoop_agent "$@"
