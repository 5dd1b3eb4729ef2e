#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("dotenv"),
    |data: &[u8]| sealctl_fuzz::run("dotenv", data)
);
