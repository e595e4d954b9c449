#![no_main]
//! A directory: the input is split at 0xff 0xfe into files whose names decide what else is read.

const NAMES: &[&str] = &[
    "config.json",
    "model.safetensors.index.json",
    "model-1.safetensors",
    "model-2.safetensors",
    "finetune.yaml",
    "adapter_config.json",
    "w.bin",
    "model.onnx",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut files = Vec::new();
    let mut rest = bytes;
    while let Some((name, body)) = rest.split_first().filter(|_| files.len() < NAMES.len()) {
        let end = body.windows(2).position(|pair| pair == [0xff, 0xfe]);
        files.push((NAMES[usize::from(*name) % NAMES.len()], &body[..end.unwrap_or(body.len())]));
        rest = end.map_or(&[], |end| &body[end + 2..]);
    }
    if !files.is_empty() {
        gradus_fuzz::inspect(&files);
    }
});
