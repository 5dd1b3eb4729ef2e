#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("age_header"),
    |data: &[u8]| sealctl_fuzz::run("age_header", data)
);
