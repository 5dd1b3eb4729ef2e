//! Help, printed from the tables of the commands in the layout of SOPS.

use super::engine::VERSION;
use super::flags::{Flag, Takes};
use super::verbs::{LEGACY, VERBS, Verb};

/// What `--version` prints.
pub(super) fn version() -> String {
    format!("sops {VERSION} (sealctl {})\n", env!("CARGO_PKG_VERSION"))
}

/// Help for one command.
pub(super) fn of_verb(verb: &Verb) -> String {
    let below = VERBS.iter().filter(|other| is_below(verb, other));
    let below: Vec<&Verb> = below.collect();
    let options = if below.is_empty() {
        " [command options]"
    } else {
        ""
    };
    let usage = format!("sops {}{options} {}", verb.name, verb.usage);
    let mut text = format!(
        "NAME:\n   sops {} - {}\n\nUSAGE:\n   {}\n",
        verb.name,
        verb.about,
        usage.trim_end()
    );
    if !below.is_empty() {
        text.push_str("\nCOMMANDS:\n");
        let line = |other: &Verb| {
            let name = other.name.rsplit(' ').next().unwrap_or_default();
            format!("   {name:<8}  {}\n", other.about)
        };
        text.extend(below.into_iter().map(line));
    }
    let flags = verb.flags();
    if !flags.is_empty() {
        text.push_str("\nOPTIONS:\n");
        text.push_str(&options_of(&flags));
    }
    text.push_str("   \n");
    text
}

/// Help for the whole program.
pub(super) fn of_program() -> String {
    let mut text = format!(
        "NAME:\n   sops - {}, done by sealctl {}\n\nUSAGE:\n   sops {}\n\nVERSION:\n   {VERSION}\n\nCOMMANDS:\n",
        LEGACY.about,
        env!("CARGO_PKG_VERSION"),
        LEGACY.usage,
    );
    let top = VERBS.iter().filter(|verb| !verb.name.contains(' '));
    text.extend(top.map(|verb| format!("   {:<12}{}\n", verb.name, verb.about)));
    text.push_str("   help, h     this list, or help for one command\n\nGLOBAL OPTIONS:\n");
    text.push_str(&options_of(&LEGACY.flags()));
    text.push_str(
        "   --help, -h  show help\n\nA file name alone means: edit that file. \
         What differs from SOPS: sealctl help sops-compat\n",
    );
    text
}

fn is_below(verb: &Verb, other: &Verb) -> bool {
    let rest = other.name.strip_prefix(verb.name);
    rest.is_some_and(|rest| rest.starts_with(' '))
}

fn options_of(flags: &[&Flag]) -> String {
    let heads: Vec<String> = flags.iter().map(|flag| head(flag)).collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let lines = flags.iter().zip(heads).map(|(flag, head)| {
        let variable = flag.variable.map(|name| format!(" [${name}]"));
        let about = flag.about;
        format!(
            "   {head:<width$}  {about}{}\n",
            variable.unwrap_or_default()
        )
    });
    lines.collect::<Vec<_>>().concat()
}

/// `--age value, -a value`.
fn head(flag: &Flag) -> String {
    let value = match flag.takes {
        Takes::Nothing => "",
        Takes::Text | Takes::Texts | Takes::Number => " value",
    };
    if flag.short.is_empty() {
        return format!("--{}{value}", flag.name);
    }
    format!("--{}{value}, -{}{value}", flag.name, flag.short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_has_help() {
        for verb in VERBS.iter().chain([&LEGACY]) {
            assert!(!verb.about.is_empty(), "{}", verb.name);
            for flag in verb.flags() {
                assert!(!flag.about.is_empty(), "{} --{}", verb.name, flag.name);
            }
        }
        assert!(of_program().contains("\n   decrypt     "));
        assert!(of_verb(&VERBS[5]).contains("   add       add a key group"));
    }
}
