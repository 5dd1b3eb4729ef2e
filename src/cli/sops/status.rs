//! `filestatus`: whether a file is sealed.

use std::path::PathBuf;

use super::call::{Call, LONGEST};
use super::engine;
use super::failure::{Exit, Failure, go_words};
use crate::file;
use crate::format::Format;
use crate::sops::{ReadError, Sealed};

/// `filestatus`.
pub(super) fn filestatus(call: &mut Call<'_>) -> Result<(), Failure> {
    let Some(file) = call.own.arguments.first().map(PathBuf::from) else {
        return Err(Failure::new(Exit::NoFile, "Error: no file specified"));
    };
    call.warn_of_unread(1);
    let settings = call.configuration()?;
    let input = call.stores(&file, &settings).input;
    let cannot = |why: &str| {
        Failure::generic(format!(
            "cannot check file status: cannot load encrypted file: {why}"
        ))
    };
    let text = file::read(&file, LONGEST).map_err(|error| {
        let why = go_words(file.as_os_str(), &error);
        cannot(&format!("Error reading file: {why}"))
    })?;
    let encrypted = match Sealed::read(input, &text) {
        Ok(_) => true,
        Err(ReadError::NotSealed) => false,
        Err(_) if input == Format::Yaml && text.is_empty() => false,
        Err(error) => return Err(cannot(&engine::not_sealed(&error, &file))),
    };
    call.ui
        .data(format!("{{\"encrypted\":{encrypted}}}\n").as_bytes());
    Ok(())
}
