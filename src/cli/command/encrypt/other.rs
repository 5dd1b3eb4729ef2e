//! `encrypt` of a file that is no environment document, of any format: sealed as `sops encrypt` does it.
//!
//! Who can open it: the recipients of the command line, else those of the creation rule that fits, else
//! the readers of the environment in whose folder it lies or that was named.

use std::path::Path;

use super::{Sealing, again, refuse_ciphertext, refuse_new_readers, shown_readers};
use crate::cli::configuration::{Configuration, absolute};
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Keys;
use crate::cli::project::Project;
use crate::cli::{Session, readers, recipients, sealed_files, store};
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::Recipient;
use crate::crypto::mac::Coverage;
use crate::crypto::value::{self, ValueType, is_encrypted};
use crate::format::{self, Format, Layout};
use crate::name::EnvName;
use crate::sops::config::CreationRule;
use crate::sops::{ReadError, Readers, Rule, Sealed, Terms, seal_for};
use crate::tree::{Kind, Leaf, Map};

/// Whether it was said what is mistyped in the configuration.
static SLIPS: std::sync::Once = std::sync::Once::new();

/// Who shall be able to open a file.
struct Audience {
    readers: Readers,
    /// Their names, as far as they have some.
    shown: String,
}

/// Seals a file, or what was typed into a sealed one.
pub(super) fn seal(
    session: &Session,
    source: Source,
    given: &[Recipient],
    keys: &Keys,
) -> Result<Sealing, CommandError> {
    let format = source.any_format();
    match Sealed::read(format, &source.text) {
        Ok(sealed) => {
            let wanted = wanted(session, &source, given)?;
            refuse_new_readers(&source, &sealed, &wanted)?;
            again(session, source, sealed, keys)
        }
        Err(ReadError::NotSealed) => first(session, source, format, given),
        // Bytes of any kind; only the sealed form is JSON.
        Err(ReadError::Syntax(_) | ReadError::NotText) if format == Format::Binary => {
            first(session, source, format, given)
        }
        Err(ReadError::NotText) if !holds_ciphertext(&source) => Err(not_utf8(&source)),
        Err(error) => Err(source.read_error(&error)),
    }
}

/// Who was asked for on the command line: by key, or by the name of an environment.
fn wanted(
    session: &Session,
    source: &Source,
    given: &[Recipient],
) -> Result<Vec<Recipient>, CommandError> {
    if !given.is_empty() || !session.environment_was_typed {
        return Ok(given.to_vec());
    }
    match environment(session, source)? {
        Some((project, name)) => Ok(readers::recipients(&readers::of(&project, &name)?)),
        None => Ok(Vec::new()),
    }
}

/// Whether something in it was sealed once.
fn holds_ciphertext(source: &Source) -> bool {
    let sign = b"ENC[AES256_GCM,";
    let bytes = source.text.expose();
    bytes.windows(sign.len()).any(|window| window == sign)
}

fn not_utf8(source: &Source) -> CommandError {
    let (shown, bytes) = (&source.shown, source.text.expose());
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let before = bytes.iter().take(valid);
    let line = 1 + before.filter(|byte| **byte == b'\n').count();
    let what = format!("{shown}:{line}  the text is not UTF-8");
    CommandError::new("E0292", Exit::Failure, what)
        .fix("save it as UTF-8")
        .fix(format!(
            "or seal its bytes as they are:  sealctl encrypt --input-type binary {shown}"
        ))
}

fn first(
    session: &Session,
    source: Source,
    format: Format,
    given: &[Recipient],
) -> Result<Sealing, CommandError> {
    let configuration = configuration(session, &source)?;
    // Once for all files of a call.
    SLIPS.call_once(|| {
        for line in configuration.slips() {
            session.ui.warn(&line);
        }
    });
    let rule = match &source.name {
        Some(name) => configuration.fitting(&absolute(name.as_os_str())?)?,
        None => None,
    };
    let audience = audience(session, &source, given, rule)?;
    let terms = Terms {
        rule: selection(rule)?,
        coverage: match rule.is_some_and(|rule| rule.mac_only_encrypted) {
            true => Coverage::EncryptedOnly,
            false => Coverage::All,
        },
        layout: Layout {
            indent: configuration.indent(format),
        },
    };
    if format != Format::Binary {
        let documents = format::parse(format, &source.text)
            .map_err(|error| source.read_error(&error.into()))?;
        for document in &documents {
            refuse_ciphertext(&source, document)?;
        }
    }
    let now = SystemClock.now().wall;
    let draft = seal_for(format, &source.text, &audience.readers, &terms, now)
        .map_err(|error| store::write_error(&source.shown, &error.into()))?;
    super::warn_of_lost(session, &source, &draft);
    let names = encrypted(draft.sealed.documents());
    // What has comments alone is sealed for their sake; else they are not worth a word.
    let comments = match names.is_empty() {
        true => draft.sealed.comments(),
        false => 0,
    };
    if names.is_empty() && comments == 0 {
        return Err(nothing_selected(&source, &terms.rule));
    }
    warn_of_clear(session, &source, &terms.rule, draft.sealed.documents());
    Ok(Sealing {
        source,
        sealed: Some(draft.sealed),
        names,
        comments,
        readers: audience.shown,
    })
}

/// The configuration that `sops` would find, else the one nearest to the file.
fn configuration(session: &Session, source: &Source) -> Result<Configuration, CommandError> {
    if let Some(path) = session.environ.path("SOPS_CONFIG") {
        return Ok(Configuration::at(path)?);
    }
    let warn = |said: &str| session.ui.warn(said);
    let start = session.globals.project_dir.as_deref();
    let found = Configuration::above(start.unwrap_or(Path::new(".")), warn)?;
    match source.name.as_deref().and_then(Path::parent) {
        Some(folder) if found.path().is_none() => Ok(Configuration::above(folder, warn)?),
        _ => Ok(found),
    }
}

fn audience(
    session: &Session,
    source: &Source,
    given: &[Recipient],
    rule: Option<&CreationRule>,
) -> Result<Audience, CommandError> {
    if !given.is_empty() {
        return Ok(Audience {
            readers: Readers::one_group(given),
            shown: shown_readers(&[], given),
        });
    }
    if let Some(rule) = rule {
        let readers = recipients::of_rule(rule, None)?;
        let all = readers.groups.concat();
        return Ok(Audience {
            readers,
            shown: shown_readers(&[], &all),
        });
    }
    let Some((project, environment)) = environment(session, source)? else {
        return Err(nobody(source));
    };
    let listed = readers::of(&project, &environment)?;
    Ok(Audience {
        readers: Readers::one_group(&readers::recipients(&listed)),
        shown: readers::names(&listed),
    })
}

/// The environment that was named, or in whose folder the file lies. It is not guessed.
fn environment(
    session: &Session,
    source: &Source,
) -> Result<Option<(Project, EnvName)>, CommandError> {
    let Some(original) = &source.original else {
        return Ok(None);
    };
    let Some(project) = Project::of_file(&session.globals, original.path()) else {
        return Ok(None);
    };
    if session.environment_was_typed {
        let name = project.environment(session.globals.environment.as_deref())?;
        return Ok(Some((project, name)));
    }
    let name = sealed_files::environment_of(&project, original.path());
    Ok(name.map(|name| (project, name)))
}

fn selection(rule: Option<&CreationRule>) -> Result<Rule, CommandError> {
    let chosen = match rule {
        Some(rule) => rule.selection().map_err(|error| unusable(&error))?,
        None => None,
    };
    let Some((name, argument)) = chosen else {
        return Ok(Rule::fallback());
    };
    match Rule::named(name, argument) {
        Some(rule) => rule.map_err(|error| unusable(&error)),
        None => Ok(Rule::fallback()),
    }
}

fn unusable(error: &dyn std::fmt::Display) -> CommandError {
    crate::cli::configuration::Unusable(error.to_string()).into()
}

/// Paths of the values that are ciphertext. In a list, a comment that is one stands as an item.
fn encrypted(documents: &[Map]) -> Vec<String> {
    paths(documents, |leaf| {
        let kind = leaf.text.expose_text().and_then(value::type_of);
        kind.is_some_and(|kind| kind != ValueType::Comment)
    })
}

fn paths(documents: &[Map], is_wanted: impl Fn(&Leaf) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for document in documents {
        super::each_leaf(document, &mut String::new(), &mut |path, leaf| {
            if is_wanted(leaf) {
                names.push(path.to_owned());
            }
        });
    }
    names
}

/// Says what a rule that names what is encrypted leaves readable: whoever wrote the file need not know of
/// the rule. A rule that names what is *not* encrypted says so itself, in the file.
fn warn_of_clear(session: &Session, source: &Source, rule: &Rule, documents: &[Map]) {
    if !rule.name().starts_with("encrypted_") {
        return;
    }
    let clear = paths(documents, |leaf| {
        let text = leaf.text.expose_text();
        leaf.kind != Kind::Null && text.is_none_or(|text| !text.is_empty() && !is_encrypted(text))
    });
    if clear.is_empty() {
        return;
    }
    let values = match clear.len() {
        1 => "1 value stays".to_owned(),
        count => format!("{count} values stay"),
    };
    let (shown, names) = (&source.shown, super::listed(&clear));
    session
        .ui
        .warn(&format!("{values} readable in {shown} ({names})"));
    let why = format!(".sops.yaml selects by {}: {}", rule.name(), rule.argument());
    session.ui.detail("why", &why);
    let fix = format!("give {shown} a creation rule of its own, without a selection");
    session.ui.detail("fix", &fix);
}

fn nobody(source: &Source) -> CommandError {
    let shown = &source.shown;
    CommandError::usage(format!("nobody to seal {shown} for"))
        .why("it is no document of a project, and no creation rule of a .sops.yaml fits it")
        .fix(format!("sealctl encrypt -r age1… {shown}"))
        .fix(format!(
            "or, for the readers in keys/<env>/:  sealctl encrypt -e ENV {shown}"
        ))
}

fn nothing_selected(source: &Source, rule: &Rule) -> CommandError {
    let what = format!("nothing in {} would be encrypted", source.shown);
    let rule = format!("{}: {}", rule.name(), rule.argument());
    CommandError::new("E0133", Exit::Failure, what)
        .why(format!("its values are empty, or not selected by {rule}"))
        .fix("give it a creation rule of its own in .sops.yaml")
}
