//! Texts and their documents: the one place that knows in which dialect a text is read, which form a
//! sealed file has, and how a file is put together from its values and its `sops` block.

use super::block::{self, FieldChange};
use super::open::{ReadError, Sealed};
use crate::format::{self, EmitError, Format, Layout, yaml};
use crate::secret::Secret;
use crate::tree::{self, Map, Node};

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Environment documents: one document, and nothing that SOPS would move or expand.
    Environment,
    /// What SOPS takes.
    Sops,
}

/// A text that was read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) format: Format,
    pub(super) dialect: Dialect,
    /// What the spans of `documents` lie in.
    pub(super) text: Secret,
    pub(super) documents: Vec<Map>,
    /// How many comments are in none of them.
    pub(super) dropped_comments: usize,
}

impl Source {
    /// Reads a sealed file: a binary one is JSON.
    pub(super) fn read(format: Format, dialect: Dialect, text: &Secret) -> Result<Self, ReadError> {
        let form = sealed_form(format);
        let source = Self::read_plain(form, dialect, text)?;
        Ok(Self { format, ..source })
    }

    /// Reads a plaintext file.
    pub(super) fn read_plain(
        format: Format,
        dialect: Dialect,
        text: &Secret,
    ) -> Result<Self, ReadError> {
        if format == Format::Yaml && text.expose_text().is_none() {
            return Err(ReadError::NotText);
        }
        // Values are then parts of the text and not copies, which a large file has very many of.
        let text = text.clone().shared();
        let mut dropped_comments = 0;
        let (text, documents) = match (format, dialect) {
            (Format::Yaml, Dialect::Environment) => {
                let map = yaml::parse(text.expose_text().unwrap_or_default())?;
                (text, vec![map])
            }
            (Format::Yaml, Dialect::Sops) => {
                let reading = yaml::parse_sops(&text)?;
                dropped_comments = reading.dropped_comments;
                (reading.text.unwrap_or(text), reading.documents)
            }
            _ => {
                let documents = format::parse(format, &text)?;
                (text, documents)
            }
        };
        let text = match format {
            Format::Json => without_rest(text, &documents),
            _ => text,
        };
        Ok(Self {
            format,
            dialect,
            text,
            documents,
            dropped_comments,
        })
    }
}

impl Source {
    /// Its documents, to be sealed in their place: the only ones where no second tree is needed to write
    /// them, else a copy.
    pub(super) fn sealable(&mut self) -> Vec<Map> {
        match self.format {
            Format::Json => std::mem::take(&mut self.documents),
            _ => self.documents.clone(),
        }
    }

    /// The text with what somebody changed in it: `after` is a changed copy of its documents.
    pub(super) fn edited(&self, after: &[Map]) -> Result<Secret, EmitError> {
        let text = self.text.expose();
        match (self.dialect, self.format, std::str::from_utf8(text)) {
            (Dialect::Sops, Format::Yaml, Ok(text)) => {
                Ok(yaml::rewrite_as_sops(text, &self.documents, after))
            }
            _ => format::rewrite(self.format, text, &self.documents, after, Layout::default()),
        }
    }

    /// The text with the values of `after`, a changed copy of its documents, or the only ones.
    fn rewritten(&self, after: &[Map], layout: Layout) -> Result<Secret, EmitError> {
        let text = self.text.expose();
        let before = match self.documents.as_slice() {
            [] => after,
            documents => documents,
        };
        let changed = (before, after);
        rewritten(
            self.dialect,
            sealed_form(self.format),
            text,
            changed,
            layout,
        )
    }
}

/// A JSON text up to the end of its root: what follows is ignored, and must not stay in clear in a sealed
/// file.
fn without_rest(text: Secret, documents: &[Map]) -> Secret {
    let end = documents.first().map_or(0, |root| root.span.end);
    match text.expose().split_at_checked(end) {
        Some((root, rest)) if !rest.trim_ascii().is_empty() => Secret::new([root, b"\n"].concat()),
        _ => text,
    }
}

/// The format that a sealed file has in which plaintext of `format` is.
pub(super) fn sealed_form(format: Format) -> Format {
    match format {
        Format::Binary => Format::Json,
        other => other,
    }
}

/// The plaintext file that `sealed` becomes when its values are `documents`. Nothing for what its format
/// cannot hold: a binary file that has lost its one value, a key of INI that no quotes fit.
pub(super) fn plain_text(sealed: Sealed, documents: &[Map]) -> Secret {
    let text = match sealed.format {
        Format::Binary => format::emit(Format::Binary, documents, Layout::default()),
        format => {
            let mut before = sealed.documents;
            sealed.block.put_back(&mut before);
            let (text, layout) = (sealed.text.expose(), Layout::default());
            rewritten(sealed.dialect, format, text, (&before, documents), layout)
        }
    };
    debug_assert!(
        text.is_ok() || matches!(sealed.format, Format::Binary | Format::Ini),
        "what was read in a format can be written in it"
    );
    text.unwrap_or_else(|_| Secret::from_text(""))
}

/// What becomes of the lines of a file that changes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    /// They stay, where nothing else has to stand there.
    Kept,
    /// All are printed anew.
    Printed,
}

impl Lines {
    /// The sealed file with other ciphertexts and other fields in its block: `after` are its documents,
    /// changed.
    pub(super) fn text(
        self,
        sealed: &Sealed,
        after: Vec<Map>,
        changes: &[FieldChange],
    ) -> Result<Secret, EmitError> {
        match self {
            Self::Kept => replaced(sealed, after, changes),
            Self::Printed => printed(sealed, after, changes),
        }
    }
}

/// The sealed file with other ciphertexts and other fields in its block: `after` are its documents,
/// changed.
pub(super) fn replaced(
    sealed: &Sealed,
    mut after: Vec<Map>,
    changes: &[FieldChange],
) -> Result<Secret, EmitError> {
    let mut before = sealed.documents.clone();
    sealed.block.put_back(&mut before);
    let block = sealed.block.changed(sealed.format, changes);
    block.put_back(&mut after);
    let form = sealed_form(sealed.format);
    let text = sealed.text.expose();
    let layout = Layout::default();
    let text = rewritten(sealed.dialect, form, text, (&before, &after), layout)?;
    // It is read again.
    Ok(text.shared())
}

/// As [`replaced`], but printed anew as a whole, where there is more than one way to print.
fn printed(
    sealed: &Sealed,
    mut after: Vec<Map>,
    changes: &[FieldChange],
) -> Result<Secret, EmitError> {
    let block = sealed.block.changed(sealed.format, changes);
    block.put_back(&mut after);
    let text = match sealed.format {
        Format::Yaml => {
            let as_sops = sealed.dialect == Dialect::Sops;
            yaml::print_anew(&sealed.documents, &after, as_sops)
        }
        format => format::emit(sealed_form(format), &after, Layout::default())?,
    };
    Ok(text.shared())
}

/// A changed text: environment documents keep their spelling, other YAML gets that of SOPS. What is sealed is
/// read again by who seals it; what is opened gets other values and loses its block.
fn rewritten(
    dialect: Dialect,
    form: Format,
    text: &[u8],
    (before, after): (&[Map], &[Map]),
    layout: Layout,
) -> Result<Secret, EmitError> {
    match (form, std::str::from_utf8(text)) {
        (Format::Yaml, Ok(text)) => {
            let as_sops = dialect == Dialect::Sops;
            Ok(yaml::rewrite_unchecked(text, before, after, as_sops))
        }
        _ => format::rewrite(form, text, before, after, layout),
    }
}

/// A sealed file made from the plaintext `source`: `after` are its documents, encrypted. The block comes
/// last, in every document.
pub(super) fn sealed_text(
    lines: Lines,
    source: Source,
    mut after: Vec<Map>,
    block: &NewText,
    layout: Layout,
) -> Result<Secret, EmitError> {
    let form = sealed_form(source.format);
    // Lines at the left margin fit below these only.
    let is_block =
        |document: &Map| document.layout == tree::Layout::Block && document.position.column <= 1;
    if form == Format::Yaml && source.documents.iter().all(is_block) {
        let lines = block.lines(yaml::step_of(&source.documents));
        let body = source.rewritten(&after, layout)?;
        drop((source, after));
        return Ok(yaml::append_lines(&body, &lines).shared());
    }
    let fields = block.fields();
    for document in &mut after {
        document.items.extend(block::entries(form, fields.clone()));
    }
    let text = match (lines, source.format) {
        // What is sealed as JSON was no JSON before.
        (Lines::Printed, _) | (_, Format::Binary) => format::emit(form, &after, layout),
        (Lines::Kept, _) => source.rewritten(&after, layout),
    }?;
    Ok(text.shared())
}

/// The block of a file that is made from plaintext.
pub(super) enum NewText {
    /// Its fields.
    Fields(Map),
    /// Lines of YAML that stood in a file.
    Lines(Secret),
}

impl NewText {
    /// As lines of YAML with `step` blanks per level.
    fn lines(&self, step: usize) -> Secret {
        match self {
            Self::Lines(lines) => lines.clone(),
            Self::Fields(fields) => {
                let root = Map {
                    items: block::entries(Format::Yaml, fields.clone()),
                    ..Map::default()
                };
                yaml::render(&root, 0, step)
            }
        }
    }

    fn fields(&self) -> Map {
        match self {
            Self::Fields(fields) => fields.clone(),
            Self::Lines(lines) => fields_of(lines),
        }
    }
}

/// The block of `sealed` with `changes`. In YAML its lines stay as they are, but for what differs.
pub(super) fn renewed_block(
    sealed: &Sealed,
    changes: &[FieldChange],
) -> Result<NewText, EmitError> {
    if let Some(lines) = block_lines(sealed)
        && let Ok(before) = yaml::parse(lines.expose_text().unwrap_or_default())
    {
        let mut after = before.clone();
        block::change_root(&mut after, changes);
        let text = lines.expose();
        let layout = Layout::default();
        let lines = format::rewrite(Format::Yaml, text, &[before], &[after], layout)?;
        return Ok(NewText::Lines(lines));
    }
    let mut fields = sealed.block.map.clone();
    block::change(&mut fields, changes);
    Ok(NewText::Fields(fields.without_places()))
}

/// The lines of a YAML block as they stand in the file, each with a plain line feed. None that are indented:
/// they would not fit below other lines.
fn block_lines(sealed: &Sealed) -> Option<Secret> {
    let source = sealed.text.expose_text()?;
    let tree::Span { start, end } = sealed.block.span()?;
    let document = sealed.documents.first()?;
    let is_at_margin = document.layout == tree::Layout::Block && document.position.column <= 1;
    if sealed.format != Format::Yaml || !is_at_margin {
        return None;
    }
    let start = source[..start].rfind('\n').map_or(0, |place| place + 1);
    let end = source[end..]
        .find('\n')
        .map_or(source.len(), |length| end + length);
    let lines = source[start..end].trim_end_matches('\r');
    Some(Secret::from(format!("{}\n", lines.replace("\r\n", "\n"))))
}

fn fields_of(lines: &Secret) -> Map {
    let root = lines.expose_text().and_then(|text| yaml::parse(text).ok());
    let entry = root.as_ref().and_then(|root| root.entries().next());
    match entry.map(|entry| &entry.value) {
        Some(Node::Map(fields)) => fields.clone().without_places(),
        _ => Map::default(),
    }
}
