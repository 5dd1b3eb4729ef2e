#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("yaml"),
    |data: &[u8]| sealctl_fuzz::run("yaml", data)
);
