//! `encrypt`: a plaintext file, sealed for the keys of the flags or of the configuration.

use super::call::{Call, Input};
use super::engine::{self, NewFile};
use super::failure::{Exit, Failure};
use super::{output, unlock};
use crate::cli::configuration::Configuration;
use crate::format::Format;
use std::path::Path;

/// `encrypt`.
pub(super) fn encrypt(call: &mut Call<'_>) -> Result<(), Failure> {
    let input = call.input()?;
    call.check_output(&input)?;
    if matches!(input, Input::Stdin) && call.own.raw("filename-override").is_none() {
        let text = "Error: must specify --filename-override when reading from stdin";
        return Err(Failure::new(Exit::Conflict, text));
    }
    let settings = call.configuration()?;
    let name = call.name(&input)?;
    let stores = call.stores(&name, &settings);
    let new = new_file(call, &settings, &name)?;
    let loaded = output::load(&input)?;
    if stores.input == Format::Binary && is_chosen(call, &settings, &name) {
        call.warn("a selection rule has no effect on a binary file, which is one value");
    }
    let draft = engine::seal(loaded.content(), &stores, &new, &name)?;
    engine::warn_of_lost(call, &draft, &name);
    output::deliver(call, &input, &loaded, draft.sealed.text())
}

/// What a new file called `name` is made with.
///
/// # Errors
/// Without keys, without a fitting rule, or where flags exclude each other.
pub(super) fn new_file(
    call: &Call<'_>,
    settings: &Configuration,
    name: &Path,
) -> Result<NewFile, Failure> {
    let config = settings.rule_for(name)?;
    let rule = unlock::rule(call, config)?;
    Ok(NewFile {
        readers: unlock::readers(call, config)?,
        rule,
        coverage: unlock::coverage(call, config),
    })
}

/// Whether somebody chose a selection rule.
fn is_chosen(call: &Call<'_>, settings: &Configuration, name: &Path) -> bool {
    let typed = call.own.typed();
    let by_flag = typed
        .iter()
        .any(|flag| flag.ends_with("-suffix") || flag.ends_with("-regex"));
    let config = settings.rule_for(name).ok().flatten();
    by_flag || config.is_some_and(|rule| matches!(rule.selection(), Ok(Some(_))))
}
