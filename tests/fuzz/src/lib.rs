//! What every reader promises, whatever bytes it gets: the bodies of the fuzz targets.
//!
//! A target takes bytes and panics where a promise is broken. libFuzzer calls them with what its search
//! comes up with, the short run of `tests/core/fuzz.rs` with seeds and mutations of a fixed generator.
//! Nothing here looks at clocks or starts programs.

mod age_header;
mod encrypted_value;
mod json;
mod keyed;
mod lines;
mod seal;
mod sealed;
pub mod seeds;
mod sops_yaml;
mod tree;
mod yaml;

/// A target: its name, and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, in the order of the alphabet.
pub const TARGETS: [Target; 10] = [
    ("age_header", age_header::check),
    ("dotenv", lines::check_dotenv),
    ("encrypted_value", encrypted_value::check),
    ("ini", lines::check_ini),
    ("json", json::check),
    ("metadata", sealed::check_metadata),
    ("open", sealed::check_open),
    ("seal", seal::check),
    ("sops_yaml", sops_yaml::check),
    ("yaml", yaml::check),
];

/// Runs the target `name` on `data`.
///
/// # Panics
/// When a promise is broken, or there is no such target.
#[allow(dead_code, reason = "the programs of libFuzzer call it")]
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(each, _)| *each == name);
    let (_, check) = target.expect("a target");
    check(data);
}

/// Writes the seeds of the target `name` into the folder `SEALCTL_FUZZ_SEEDS`, when there is this variable.
///
/// # Panics
/// When they cannot be written.
#[allow(dead_code, reason = "the programs of libFuzzer call it")]
pub fn plant(name: &str) {
    let Some(folder) = std::env::var_os("SEALCTL_FUZZ_SEEDS") else {
        return;
    };
    for (place, seed) in seeds::seeds(name).iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{place}"));
        std::fs::write(path, seed).expect("a folder for the seeds");
    }
}
