//! Values with their types: from the tree to bytes that are encrypted, and back.

use crate::crypto::value::{ValueError, ValueType};
use crate::format::scalar;
use crate::secret::Secret;
use crate::tree::{Kind, Leaf};

/// A value in the one form that is encrypted and authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) kind: ValueType,
    pub(super) bytes: Secret,
}

impl Plain {
    /// The value of a leaf; `None` for nothing, which is neither encrypted nor authenticated.
    pub(super) fn of_leaf(leaf: &Leaf) -> Option<Self> {
        let kind = match leaf.kind {
            Kind::Null => return None,
            Kind::Bool => ValueType::Bool,
            Kind::Int => ValueType::Int,
            Kind::Float => ValueType::Float,
            Kind::Time => ValueType::Time,
            Kind::Text => ValueType::Str,
        };
        if kind == ValueType::Str {
            return Some(Self {
                kind,
                bytes: leaf.text.clone(),
            });
        }
        let typed = leaf.text.expose_text().unwrap_or_default();
        // What was decrypted is in normal form already, where that is not how the format writes it.
        let normal = scalar::normal_form(leaf.kind, typed).unwrap_or_else(|| typed.to_owned());
        Some(Self {
            kind,
            bytes: Secret::from(normal),
        })
    }

    /// A float without fraction as a whole number: in clear, SOPS writes `2.0` as `2`, and authenticates both
    /// by the same bytes.
    pub(super) fn without_point(self) -> Self {
        let is_whole = |bytes: &[u8]| bytes.iter().all(|byte| b"-0123456789".contains(byte));
        match self.kind {
            ValueType::Float if is_whole(self.bytes.expose()) => Self {
                kind: ValueType::Int,
                ..self
            },
            _ => self,
        }
    }

    /// Reads decrypted bytes as the type that stands beside them: the leaf's type, the text that a tree
    /// shows, and the normal form, where that is another one.
    pub(super) fn read(
        kind: ValueType,
        bytes: Secret,
    ) -> Result<(Kind, Secret, Option<Secret>), ValueError> {
        match kind {
            ValueType::Str | ValueType::Bytes => Ok((Kind::Text, bytes, None)),
            ValueType::Comment => Err(ValueError::Damaged),
            ValueType::Int => {
                let int = scalar::parse_int(utf8(&bytes)?).map(|int| int.to_string());
                same(Kind::Int, int)
            }
            ValueType::Float => {
                let float = scalar::parse_float(utf8(&bytes)?).map(scalar::float_form);
                same(Kind::Float, float)
            }
            ValueType::Time => same(Kind::Time, scalar::parse_rfc3339(utf8(&bytes)?)),
            ValueType::Bool => {
                let yes = scalar::parse_bool(utf8(&bytes)?).ok_or(ValueError::Damaged)?;
                let (text, normal) = if yes {
                    ("true", "True")
                } else {
                    ("false", "False")
                };
                let normal = Some(Secret::from_text(normal));
                Ok((Kind::Bool, Secret::from_text(text), normal))
            }
        }
    }

    /// Whether what is encrypted reads back as what it is.
    pub(super) fn reads_back(&self) -> bool {
        let is_text = matches!(self.kind, ValueType::Str | ValueType::Bytes);
        is_text
            || Self::read(self.kind, self.bytes.clone())
                .is_ok_and(|(_, text, normal)| normal.unwrap_or(text) == self.bytes)
    }
}

fn utf8(bytes: &Secret) -> Result<&str, ValueError> {
    bytes.expose_text().ok_or(ValueError::Damaged)
}

fn same(kind: Kind, text: Option<String>) -> Result<(Kind, Secret, Option<Secret>), ValueError> {
    let text = Secret::from(text.ok_or(ValueError::Damaged)?);
    Ok((kind, text, None))
}
