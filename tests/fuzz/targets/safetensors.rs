#![no_main]
//! One file with the name of its format.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gradus_fuzz::inspect(&[("model.safetensors", bytes)]);
});
