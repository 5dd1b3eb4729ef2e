#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("open"),
    |data: &[u8]| sealctl_fuzz::run("open", data)
);
