#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("json"),
    |data: &[u8]| sealctl_fuzz::run("json", data)
);
