/** What each shell has to be told; the candidates come from murmur itself. */
export const COMPLETION_SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_murmur() {
  local IFS=$'\\n'
  COMPREPLY=($(murmur __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _murmur murmur`,
  zsh: `#compdef murmur
_murmur() {
  local -a candidates
  candidates=("\${(@f)$(murmur __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _murmur murmur`,
  fish: `function __murmur_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found (murmur __complete $words[2..-1] "$current" 2>/dev/null)
    if test -n "$found"
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c murmur -f -a '(__murmur_complete)'`,
};
