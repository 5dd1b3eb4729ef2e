#![no_main]
libfuzzer_sys::fuzz_target!(
    init: sealctl_fuzz::plant("seal"),
    |data: &[u8]| sealctl_fuzz::run("seal", data)
);
