//! Sealed files of every format: the block, and opening.

use sealctl::format::{Format, Layout, parse};
use sealctl::secret::Secret;
use sealctl::sops::{OpenError, Opened, Sealed};

use super::keyed::{fixed_key, identities};
use super::tree::assert_same;

const FORMATS: [Format; 5] = [
    Format::Yaml,
    Format::Json,
    Format::Dotenv,
    Format::Ini,
    Format::Binary,
];

/// The format that the byte in front names, by its first letter, and what follows.
pub fn with_format(data: &[u8]) -> Option<(Format, &[u8])> {
    let (first, rest) = data.split_first()?;
    let format = FORMATS
        .into_iter()
        .find(|format| format.word().as_bytes()[0] == *first)?;
    Some((format, rest))
}

/// The block is read or refused; what is read can be asked for everything.
pub fn check_metadata(data: &[u8]) {
    let Some((format, text)) = with_format(data) else {
        return;
    };
    let text = Secret::new(text.to_vec());
    if let Ok(sealed) = Sealed::parse(format, &text) {
        let _ = sealed.data_key(&[]);
        let _ = (sealed.seal(), sealed.plain_paths());
    }
    if let Ok(sealed) = Sealed::read(format, &text) {
        let metadata = sealed.metadata();
        assert!(!metadata.groups.is_empty() && !sealed.documents().is_empty());
        let _ = (
            metadata.is_split(),
            metadata.foreign(),
            sealed.plain_paths(),
        );
        assert_eq!(sealed.recipients().count(), metadata.age().count());
    }
}

/// A sealed file is opened or refused; what opens is a file of its format with the same values.
pub fn check_open(data: &[u8]) {
    let Some((format, text)) = with_format(data) else {
        return;
    };
    let Ok(sealed) = Sealed::read(format, &Secret::new(text.to_vec())) else {
        return;
    };
    let Ok(key) = sealed.unlock(&identities()) else {
        // Nothing is encrypted with this key, so only what is clear altogether opens.
        let _ = sealed.open_partly(&fixed_key());
        return;
    };
    let partly = match sealed.clone().open_partly(&key) {
        Ok(partly) => partly,
        Err(error) => {
            assert!(!matches!(error, OpenError::Mac(_)), "looks at no MAC");
            assert!(sealed.open(&key).is_err());
            return;
        }
    };
    let is_whole = partly.plain.is_empty() && partly.mac.is_ok();
    assert_eq!(sealed.open(&key).is_ok(), is_whole);
    check_opened(&partly.opened);
    if is_whole {
        super::seal::check_changes(&partly.opened, text);
    }
}

/// The plaintext file holds the values, and other formats take them or refuse.
pub fn check_opened(opened: &Opened) {
    let format = opened.sealed().format();
    for other in FORMATS {
        let _ = opened.emit(other, Layout::default());
    }
    let text = opened.text();
    if format == Format::Ini && opened.emit(format, Layout::default()).is_err() {
        return;
    }
    if format == Format::Binary {
        // It may have lost its one value.
        let data = opened.emit(format, Layout::default());
        assert_eq!(data.unwrap_or_else(|_| Secret::from_text("")), text);
        return;
    }
    match parse(format, &text) {
        Ok(again) => assert_same("opened", &again, opened.documents(), text.expose()),
        Err(error) => {
            let text = String::from_utf8_lossy(text.expose());
            panic!("what was opened is no {format}: {error}\n{text}");
        }
    }
}
