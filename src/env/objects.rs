//! Filling objects with content, and every rule about their bytes.
//!
//! Knows which values go where from `deliver`; no Kubernetes types.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::env::deliver::{FileFormat, Intent, Source};
use crate::env::delivery::{Content, Object, SecretType};
use crate::env::derive::{json_text, quoted};
use crate::env::fields::Reader;
use crate::env::finding::{At, cut};
use crate::env::values::Values;
use crate::name::{KeyName, ObjectKey};
use crate::secret::Secret;

/// Bytes of all values of one object (limit of the API server).
const MAX_OBJECT: usize = 1_048_576;
/// Bytes of `NAME=value` that the kernel passes to a program (`MAX_ARG_STRLEN` less the NUL).
const MAX_VARIABLE: usize = 131_071;

/// The object that `intent` asks for; `None` when nothing goes into it, or on a fault (reported).
pub(super) fn fill(reader: &mut Reader, intent: Intent, values: &Values) -> Option<Object> {
    let size = size_before(&intent, values);
    if size > MAX_OBJECT {
        report_size(reader, &intent, size);
        return None;
    }
    let data = match &intent.source {
        Source::Keys(keys) => keyed(reader, &intent, keys, values),
        Source::File { key, format, names } => {
            let bytes = file(reader, &intent.at, *format, names, values)?;
            let content = Content {
                bytes,
                binary: false,
            };
            BTreeMap::from([(key.clone(), content)])
        }
    };
    let size = data.values().map(|content| content.bytes.len()).sum();
    if size > MAX_OBJECT {
        report_size(reader, &intent, size);
    }
    check_docker_config(reader, &intent, &data);
    if data.is_empty() || intent.is_empty() {
        return None;
    }
    let Intent {
        kind,
        name,
        secret_type,
        source: _,
        decode: _,
        labels,
        annotations,
        prune,
        at: _,
    } = intent;
    Some(Object {
        kind,
        name,
        secret_type,
        data,
        labels,
        annotations,
        prune,
    })
}

/// Reports `value` when it cannot be the environment variable `variable`.
pub(super) fn check_variable(
    reader: &mut Reader,
    variable: &str,
    subject: &str,
    value: &Secret,
    at: &At,
) {
    if value.expose().contains(&0) {
        reader.error("E0218", at, format!("{subject} holds a NUL byte"));
    }
    let size = variable.len() + 1 + value.len();
    if size > MAX_VARIABLE {
        let message =
            format!("{subject} is {size} bytes; an environment variable holds {MAX_VARIABLE}");
        reader.error("E0217", at, message);
    }
}

fn report_size(reader: &mut Reader, intent: &Intent, size: usize) {
    let message = format!(
        "{} is {size} bytes; the limit is {MAX_OBJECT}",
        intent.shown()
    );
    reader.error("E0250", &intent.at, message);
}

/// A lower bound of the size, known before anything is copied. Decoding makes values smaller.
fn size_before(intent: &Intent, values: &Values) -> usize {
    let length = |name: &KeyName| {
        let text = values
            .drafts
            .get(name)
            .and_then(|draft| draft.text.as_ref());
        text.map_or(0, Secret::len)
    };
    match &intent.source {
        Source::Keys(keys) => keys
            .iter()
            .map(|(key, name)| match intent.decode.contains(key) {
                true => length(name) / 2,
                false => length(name),
            })
            .sum(),
        Source::File { names, .. } => names.iter().map(length).sum(),
    }
}

fn keyed(
    reader: &mut Reader,
    intent: &Intent,
    keys: &[(ObjectKey, KeyName)],
    values: &Values,
) -> BTreeMap<ObjectKey, Content> {
    let is_environment = matches!(
        intent.secret_type,
        SecretType::Opaque | SecretType::BasicAuth
    );
    let mut data = BTreeMap::new();
    for (key, name) in keys {
        let Some(text) = values.delivered(name) else {
            continue;
        };
        let binary = intent.decode.contains(key);
        if is_environment && !binary {
            let at = values
                .drafts
                .get(name)
                .map_or(&intent.at, |draft| &draft.at);
            check_variable(reader, key.as_str(), &cut(name.as_str()), &text, at);
        }
        let bytes = if binary { decoded(&text) } else { Some(text) };
        match bytes {
            Some(bytes) => _ = data.insert(key.clone(), Content { bytes, binary }),
            None => reader.error("E0246", &intent.at, format!("{key} is not base64")),
        }
    }
    data
}

/// The binary data behind base64 text; line breaks and blanks in it do not count.
fn decoded(text: &Secret) -> Option<Secret> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(
        text.expose()
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace()),
    );
    STANDARD.decode(&*packed).ok().map(Secret::new)
}

/// All `names` in one file, in the order of their names.
fn file(
    reader: &mut Reader,
    at: &At,
    format: FileFormat,
    names: &[KeyName],
    values: &Values,
) -> Option<Secret> {
    let mut lines = Vec::with_capacity(names.len());
    for name in names {
        let Some(value) = values.delivered(name) else {
            continue;
        };
        match line(format, name, &value) {
            Ok(line) => lines.push(line),
            Err(fault) => {
                let format = format.word();
                let message = format!("{name} {fault}, which format {format} cannot carry");
                reader.error("E0245", at, message);
                return None;
            }
        }
    }
    let length: usize = lines.iter().map(|line| line.len() + 2).sum();
    let mut whole = Vec::with_capacity(length + 4);
    let (open, between, close): (&[u8], &[u8], &[u8]) = match format {
        FileFormat::Json => (b"{\n", b",\n", b"\n}\n"),
        _ if lines.is_empty() => (b"", b"", b""),
        _ => (b"", b"\n", b"\n"),
    };
    whole.extend_from_slice(open);
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            whole.extend_from_slice(between);
        }
        whole.extend_from_slice(line.expose());
    }
    whole.extend_from_slice(close);
    Some(Secret::new(whole))
}

/// One value in `format`, or what it has that the format cannot carry.
fn line(format: FileFormat, name: &KeyName, value: &Secret) -> Result<Secret, &'static str> {
    let bytes = value.expose();
    if bytes.contains(&0) {
        return Err("has a NUL byte");
    }
    let (before, body) = match format {
        FileFormat::Docker if bytes.contains(&b'\n') || bytes.contains(&b'\r') => {
            return Err("has a newline");
        }
        FileFormat::Docker => (format!("{name}="), value.clone()),
        FileFormat::Dotenv => (format!("{name}="), dotenv_quoted(bytes)),
        FileFormat::Shell if name.as_str().contains(['.', '-']) => {
            return Err("has a dot or dash in its name");
        }
        FileFormat::Shell => (format!("export {name}="), quoted(bytes)),
        FileFormat::Json => (
            format!("  \"{name}\": "),
            json_text(value.expose_text().ok_or("is not UTF-8")?),
        ),
        FileFormat::Yaml => (
            format!("\"{name}\": "),
            json_text(value.expose_text().ok_or("is not UTF-8")?),
        ),
    };
    let mut line = Vec::with_capacity(before.len() + body.len());
    line.extend_from_slice(before.as_bytes());
    line.extend_from_slice(body.expose());
    Ok(Secret::new(line))
}

/// A value in single quotes as python-dotenv reads it: `\'` and `\\` are the only escapes. A backslash
/// is escaped only where it would otherwise be one, since other readers take all of them literally.
fn dotenv_quoted(bytes: &[u8]) -> Secret {
    let mut out = Vec::with_capacity(bytes.len() * 2 + 2);
    out.push(b'\'');
    for (index, byte) in bytes.iter().enumerate() {
        let next = bytes.get(index + 1);
        let escapes =
            *byte == b'\'' || (*byte == b'\\' && matches!(next, None | Some(b'\'' | b'\\')));
        if escapes {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'\'');
    Secret::new(out)
}

/// The API server refuses such a Secret when its content is no JSON.
fn check_docker_config(reader: &mut Reader, intent: &Intent, data: &BTreeMap<ObjectKey, Content>) {
    if intent.secret_type != SecretType::DockerConfigJson {
        return;
    }
    for (key, content) in data {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(content.bytes.expose());
        if key.as_str() == ".dockerconfigjson" && json.is_err() {
            reader.error("E0254", &intent.at, format!("{key} is not JSON"));
        }
    }
}
