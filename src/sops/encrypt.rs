//! Encrypting values and comments where they stand, with the ciphertext that was there before where the
//! value is the same.

use foldhash::HashMap;
use jiff::Timestamp;

use super::faithful::{Intent, Stamp, comments, fingerprint};
use super::open::{Sealed, is_void};
use super::opened::Opened;
use super::placed::SealedComments;
use super::rule::Rule;
use super::seal::SealError;
use super::source::Dialect;
use super::typed::Plain;
use super::walk::{Outcome, Place, Visitor, Way, walk};
use crate::clock::rfc3339;
use crate::crypto::DataKey;
use crate::crypto::mac::{Coverage, Mac};
use crate::crypto::value::{Cipher, ValueType};
use crate::format::Format;
use crate::secret::Secret;
use crate::tree::comments::says_something;
use crate::tree::{
    Comment, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Style,
};

/// Draws of a nonce for a comment whose ciphertext a pattern must not hit.
const DRAWS: usize = 256;
/// Bytes that a sealed value takes with its key, about.
const SEALED_VALUE: usize = 128;

/// The ciphertexts of the opened file, by what they stand for.
#[derive(Default)]
pub(super) struct Former {
    /// By [their sites](Way::site).
    values: HashMap<Box<[u8]>, FormerValue>,
    /// Those of another file with the same data key, likewise.
    others: HashMap<Box<[u8]>, FormerValue>,
    /// By the additional data, since a comment has no key.
    comments: HashMap<String, Vec<FormerComment>>,
}

struct FormerValue {
    plain: Plain,
    style: Style,
    ciphertext: Secret,
}

struct FormerComment {
    text: Secret,
    ciphertext: Secret,
    /// Whether it stands as an item of a list.
    is_item: bool,
    /// Where it begins in the sealed file.
    at: usize,
}

impl Former {
    /// Goes side by side through the ciphertexts and through what they hold.
    pub(super) fn of(opened: &Opened) -> Self {
        let mut former = Self::default();
        // About as many as there are.
        let values = opened.sealed.text.len() / SEALED_VALUE;
        former.values.reserve(values);
        let pairs = opened.sealed.documents.iter().zip(&opened.documents);
        for (document, (sealed, plain)) in pairs.enumerate() {
            let mut pairing = Pairing {
                former: &mut former,
                document,
                site: Vec::new(),
                aad: String::new(),
            };
            pairing.map(sealed, plain, &Way::Root);
        }
        former
    }

    /// With the values of `other`, a file with the same data key, where `opened` has others.
    pub(super) fn of_both(opened: &Opened, other: &Opened) -> Self {
        let mut former = Self::of(opened);
        if opened.key == other.key {
            former.others = Self::of(other).values;
        }
        former
    }

    /// What stood at `place`, and what stood there in the other file.
    fn value(&self, place: &Place<'_>, site: &mut Vec<u8>) -> [Option<&FormerValue>; 2] {
        if self.values.is_empty() && self.others.is_empty() {
            return [None; 2];
        }
        place.site(site);
        [&self.values, &self.others].map(|values| values.get(site.as_slice()))
    }

    /// How the comment `text` was written, once.
    fn take_comment(&mut self, aad: &str, text: &Secret) -> Option<FormerComment> {
        let comments = self.comments.get_mut(aad)?;
        let place = comments.iter().position(|former| former.text == *text)?;
        Some(comments.remove(place))
    }
}

/// A document as it was sealed and as it was opened. Both have the same items, but for those of lists that
/// turned out to be comments.
struct Pairing<'a> {
    former: &'a mut Former,
    document: usize,
    site: Vec<u8>,
    aad: String,
}

impl Pairing<'_> {
    fn map(&mut self, sealed: &Map, plain: &Map, way: &Way<'_>) {
        for pair in sealed.items.iter().zip(&plain.items) {
            match pair {
                (MapItem::Entry(sealed), MapItem::Entry(plain)) => {
                    let length = self.aad.len();
                    self.aad.push_str(&sealed.key);
                    self.aad.push(':');
                    let way = Way::Key(way, &sealed.key);
                    self.node(&sealed.value, &plain.value, &way);
                    self.aad.truncate(length);
                }
                (MapItem::Comment(sealed), MapItem::Comment(plain)) => {
                    self.comment(&sealed.text, plain, false);
                }
                _ => {}
            }
        }
    }

    fn list(&mut self, sealed: &List, plain: &List, way: &Way<'_>) {
        let mut index = 0;
        for pair in sealed.items.iter().zip(&plain.items) {
            match pair {
                (ListItem::Node(sealed), ListItem::Node(plain)) => {
                    self.node(sealed, plain, &Way::Index(way, index));
                    index += 1;
                }
                (ListItem::Node(Node::Leaf(sealed)), ListItem::Comment(plain)) => {
                    self.comment(&sealed.text, plain, true);
                }
                (ListItem::Comment(sealed), ListItem::Comment(plain)) => {
                    self.comment(&sealed.text, plain, false);
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, sealed: &Node, plain: &Node, way: &Way<'_>) {
        match (sealed, plain) {
            (Node::Map(sealed), Node::Map(plain)) => self.map(sealed, plain, way),
            (Node::List(sealed), Node::List(plain)) => self.list(sealed, plain, way),
            (Node::Leaf(sealed), Node::Leaf(leaf)) if leaf.sealed => {
                let Some(plain) = Plain::of_leaf(leaf) else {
                    return;
                };
                let former = FormerValue {
                    plain,
                    style: leaf.style,
                    ciphertext: sealed.text.clone(),
                };
                way.site(self.document, &mut self.site);
                let site = self.site.as_slice().into();
                self.former.values.insert(site, former);
            }
            _ => {}
        }
    }

    fn comment(&mut self, sealed: &Secret, plain: &Comment, is_item: bool) {
        if *sealed == plain.text {
            return;
        }
        let former = FormerComment {
            text: plain.text.clone(),
            ciphertext: sealed.clone(),
            is_item,
            at: plain.span.start,
        };
        let comments = self.former.comments.entry(self.aad.clone());
        comments.or_default().push(former);
    }
}

/// Encrypts values and comments where they stand, and gathers the MAC.
pub(super) struct Encrypt<'a> {
    dialect: Dialect,
    source: &'a Secret,
    cipher: Cipher,
    mac: Mac,
    coverage: Coverage,
    former: Former,
    /// Where the value is that is looked at.
    site: Vec<u8>,
    comments: SealedComments,
    /// The rule, where it goes by comments.
    by_comments: Option<Rule>,
}

impl<'a> Encrypt<'a> {
    /// `source` is the text that the spans of what will be walked over lie in.
    pub(super) fn new(
        dialect: Dialect,
        source: &'a Secret,
        key: &DataKey,
        coverage: Coverage,
        former: Former,
    ) -> Self {
        Self {
            dialect,
            source,
            cipher: Cipher::new(key),
            mac: Mac::new(coverage),
            coverage,
            former,
            site: Vec::new(),
            comments: SealedComments::default(),
            by_comments: None,
        }
    }

    /// For changed documents of `sealed`.
    pub(super) fn again(sealed: &'a Sealed, key: &DataKey, former: Former) -> Self {
        let coverage = sealed.metadata.coverage;
        Self::new(sealed.dialect, &sealed.text, key, coverage, former)
    }

    /// Seals `documents` where they stand; gives what the file that is made of them has to hold.
    pub(super) fn documents(
        mut self,
        format: Format,
        documents: &mut [Map],
        rule: &Rule,
        now: Timestamp,
    ) -> Result<Intent, SealError> {
        self.by_comments = rule.goes_by_comments().then(|| rule.clone());
        walk(documents, rule, &mut self)?;
        // What went with a value in the tree may stay in the text behind what takes its place.
        for former in self.former.comments.values().flatten() {
            self.comments.add(&former.ciphertext, &former.text);
        }
        let last_modified = rfc3339(now);
        let digest = self.mac.finish();
        let mac = self
            .cipher
            .encrypt(digest.expose(), &last_modified, ValueType::Str)?;
        Ok(Intent {
            fingerprint: fingerprint(format, documents),
            count: comments(documents, &says_something),
            stamp: Stamp { mac, last_modified },
            comments: self.comments,
            coverage: self.coverage,
            wrapped: None,
        })
    }

    /// A block text that ends with the file and without a line break is written anew: what is put behind
    /// it would give it one.
    fn close_block(&self, leaf: &mut Leaf) {
        let is_block = matches!(leaf.style, Style::Literal | Style::Folded);
        let ends_open = !leaf.text.expose().ends_with(b"\n");
        if is_block && ends_open && leaf.span.end == self.source.len() {
            (leaf.position, leaf.span) = <_>::default();
            leaf.style = Style::Plain;
        }
    }

    /// Whether a comment is an item of a list in the text, as in a sealed file that gets another data key.
    fn stands_as_item(&self, comment: &Comment) -> bool {
        let is_read = comment.position != Position::default();
        is_read && self.source.expose().get(comment.span.start) != Some(&b'#')
    }

    /// Ciphertext that does not count as a comment that says what is encrypted.
    fn seal_comment(&mut self, text: &Secret, aad: &str) -> Result<Secret, SealError> {
        let rule = self.by_comments.as_ref();
        let is_hit = |ciphertext: &str| rule.is_some_and(|rule| rule.hits_comment(ciphertext));
        for _ in 0..DRAWS {
            let ciphertext = self
                .cipher
                .encrypt(text.expose(), aad, ValueType::Comment)?;
            if !is_hit(&ciphertext) {
                return Ok(Secret::from(ciphertext));
            }
        }
        Err(SealError::CommentsHit {
            pattern: rule.map(Rule::argument).unwrap_or_default().to_owned(),
        })
    }

    fn seal_value(
        &mut self,
        leaf: &mut Leaf,
        plain: &Plain,
        place: &Place<'_>,
    ) -> Result<(), SealError> {
        let formers = self.former.value(place, &mut self.site);
        let style = formers[0].map_or(leaf.style, |former| former.style);
        let is_same = |former: &&FormerValue| former.plain == *plain;
        leaf.text = match formers.into_iter().flatten().find(is_same) {
            Some(former) => former.ciphertext.clone(),
            None if plain.reads_back() => {
                let bytes = plain.bytes.expose();
                Secret::from(self.cipher.encrypt(bytes, place.aad, plain.kind)?)
            }
            None => return Err(SealError::Unfaithful),
        };
        leaf.kind = Kind::Text;
        leaf.sealed = true;
        leaf.style = match style {
            quoted @ (Style::SingleQuoted | Style::DoubleQuoted) => quoted,
            Style::Plain | Style::Literal | Style::Folded => Style::Plain,
        };
        Ok(())
    }
}

/// Gives a clear number, date or nothing the spelling of SOPS (`0x1F` is 31), which other readers of the
/// sealed file see. The negative zero keeps its point: without it, it would read back as another number.
fn spell(leaf: &mut Leaf, plain: Option<&Plain>) {
    let spelled = match (leaf.kind, plain) {
        (Kind::Null, _) => Secret::from_text("null"),
        (Kind::Int | Kind::Float | Kind::Time, Some(plain)) if plain.bytes.expose() != b"-0" => {
            plain.bytes.clone()
        }
        _ => return,
    };
    if leaf.text != spelled {
        leaf.text = spelled;
    }
}

impl Visitor for Encrypt<'_> {
    type Error = SealError;

    fn value(&mut self, leaf: &mut Leaf, place: &Place<'_>) -> Result<Outcome, SealError> {
        // It may have been, before it became empty.
        leaf.sealed = false;
        let Some(plain) = Plain::of_leaf(leaf) else {
            if self.dialect == Dialect::Sops {
                spell(leaf, None);
            }
            return Ok(Outcome::Value);
        };
        if !place.selected {
            self.mac.add_clear(plain.bytes.expose());
            if self.dialect == Dialect::Sops {
                spell(leaf, Some(&plain));
            }
            self.close_block(leaf);
        } else if !is_void(leaf) {
            self.mac.add_encrypted(plain.bytes.expose());
            self.seal_value(leaf, &plain, place)?;
        }
        Ok(Outcome::Value)
    }

    /// In a list, SOPS writes a sealed comment as an item. So do we where it has a line of its own at
    /// the column of the dashes; elsewhere it stays a comment, which SOPS reads as well.
    fn comment(
        &mut self,
        comment: &mut Comment,
        place: &Place<'_>,
    ) -> Result<Option<Secret>, SealError> {
        if !place.selected || comment.text.is_empty() {
            return Ok(None);
        }
        let former = self.former.take_comment(place.aad, &comment.text);
        let has_line = place.home.layout == Layout::Block && !comment.trailing;
        let at_dash = comment.position.column == place.home.column;
        let as_item = place.home.is_list
            && has_line
            && match &former {
                // Where it was an item, its place is behind the dash.
                Some(former) => former.is_item && (at_dash || former.at == comment.span.start),
                None => at_dash || self.stands_as_item(comment),
            };
        let ciphertext = match former {
            Some(former) => former.ciphertext,
            None => self.seal_comment(&comment.text, place.comment_aad())?,
        };
        self.comments.add(&ciphertext, &comment.text);
        if as_item {
            return Ok(Some(ciphertext));
        }
        comment.text = ciphertext;
        Ok(None)
    }
}
