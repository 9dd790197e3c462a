# SPDX-License-Identifier: Apache-2.0
# Completion of hoop-agent's command line for fish.

set -l verbs serve status doctor logs pause resume env setup ca pending review approve deny extend grants allow why scan policy journal ship enrol reviews connection login logout whoami
set -l clients vscode jetbrains neovim language-server copilot-cli claude codex openai

function __hoop_agent_waiting
    hoop-agent pending --json 2>/dev/null | string match -rg '^ *"id": "([0-9a-v]+)"'
end

function __hoop_agent_granted
    hoop-agent grants --json 2>/dev/null | string match -rg '^ *"id": "(g-[0-9a-f]+)"'
end

function __hoop_agent_recorded
    hoop-agent journal list --json --limit 50 2>/dev/null | string match -rg '^ *"exchange": "([0-9a-v]+)"' | sort -u
end

function __hoop_agent_issuers
    hoop-agent whoami --json 2>/dev/null | string match -rg '^ *"name": *"([^"]+)"'
end

function __hoop_agent_rules
    set -l before (commandline -ct | string replace -rf '[^,]*$' '')
    hoop-agent scan --list-rules --json 2>/dev/null | string match -rg '^ *"id": *"([^"]+)"' | string replace -r '^' "$before"
end

function __hoop_agent_sub
    set -l words (commandline -opc)
    test (count $words) -ge 3; and contains -- $words[3] $argv
end

complete -c hoop-agent -f
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -l version -d 'Print the version'
complete -c hoop-agent -l help -d 'Help'

complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a serve -d 'Run the agent in the foreground'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a status -d 'Show what the agent is doing'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a doctor -d 'Check what must be right'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a logs -d "Show the agent's own log"
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a pause -d 'Refuse everything governed for a while'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a resume -d 'End a pause'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a env -d 'Print the variables that lead a client to the agent'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a setup -d "Write a client's settings, or take them back"
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a ca -d "Show, export or replace the agent's CA"
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a pending -d 'List requests that wait for a person'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a review -d 'Show a waiting request'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a approve -d 'Let a waiting request go'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a deny -d 'Refuse a waiting request'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a extend -d 'Give a waiting request more time'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a grants -d 'List, explain or revoke remembered answers'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a allow -d 'Mark a finding as none, where policy permits'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a why -d "Tell one exchange's story"
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a scan -d 'Find secrets in files'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a policy -d 'Check, test, explain or show the policy'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a journal -d 'List, search, show, export or verify what was recorded'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a ship -d 'Show how far the record was shipped, or ship it'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a enrol -d 'Pin the key of the team\'s hub'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a reviews -d 'Other people\'s requests at the hub'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a connection -d 'List the connections'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a whoami -d 'Show whose exchanges these are'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a login -d 'Sign in at the identity provider'
complete -c hoop-agent -n "not __fish_seen_subcommand_from $verbs" -a logout -d 'Sign out, here and at the provider'

complete -c hoop-agent -n '__fish_seen_subcommand_from status doctor ca pending review why scan policy journal ship reviews connection login whoami' -l json -d 'Print JSON'
complete -c hoop-agent -n '__fish_seen_subcommand_from serve doctor logs env setup ca why scan policy journal ship connection' -l config -rF -d 'Configuration to read'
complete -c hoop-agent -n '__fish_seen_subcommand_from logs' -s f -l follow -d 'Go on with what comes'
complete -c hoop-agent -n '__fish_seen_subcommand_from pause' -l for -x -a '90s 10m 1h' -d 'How long'
complete -c hoop-agent -n '__fish_seen_subcommand_from approve' -l for -x -a '10m 1h session' -d 'Those like it, too'
complete -c hoop-agent -n '__fish_seen_subcommand_from grants; and not __hoop_agent_sub list explain revoke' -a 'list explain revoke'
complete -c hoop-agent -n '__fish_seen_subcommand_from grants; and __hoop_agent_sub explain revoke' -a '(__hoop_agent_granted)'
complete -c hoop-agent -n '__fish_seen_subcommand_from grants' -l json -d 'Print JSON'
complete -c hoop-agent -n '__fish_seen_subcommand_from allow' -l for -x -a '2h 1d 7d 30d' -d 'How long'
complete -c hoop-agent -n '__fish_seen_subcommand_from allow' -l list -d 'Show what is allowed'
complete -c hoop-agent -n '__fish_seen_subcommand_from allow' -l remove -x -d 'Allow it no longer'
complete -c hoop-agent -n '__fish_seen_subcommand_from allow' -l json -d 'Print JSON'
complete -c hoop-agent -n '__fish_seen_subcommand_from env setup' -a "$clients"
complete -c hoop-agent -n '__fish_seen_subcommand_from env setup' -l via -x -a 'proxy base-url' -d 'How it reaches the agent'
complete -c hoop-agent -n '__fish_seen_subcommand_from env' -l shell -x -a 'sh fish json' -d Syntax
complete -c hoop-agent -n '__fish_seen_subcommand_from setup' -l undo -d 'Put everything back'
complete -c hoop-agent -n '__fish_seen_subcommand_from setup' -s y -l yes -d 'Do not ask'
complete -c hoop-agent -n '__fish_seen_subcommand_from setup' -l profile -rF -d 'Shell profile'
complete -c hoop-agent -n '__fish_seen_subcommand_from ca; and not __hoop_agent_sub show export rotate' -a 'show export rotate'
complete -c hoop-agent -n '__fish_seen_subcommand_from ca; and __hoop_agent_sub export' -F
complete -c hoop-agent -n '__fish_seen_subcommand_from pending' -l watch -d 'Go on with what comes'
complete -c hoop-agent -n '__fish_seen_subcommand_from review approve deny extend' -a '(__hoop_agent_waiting)'
complete -c hoop-agent -n '__fish_seen_subcommand_from review approve' -l masked -d Masked
complete -c hoop-agent -n '__fish_seen_subcommand_from approve deny' -l reason -x -d 'Why; goes on record'
complete -c hoop-agent -n '__fish_seen_subcommand_from why' -a '(__hoop_agent_recorded)'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -F
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l batch -d 'JSON lines'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l chunks -x -d 'As a stream, so many bytes at a time'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l sarif -d 'Print SARIF'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l baseline -rF -d 'Pass over what this report holds'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l rules -x -a '(__hoop_agent_rules)' -d 'Only these'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l class -x -a 'secret card iban pii' -d 'Only of these classes'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l list-rules -d 'Print the rules'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l no-ignore -d 'What git ignores, too'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l no-allow -d 'Lines of hoop:allow, too'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l binary -d 'Binary files, too'
complete -c hoop-agent -n '__fish_seen_subcommand_from scan' -l max-size -x -a '1M 32M 128M 512M' -d 'Most of one file'
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and not __hoop_agent_sub check diff explain show test' -a 'check diff explain show test'
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub check diff explain test' -F
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub explain test' -l policy -rF -d 'With this policy'
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub explain' -l group -x -d 'As a member of it'
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub explain' -l api -x -a 'other completions chat responses messages embeddings models mcp telemetry' -d Shape
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub explain' -l connection -x -d 'As if it came in there'
complete -c hoop-agent -n '__fish_seen_subcommand_from policy; and __hoop_agent_sub explain' -l direction -x -a 'request response' -d 'Which way'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and not __hoop_agent_sub list search show replay stats export report verify head prune unseal' -a 'list search show replay stats export report verify head prune unseal'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats report' -l until -x -d 'Up to then'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats' -l api -x -a 'chat responses messages completions' -d API
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l group -x -d Group
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l process -x -d Program
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l conversation -x -d Conversation
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l jsonl -d 'Print JSON lines'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list export' -l csv -d 'Print comma separated values'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search' -l oldest -d 'The first ones'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list' -l reverse -d 'The newest on top'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub export' -l bodies -d 'With bodies'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub replay' -l speed -x -d 'Times as fast'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub replay' -l step -d 'Row by row'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub report' -l html -rF -d 'The page to write'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub show' -l rows -d 'Every field'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub show' -a '(__hoop_agent_recorded)'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay' -l limit -x -d 'The last rows'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub replay' -l policy -rF -d 'The candidate'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats report' -l since -x -d 'From then on'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l kind -x -a 'start stop request response approval tool tunnel refused policy pause error signin prune ship' -d Kind
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats' -l user -x -d User
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats' -l client -x -d Client
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats' -l connection -x -d Connection
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export replay stats' -l model -x -d Model
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l rule -x -d Rule
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub list search export' -l verdict -x -d Verdict
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub verify' -l head -rF -d 'Held elsewhere'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub report verify' -l receipts -rF -d 'Fetched receipts'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub report verify' -l receiver-key -x -d 'That signs receipts'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub prune' -l dry-run -d 'Only tell'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub unseal' -l key -rF -d 'Private key'
complete -c hoop-agent -n '__fish_seen_subcommand_from journal; and __hoop_agent_sub unseal' -a '(__hoop_agent_recorded)'
complete -c hoop-agent -n '__fish_seen_subcommand_from ship' -l status -d 'What is behind'
complete -c hoop-agent -n '__fish_seen_subcommand_from ship' -l now -d 'Send it, and wait'
complete -c hoop-agent -n '__fish_seen_subcommand_from ship' -l stdout -d 'Print it as JSON lines'
complete -c hoop-agent -n '__fish_seen_subcommand_from ship' -l after -x -d 'What follows this row'
complete -c hoop-agent -n '__fish_seen_subcommand_from connection; and not __hoop_agent_sub list' -a list
complete -c hoop-agent -n '__fish_seen_subcommand_from login logout' -l issuer -x -a '(__hoop_agent_issuers)' -d 'At this one'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l device -d 'By a code'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l browser -d 'By a browser here'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l no-qr -d 'No QR code'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l client-credentials -d 'As a machine'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l token-file -rF -d 'As a machine, by this token'
complete -c hoop-agent -n '__fish_seen_subcommand_from login' -l insecure-storage -d 'Without a keyring, in a file'
complete -c hoop-agent -n '__fish_seen_subcommand_from enrol' -l hub -x -d 'Its https URL'
complete -c hoop-agent -n '__fish_seen_subcommand_from enrol' -l fingerprint -x -d 'That its key must have'
complete -c hoop-agent -n '__fish_seen_subcommand_from reviews' -a 'list show approve deny'
complete -c hoop-agent -n '__fish_seen_subcommand_from reviews' -l all -d 'What is over, too'
complete -c hoop-agent -n '__fish_seen_subcommand_from reviews' -l masked -d 'The masked text'
complete -c hoop-agent -n '__fish_seen_subcommand_from reviews' -l reason -x -d 'Why'
