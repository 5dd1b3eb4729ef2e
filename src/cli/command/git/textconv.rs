//! `git textconv`: a document as `git diff` and `git log -p` show it.

use std::path::PathBuf;

use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::cli::document::LONGEST;
use crate::cli::keys::Known;
use crate::cli::mask::Mask;
use crate::cli::masked::masked;
use crate::cli::ui::Symbols;
use crate::cli::{Outcome, Session};
use crate::crypto::identity::short;
use crate::file;
use crate::format::{Format, yaml};
use crate::secret::Secret;
use crate::sops::{METADATA_KEY, Sealed};
use crate::tree::Map;

/// Print a document with its secrets masked, for git diff
///
/// Git runs it for both sides of a difference. A secret appears as its length and four digits of a keyed
/// digest, so that a change shows and the value does not; without an identity that opens the document, as four
/// digits of its ciphertext. Whatever the file is, this ends well: git gives up the whole difference otherwise.
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl git textconv envs/prod/web.yaml")]
pub(crate) struct TextconvArgs {
    /// The file; git hands over the path of a temporary one
    file: PathBuf,
}

/// `git textconv`.
pub(crate) fn run(session: &mut Session, args: &TextconvArgs) -> Outcome {
    let shown = match file::read(&args.file, u64::MAX) {
        Ok(text) if is_document(&text) => shown(session, &text),
        Ok(text) => text,
        Err(error) => Secret::from(format!("{error}\n")),
    };
    session.ui.data(shown.expose());
    Outcome::Done
}

fn is_document(text: &Secret) -> bool {
    let is_sign = |line: &str| line.starts_with("sealctl:");
    text.len() as u64 <= LONGEST
        && text
            .expose_text()
            .is_some_and(|text| text.lines().any(is_sign))
}

/// The document `text`, masked.
fn shown(session: &Session, text: &Secret) -> Secret {
    let symbols = session.ui.symbols();
    let typed = text.expose_text().unwrap_or_default();
    let tree = match yaml::parse(typed) {
        Ok(tree) => tree,
        Err(error) => return unreadable(typed, &error.to_string(), symbols),
    };
    if tree.find(METADATA_KEY).is_none() {
        return masked(typed, &tree, None, None, &|value| {
            hidden(symbols, &format!("{} chars, plaintext", chars(value)))
        });
    }
    let Ok(sealed) = Sealed::parse(Format::Yaml, text) else {
        return closed(typed, &tree, None, symbols);
    };
    let readers = readers(&sealed);
    let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
    let known = Known::collect(session, &recipients);
    let opened = sealed.data_key(&known.identities).ok().and_then(|key| {
        let opened = sealed.clone().open_partly(&key).ok()?;
        Some((opened.opened, Mask::new(&key, symbols)))
    });
    let body = match &opened {
        Some((opened, mask)) => {
            let text = opened.text();
            let plain = text.expose_text().unwrap_or_default();
            match yaml::parse(plain) {
                Ok(tree) => masked(plain, &tree, Some(opened.tree()), None, &|value| {
                    mask.show(value)
                }),
                Err(_) => closed(typed, &tree, Some(&sealed), symbols),
            }
        }
        None => closed(typed, &tree, Some(&sealed), symbols),
    };
    let body = body.expose_text().unwrap_or_default();
    let gap = if body.is_empty() || body.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Secret::from(format!("{body}{gap}{readers}"))
}

/// Who can open the file, one a line, so that who comes and goes shows.
fn readers(sealed: &Sealed) -> String {
    let lines = sealed
        .recipients()
        .map(|key| format!("  - {}\n", short(key)));
    format!("readers:\n{}", lines.collect::<String>())
}

/// The document with its ciphertexts hidden, since nobody here can open it.
fn closed(text: &str, tree: &Map, sealed: Option<&Sealed>, symbols: Symbols) -> Secret {
    let beside = sealed.map(Sealed::tree);
    masked(text, tree, beside, Some(METADATA_KEY), &|value| {
        let digest = Sha256::digest(value.expose());
        hidden(
            symbols,
            &format!("sealed, {:02x}{:02x}", digest[0], digest[1]),
        )
    })
}

/// A text that is no YAML: the names in it, since what is a value cannot be told.
fn unreadable(text: &str, why: &str, symbols: Symbols) -> Secret {
    let name = |line: &str| {
        let line = line.trim_end();
        let is_name = |name: &str| {
            let name = name.trim_start_matches([' ', '-']);
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        match line.split_once(':') {
            Some((name, "")) if is_name(name) => line.to_owned(),
            Some((name, _)) if is_name(name) => format!("{name}: {}", hidden(symbols, "hidden")),
            _ if line.is_empty() => String::new(),
            _ if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"]
                .iter()
                .any(|sign| line.starts_with(sign)) =>
            {
                line.to_owned()
            }
            _ => hidden(symbols, "hidden"),
        }
    };
    let lines = text.lines().map(|line| format!("{}\n", name(line)));
    Secret::from(format!(
        "# not valid YAML, {why}\n{}",
        lines.collect::<String>()
    ))
}

fn chars(value: &Secret) -> usize {
    value
        .expose_text()
        .map_or_else(|| value.len(), |text| text.chars().count())
}

fn hidden(symbols: Symbols, what: &str) -> String {
    let Symbols { open, close, .. } = symbols;
    format!("{open}{what}{close}")
}
