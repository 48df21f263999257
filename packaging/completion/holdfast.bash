# Completion of holdfast, holdfastctl and holdfastd for bash: source it, or put it into /usr/share/bash-completion/completions.
_holdfast() {
  local word=${COMP_WORDS[COMP_CWORD]} commands options
  case ${COMP_WORDS[0]##*/} in
    holdfast)
      commands='key enroll backup snapshots ls find diff compare restore verify status config'
      options='--config --json --quiet --verbose --version --help --key --passphrase-file --as --tenant --client --token --kit --write-only
        --source --exclude --command --name --dry-run --full --wait --target --overwrite --strip --delete --stream --spool --spool-limit --read-data --out --snapshot --all --exit-code'
      ;;
    holdfastctl)
      commands='tenant client operator source snapshots snapshot purge check rebuild-index collect usage status'
      options='--config --json --quiet --verbose --version --help --plan --quota --expires --read-data --dry-run --label'
      ;;
    *)
      commands='init config'
      options='--config --data-dir --listen --public --enroll-listen --name --version --help'
      ;;
  esac
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --config | --key | --kit | --passphrase-file | --target | --out | --data-dir) COMPREPLY=($(compgen -f -- "$word")) ; return ;;
    --overwrite) COMPREPLY=($(compgen -W 'never changed always' -- "$word")) ; return ;;
    --plan) COMPREPLY=($(compgen -W '30d 2y' -- "$word")) ; return ;;
    restore | ls | verify | diff | compare | --snapshot) COMPREPLY=($(compgen -W latest -- "$word")) ; return ;;
    key) COMPREPLY=($(compgen -W 'new recovery' -- "$word")) ; return ;;
    tenant) COMPREPLY=($(compgen -W 'add list' -- "$word")) ; return ;;
    client) COMPREPLY=($(compgen -W 'add revoke retire' -- "$word")) ; return ;;
    operator) COMPREPLY=($(compgen -W 'add revoke' -- "$word")) ; return ;;
    snapshot) COMPREPLY=($(compgen -W 'lock undelete explain' -- "$word")) ; return ;;
    source) COMPREPLY=($(compgen -W 'list register retire' -- "$word")) ; return ;;
    config) COMPREPLY=($(compgen -W check -- "$word")) ; return ;;
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "$commands" -- "$word"))
  else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -F _holdfast holdfast holdfastctl holdfastd
