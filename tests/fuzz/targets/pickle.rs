#![no_main]
//! A file of any content: pickles, zips and other archives.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gradus_fuzz::inspect(&[("file.dat", bytes)]);
});
