#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("encrypted_value"),
    |data: &[u8]| sealctl_fuzz::run("encrypted_value", data)
);
