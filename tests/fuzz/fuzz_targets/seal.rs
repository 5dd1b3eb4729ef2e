#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sealctl_fuzz::run("seal", data));
