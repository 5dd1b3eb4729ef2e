#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("metadata"),
    |data: &[u8]| sealctl_fuzz::run("metadata", data)
);
