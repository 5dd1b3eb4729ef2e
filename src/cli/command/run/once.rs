//! `run --once`: a command before the child, once for each content.
//!
//! What has been done is remembered as a keyed digest, from which nothing can be guessed.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Loaded, environment};
use crate::cli::Session;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::digest::{Digest, hex};
use crate::env::Superuser;
use crate::file;
use crate::runner::{self, Task};
use crate::secret::Secret;

/// Runs `command` by `sh -c` unless it has ended well for this content. Returns its status when that
/// is not 0.
pub(super) fn run(
    session: &Session,
    source: &Source,
    loaded: &Loaded,
    command: &str,
) -> Result<Option<u8>, CommandError> {
    let memory = memory(session, source, command);
    let content = content(loaded, command);
    if let Some(memory) = &memory
        && file::read(memory, 256).is_ok_and(|known| known == Secret::from_text(&content))
    {
        session
            .ui
            .status("sealctl: --once was done for this content");
        return Ok(None);
    }
    let mut variables = loaded.mixed.variables.clone();
    if let Some(superuser) = &loaded.delivery.superuser {
        variables.extend(superuser_variables(superuser));
    }
    let task = Task {
        command: ["sh", "-c", command].map(OsString::from).to_vec(),
        environment: variables.into_iter().collect(),
        piped: false,
    };
    let code = runner::run_to_end(&task)?.code();
    if code != 0 {
        return Ok(Some(code));
    }
    if let Some(memory) = memory {
        file::remove(&memory)?;
        file::create(&memory, &Secret::from(content), file::PRIVATE)?;
    }
    Ok(None)
}

/// The file that remembers what was done for this document and command.
fn memory(session: &Session, source: &Source, command: &str) -> Option<PathBuf> {
    let state = session.environ.path("XDG_STATE_HOME").or_else(|| {
        session
            .environ
            .path("HOME")
            .map(|home| home.join(".local/state"))
    })?;
    let path = source.path()?;
    let parts = [path.as_os_str().as_encoded_bytes(), command.as_bytes()];
    let name = hex(Digest::combine(parts).as_bytes());
    Some(state.join("sealctl").join(format!("once-{name}")))
}

/// Digest of everything that the command can see of the document.
fn content(loaded: &Loaded, command: &str) -> String {
    let mut parts: Vec<Vec<u8>> = vec![command.as_bytes().to_vec()];
    let mut add = |name: &str, value: &Secret| {
        parts.push(name.as_bytes().to_vec());
        let digest = loaded.mask.digest("/once", value.expose());
        parts.extend(digest.map(|digest| digest.as_bytes().to_vec()));
    };
    for (name, value) in &loaded.values {
        add(name.as_str(), &value.text);
    }
    if let Some(superuser) = &loaded.delivery.superuser {
        for (name, value) in fields(superuser) {
            add(&name, value);
        }
    }
    Digest::combine(parts.iter().map(Vec::as_slice)).to_string()
}

/// `DJANGO_SUPERUSER_…`, as `createsuperuser --noinput` reads them.
fn superuser_variables(superuser: &Superuser) -> impl Iterator<Item = (OsString, OsString)> {
    let all = fields(superuser).into_iter();
    all.map(|(field, value)| {
        let name = format!("DJANGO_SUPERUSER_{}", field.to_uppercase());
        (OsString::from(name), environment::text(value))
    })
}

fn fields(superuser: &Superuser) -> Vec<(String, &Secret)> {
    let Superuser {
        username,
        email,
        password,
        fields,
        ..
    } = superuser;
    let mut all = vec![("password".to_owned(), password)];
    all.extend(username.iter().map(|value| ("username".to_owned(), value)));
    all.extend(email.iter().map(|value| ("email".to_owned(), value)));
    all.extend(fields.iter().map(|(field, value)| (field.clone(), value)));
    all
}
