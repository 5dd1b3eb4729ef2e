#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("ini"),
    |data: &[u8]| sealctl_fuzz::run("ini", data)
);
