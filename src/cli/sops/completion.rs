//! `completion`, and the words that its scripts ask for while somebody types.

use std::ffi::OsString;

use super::failure::Failure;
use super::verbs::{self, LEGACY, VERBS};

/// The last word of a call that asks what may follow.
pub(super) const ASKING: &str = "--generate-bash-completion";

const BASH: &str = r#"# completion of sops for bash: source <(sops completion bash)
_sealctl_sops() {
    local word=${COMP_WORDS[COMP_CWORD]} asked=("${COMP_WORDS[@]:0:COMP_CWORD}")
    [[ $word == -* ]] && asked+=("$word")
    mapfile -t COMPREPLY < <(compgen -W "$("${asked[@]}" --generate-bash-completion 2> /dev/null)" -- "$word")
}
complete -o bashdefault -o default -F _sealctl_sops sops
"#;

const ZSH: &str = r#"#compdef sops
# completion of sops for zsh: source <(sops completion zsh)
_sealctl_sops() {
    local word=${words[CURRENT]}
    local -a asked found
    asked=("${(@)words[1,CURRENT-1]}")
    [[ $word == -* ]] && asked+=("$word")
    found=("${(@f)$("${asked[@]}" --generate-bash-completion 2> /dev/null)}")
    compadd -- "${(@)found:#}"
    _files
}
compdef _sealctl_sops sops
"#;

/// The script for a shell, or what there is.
///
/// # Errors
/// Exit code 3 for a shell that SOPS has none for.
pub(super) fn script(arguments: &[OsString]) -> Result<&'static str, Failure> {
    let shell = arguments.first().map(|word| word.to_string_lossy());
    match shell.as_deref() {
        Some("bash") => Ok(BASH),
        Some("zsh") => Ok(ZSH),
        None | Some("help" | "h" | "--help" | "-h") => Ok(
            "sops completion bash    print what completes words in bash: source <(sops completion bash)\n\
             sops completion zsh     the same for zsh\n",
        ),
        Some(other) => Err(Failure::of_child(3, format!("No help topic for '{other}'"))),
    }
}

/// What may follow `typed`, one a line: flags behind a dash, else subcommands.
pub(super) fn following(typed: &[OsString]) -> String {
    let words: Vec<_> = typed.iter().map(|word| word.to_string_lossy()).collect();
    let verb = words.iter().find_map(|word| verbs::find(word));
    let wants_flags = words.last().is_some_and(|word| word.starts_with('-'));
    let lines: Vec<String> = match (verb, wants_flags) {
        (Some(verb), true) => flags(&verb.flags()),
        (None, true) => flags(&LEGACY.flags()),
        (Some(verb), false) if verb.name == "groups" => vec!["add".to_owned(), "delete".to_owned()],
        (Some(_), false) => Vec::new(),
        (None, false) => {
            let names = VERBS.iter().map(|verb| verb.name);
            let names = names.filter(|name| !name.contains(' '));
            names
                .chain(["completion", "help", "h"])
                .map(ToOwned::to_owned)
                .collect()
        }
    };
    lines.iter().map(|line| [line, "\n"].concat()).collect()
}

fn flags(flags: &[&super::flags::Flag]) -> Vec<String> {
    let long = flags.iter().map(|flag| format!("--{}", flag.name));
    let short = flags.iter().filter(|flag| !flag.short.is_empty());
    long.chain(short.map(|flag| format!("-{}", flag.short)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        following(&words)
    }

    #[test]
    fn subcommands_follow_nothing_and_flags_a_dash() {
        assert!(after(&[]).contains("decrypt\n") && !after(&[]).contains("groups add"));
        assert_eq!(after(&["groups"]), "add\ndelete\n");
        assert_eq!(after(&["decrypt"]), "");
        let flags = after(&["decrypt", "--ex"]);
        assert!(
            flags.contains("--extract\n") && flags.contains("-i\n"),
            "{flags}"
        );
        assert!(after(&["-"]).contains("--rotate\n"));
    }
}
